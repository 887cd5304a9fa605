/** Customers' own servers that send through us. */
import { and, asc, count, eq, inArray, or, sql } from "drizzle-orm";
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { domain, relay } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";

export interface RelayRow {
  readonly id: number;
  /** The domain's number. */
  readonly domain: number;
  readonly kind: "login" | "address" | "certificate";
  /** The login name; the range; the certificate's SHA-256, hexadecimal. */
  readonly value: string;
  /** Of a login: SHA-256 of its secret, hexadecimal. */
  readonly hash: string | null;
  /** Names of domains in normal form. */
  readonly senders: readonly string[];
  readonly label: string;
  readonly actor: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** With the name of its domain. */
export interface KnownRelay extends RelayRow {
  readonly domainName: string;
}

export async function listRelays(db: Directory, domainId: number): Promise<RelayRow[]> {
  const rows = await db.select().from(relay).where(eq(relay.domain, domainId)).orderBy(asc(relay.id));
  return rows.map((row) => ({ ...row, senders: sendersOf(row.senders) }));
}

export async function countRelays(db: Directory, domainId: number): Promise<number> {
  const [row] = await db.select({ relays: count() }).from(relay).where(eq(relay.domain, domainId));
  return row?.relays ?? 0;
}

/** @returns its number */
export async function insertRelay(db: Directory, row: Omit<RelayRow, "id">): Promise<number> {
  const [made] = await db
    .insert(relay)
    .values({ ...row, senders: JSON.stringify(row.senders) })
    .returning({ id: relay.id });
  if (!made) throw new Error("the directory did not keep the relay");
  return made.id;
}

/** @returns false where the domain has none of that number */
export async function deleteRelay(db: Directory, domainId: number, id: number): Promise<boolean> {
  const { meta } = await db.delete(relay).where(and(eq(relay.domain, domainId), eq(relay.id, id)));
  return meta.changes > 0;
}

export async function findRelay(db: Directory, id: number): Promise<KnownRelay | null> {
  const [found] = await known(db, eq(relay.id, id), "a relay");
  return found ?? null;
}

/** @param username in lower case */
export async function findRelayLogin(db: Directory, username: string): Promise<KnownRelay | null> {
  const [found] = await known(db, and(eq(relay.kind, "login"), eq(relay.value, username)), "a relay's login");
  return found ?? null;
}

/**
 * Those that a connection shows itself to be, in the order in which they were made.
 * @param ranges all that its address is in
 * @param certificate SHA-256, hexadecimal
 */
export function findRelaysOf(db: Directory, ranges: readonly string[], certificate?: string): Promise<KnownRelay[]> {
  const listed = sql`(SELECT value FROM json_each(${JSON.stringify(ranges)}))`;
  const address = and(eq(relay.kind, "address"), inArray(relay.value, listed));
  const shown =
    certificate === undefined ? undefined : and(eq(relay.kind, "certificate"), eq(relay.value, certificate));
  return known(db, or(address, shown), "the relays of a connection");
}

async function known(db: Directory, which: ReturnType<typeof and>, what: string): Promise<KnownRelay[]> {
  const read = db
    .select({ row: relay, domainName: domain.name })
    .from(relay)
    .innerJoin(domain, eq(domain.id, relay.domain))
    .where(which)
    .orderBy(asc(relay.id));
  const rows = await within(read, INDEX_TIMEOUT, `D1 read of ${what}`);
  return rows.map(({ row, domainName }) => ({ ...row, senders: sendersOf(row.senders), domainName }));
}

/** Only this file writes it. */
const sendersOf = (json: string): string[] => JSON.parse(json) as string[];
