/** Whose an address is, by the rules of the design's table. Pure. */
import { lookupLocals, splitAddress } from "../../core/address.ts";
import type { Mode } from "../../core/mode.ts";
import type { DomainFacts, Holder, Recipient } from "../domain/contract.ts";

/** RFC 5321 §4.5.1, RFC 2142 §2: someone must be reachable there. */
const ROLES = new Set(["postmaster", "abuse"]);

export type RecipientFacts = Pick<DomainFacts, "id" | "name" | "continuity" | "coverage" | "settings">;

/**
 * @param local the local part as received
 * @param holdersOf the mailboxes behind a local part in look-up form, without following plus-tags
 */
export function resolveRecipient(
  facts: RecipientFacts,
  mode: Mode,
  local: string,
  holdersOf: (local: string) => readonly Holder[],
): Recipient {
  const holders = find(local, holdersOf);
  const covered = facts.continuity ? holders.filter((one) => facts.coverage === "all" || one.chosen) : [];
  if (covered.length > 0) return { status: "covered", holders: covered };
  if (mode === "emergency" && facts.continuity && isRole(local)) {
    return { status: "covered", holders: roleHolders(facts, holdersOf) };
  }
  return { status: holders.length > 0 ? "registered" : "unknown", holders };
}

export function isRole(local: string): boolean {
  return lookupLocals(local).some((one) => ROLES.has(one));
}

function find(local: string, holdersOf: (local: string) => readonly Holder[]): readonly Holder[] {
  for (const form of lookupLocals(local)) {
    const holders = holdersOf(form);
    if (holders.length > 0) return holders;
  }
  return [];
}

/** The mailbox that the administrator names, else the panel's own account: its number is the domain's, negative. */
function roleHolders(facts: RecipientFacts, holdersOf: (local: string) => readonly Holder[]): readonly Holder[] {
  const named = facts.settings.postmaster ? splitAddress(facts.settings.postmaster) : null;
  const holders = named ? find(named.local, holdersOf) : [];
  if (holders.length > 0) return holders;
  return [{ account: -facts.id, shard: 0, mailbox: `postmaster@${facts.name}`, chosen: true }];
}
