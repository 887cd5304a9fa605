/** A message of a person's: from an address of their own and no other, to whom its header or the request says. */
import { lookupLocals, parseAddress, splitAddress } from "../../core/address.ts";
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { type Mailbox, mailboxes } from "../../core/mime/addresses.ts";
import type { Header } from "../../core/mime/header.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import type { User } from "../identity/principal.ts";
import { within } from "../store/deadline.ts";
import { directory } from "../store/directory.ts";
import { type DomainRow, findDomainById } from "../store/domains.ts";
import { findMailboxById } from "../store/mailboxes.ts";
import type { Writer } from "./contract.ts";

export interface Author {
  readonly writer: Extract<Writer, { kind: "mailbox" }>;
  readonly domain: DomainRow;
  /** The primary address. */
  readonly address: string;
  /** Whether mail for this address is theirs, so that they may write from it; with a plus-tag too. */
  owns(address: string): boolean;
}

/** @returns null where the mailbox is not there any more. @throws where the directory does not answer */
export async function authorOf(env: Env, user: Pick<User, "mailbox" | "domain">): Promise<Author | null> {
  const db = directory(env);
  const reading = Promise.all([findMailboxById(db, user.mailbox), findDomainById(db, user.domain, { kind: "all" })]);
  const [box, domain] = await within(reading, INDEX_TIMEOUT, "D1 read of an author");
  if (!box || !domain) return null;
  const covered = domain.continuity && (domain.coverage === "all" || box.covered);
  const primary = lookupLocals(splitAddress(box.address)?.local ?? "")[0] ?? "";
  const locals = new Set([primary, ...box.aliases]);
  return {
    writer: { kind: "mailbox", account: box.id, shard: box.shard, covered, name: box.address },
    domain,
    address: box.address,
    owns(address) {
      const parsed = parseAddress(address);
      if (!parsed.ok || parsed.value.domain !== domain.name) return false;
      return lookupLocals(parsed.value.local).some((local) => locals.has(local));
    },
  };
}

/** What is wrong, with the field that it is about. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/**
 * The envelope's sender: the one From, which is the author's own. RFC 6409 §6.1: what is not, is refused.
 * @returns the address in normal form
 */
export function senderOf(author: Author, header: Header): Result<string, FieldProblem> {
  const named = (name: string) => header.fields.filter((field) => field.name === name);
  const from = named("from");
  const [only, ...others] = from.flatMap(({ value }) => mailboxes(value, null));
  if (!only || from.length !== 1 || others.length > 0) {
    return err({ field: "from", message: "must be there once, with one address" });
  }
  const senders = named("sender").flatMap(({ value }) => mailboxes(value, null));
  for (const [field, { address }] of [["from", only] as const, ...senders.map((one) => ["sender", one] as const)]) {
    if (!author.owns(address)) return err({ field, message: notOwn(address) });
  }
  const parsed = parseAddress(only.address);
  return parsed.ok ? ok(parsed.value.address) : err({ field: "from", message: notOwn(only.address) });
}

export const notOwn = (address: string): string =>
  `${JSON.stringify(address)} is not an address of your mailbox: use your own, or an alias of it`;

/** To, Cc and Bcc, each address once. */
export function recipientsIn(header: Header): Result<string[], FieldProblem> {
  const fields = header.fields.filter(({ name }) => name === "to" || name === "cc" || name === "bcc");
  return recipientsOf(fields.map(({ name, value }) => ({ field: name, people: mailboxes(value, null) })));
}

/** Each address once, with the domain in the form that goes over the wire. */
export function recipientsOf(
  lists: readonly { readonly field: string; readonly people: readonly Mailbox[] }[],
): Result<string[], FieldProblem> {
  const found = new Map<string, string>();
  for (const { field, people } of lists) {
    for (const { address } of people) {
      const parsed = parseAddress(address);
      if (!parsed.ok) return err({ field, message: `${JSON.stringify(address)} is not an address` });
      const local = splitAddress(address.trim())?.local ?? "";
      if (!found.has(parsed.value.address)) found.set(parsed.value.address, `${local}@${parsed.value.domain}`);
    }
  }
  return ok([...found.values()]);
}

/** RFC 6531 §3.4: addresses, or fields, beyond ASCII. */
export function needsSmtpUtf8(addresses: readonly string[], header: Header | null): boolean {
  const beyond = (text: string): boolean => /[^\0-\x7f]/.test(text);
  return addresses.some(beyond) || (header?.fields.some(({ value }) => beyond(value)) ?? false);
}
