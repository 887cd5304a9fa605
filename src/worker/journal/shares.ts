/** Whose a journalled message is: outgoing for those who sent it, incoming for colleagues who have it. */
import { lookupLocals, parseAddress, splitAddress } from "../../core/address.ts";
import { resolveRecipient } from "../decide/recipient.ts";
import { entryFor } from "../domain/directory.ts";
import type { Env } from "../env.ts";
import type { Journalled } from "./read.ts";

export interface Share {
  readonly account: number;
  readonly shard: number;
  /** The domain's number. */
  readonly domain: number;
  /** As it was written. */
  readonly address: string;
}

/** `out` empty: it came from outside, so it was archived on its way in, or is nobody's here. */
export interface Shares {
  readonly out: readonly Share[];
  readonly in: readonly Share[];
}

/**
 * The directory is asked once for each domain, however many recipients there are: of a message to all of a company some thousands.
 * @param domains whose mail the journal address keeps, in normal form
 * @throws where the directory does not answer
 */
export async function sharesOf(
  env: Env,
  { authors, recipients }: Pick<Journalled, "authors" | "recipients">,
  domains: readonly string[],
): Promise<Shares> {
  const [sent, had] = [among(authors, domains), among(recipients, domains)];
  if (sent.length === 0) return { out: [], in: [] };
  const shares = { out: new Map<number, Share>(), in: new Map<number, Share>() };
  for (const domain of new Set([...sent, ...had].map((one) => one.domain))) {
    const locals = [...sent, ...had].filter((one) => one.domain === domain).flatMap(({ local }) => lookupLocals(local));
    const entry = await entryFor(env, domain, [...new Set(locals)]);
    if (!entry) continue;
    for (const [direction, addresses] of [["out", sent] as const, ["in", had] as const]) {
      for (const { local, address } of addresses.filter((one) => one.domain === domain)) {
        // As in normal mode: postmaster@ without a mailbox is nobody's.
        const found = resolveRecipient(entry.facts, "normal", local, (form) => entry.holders.get(form) ?? []);
        if (found.status !== "covered") continue;
        for (const { account, shard } of found.holders) {
          if (shares[direction].has(account)) continue;
          shares[direction].set(account, { account, shard, domain: entry.facts.id, address });
        }
      }
    }
  }
  return { out: [...shares.out.values()], in: [...shares.in.values()] };
}

interface Theirs {
  /** As it was written. */
  readonly address: string;
  readonly local: string;
  /** In normal form. */
  readonly domain: string;
}

function among(addresses: readonly string[], domains: readonly string[]): Theirs[] {
  return addresses.flatMap((address) => {
    const parsed = parseAddress(address);
    if (!parsed.ok || !domains.includes(parsed.value.domain)) return [];
    return [{ address, local: splitAddress(parsed.value.address)?.local ?? "", domain: parsed.value.domain }];
  });
}
