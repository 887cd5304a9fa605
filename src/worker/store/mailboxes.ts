/** The mailboxes of the directory; their addresses are in addresses.ts. */
import { and, asc, count, eq, gt, inArray, sql } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { replaceAddresses } from "./addresses.ts";
import { within } from "./deadline.ts";
import { address, credential, mailbox, session } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";
import { bumpVersion } from "./domains.ts";

const SHARD_OF_PANEL = 0;

/** A mailbox with all its addresses. The password's hash never leaves this layer. */
export interface MailboxRow {
  readonly id: number;
  readonly domain: number;
  readonly address: string;
  readonly covered: boolean;
  readonly shard: number;
  readonly login: boolean;
  readonly alternate: string | null;
  readonly createdAt: number;
  /** Local parts beside the primary one, in alphabetical order. */
  readonly aliases: readonly string[];
}

export interface NewMailbox {
  readonly id: number;
  readonly address: string;
  /** Local part of the primary address in look-up form. */
  readonly local: string;
  readonly covered: boolean;
  readonly shard: number;
  /** A scrypt string, or null: no login. */
  readonly password: string | null;
  readonly alternate: string | null;
  /** Local parts in look-up form. */
  readonly aliases: readonly string[];
}

/** Absent: unchanged. */
export interface MailboxChange {
  readonly covered?: boolean;
  /** null takes the login away. */
  readonly password?: string | null;
  readonly alternate?: string | null;
  readonly aliases?: readonly string[];
}

const columns = {
  id: mailbox.id,
  domain: mailbox.domain,
  address: mailbox.address,
  covered: mailbox.covered,
  shard: mailbox.shard,
  login: sql<number>`${mailbox.password} IS NOT NULL`,
  alternate: mailbox.alternate,
  createdAt: mailbox.createdAt,
  /** JSON of all local parts, the primary one included. */
  locals: sql<string>`(SELECT json_group_array(${address.local}) FROM ${address} WHERE ${address.mailbox} = ${mailbox.id})`,
};

type Columns = {
  [K in Exclude<keyof MailboxRow, "login" | "aliases">]: MailboxRow[K];
} & { login: number; locals: string };

/** @param address in normal form */
export async function findMailbox(db: Directory, domainId: number, address: string): Promise<MailboxRow | null> {
  const [row] = await db
    .select(columns)
    .from(mailbox)
    .where(and(eq(mailbox.domain, domainId), eq(mailbox.address, address)));
  return row ? fromRow(row) : null;
}

export async function findMailboxById(db: Directory, id: number): Promise<MailboxRow | null> {
  const [row] = await db.select(columns).from(mailbox).where(eq(mailbox.id, id));
  return row ? fromRow(row) : null;
}

/** By address. @param after the last address of the page before, or empty */
export async function listMailboxes(
  db: Directory,
  domainId: number,
  after: string,
  limit: number,
): Promise<MailboxRow[]> {
  const rows = await db
    .select(columns)
    .from(mailbox)
    .where(and(eq(mailbox.domain, domainId), gt(mailbox.address, after)))
    .orderBy(asc(mailbox.address))
    .limit(limit);
  return rows.map(fromRow);
}

/** Which of these addresses are mailboxes already. */
export async function takenAddresses(db: Directory, addresses: readonly string[]): Promise<Set<string>> {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(addresses)}))`;
  const rows = await db.select({ address: mailbox.address }).from(mailbox).where(inArray(mailbox.address, wanted));
  return new Set(rows.map((row) => row.address));
}

/** The mailboxes of a domain that are not chosen for continuity: they lose it when coverage becomes `selected`. */
export async function unchosenMailboxes(db: Directory, domainId: number): Promise<{ id: number; shard: number }[]> {
  return db
    .select({ id: mailbox.id, shard: mailbox.shard })
    .from(mailbox)
    .where(and(eq(mailbox.domain, domainId), eq(mailbox.covered, false)));
}

export async function countMailboxes(db: Directory): Promise<{ domain: number; mailboxes: number }[]> {
  return db.select({ domain: mailbox.domain, mailboxes: count() }).from(mailbox).groupBy(mailbox.domain);
}

/** By shard. */
export async function mailboxesByShard(db: Directory): Promise<{ shard: number; mailboxes: number }[]> {
  return db.select({ shard: mailbox.shard, mailboxes: count() }).from(mailbox).groupBy(mailbox.shard);
}

/** The shards that a domain's mailboxes live on; the panel's own account is on the first. */
export async function shardsOfDomain(db: D1Database, domainId: number): Promise<number[]> {
  const { results } = await within(
    db.prepare("SELECT DISTINCT shard FROM mailbox WHERE domain = ?1").bind(domainId).all<{ shard: number }>(),
    INDEX_TIMEOUT,
    "D1 read of a domain's shards",
  );
  return [...new Set([SHARD_OF_PANEL, ...results.map(({ shard }) => shard)])];
}

/** The names of the domains whose mailboxes live on several shards. */
export async function spreadDomains({ DIRECTORY }: { readonly DIRECTORY: D1Database }): Promise<Set<string>> {
  const { results } = await within(
    DIRECTORY.prepare(
      `SELECT d.name FROM mailbox m JOIN domain d ON d.id = m.domain GROUP BY d.id HAVING min(m.shard) < max(m.shard)`,
    ).all<{ name: string }>(),
    INDEX_TIMEOUT,
    "D1 read of domains on several shards",
  );
  return new Set(results.map(({ name }) => name));
}

/** All of them or none. @returns false where an address or a number is taken by now */
export async function insertMailboxes(
  db: Directory,
  domainId: number,
  boxes: readonly NewMailbox[],
  now: number,
): Promise<boolean> {
  // One parameter for all: D1 takes 100 a statement and counts statements. The order is that of the schema's columns.
  const rows = sql`json_each(${JSON.stringify(boxes)}) AS box`;
  const batch = db.batch([
    bumpVersion(db, domainId),
    db.insert(mailbox).select(sql`SELECT value ->> 'id', ${domainId}, value ->> 'address', value ->> 'covered',
      value ->> 'shard', value ->> 'password', value ->> 'alternate', 0, ${now} FROM ${rows}`),
    db.insert(address).select(sql`SELECT ${domainId}, value ->> 'local', value ->> 'id' FROM ${rows}`),
    db.insert(address).select(sql`SELECT ${domainId}, alias.value, box.value ->> 'id'
      FROM ${rows}, json_each(box.value, '$.aliases') AS alias`),
  ]);
  try {
    await batch;
    return true;
  } catch (error) {
    if (isTaken(error)) return false;
    throw error;
  }
}

/** D1 tells it in words only; drizzle wraps its error. */
function isTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message.includes("UNIQUE constraint failed: mailbox.") || isTaken(error.cause);
}

/** A new password, or none, also ends the sessions that rest on the old one. @param local of the primary address */
export async function updateMailbox(
  db: Directory,
  box: MailboxRow,
  local: string,
  change: MailboxChange,
): Promise<void> {
  const { aliases, ...columnsChanged } = change;
  const statements: BatchItem<"sqlite">[] = [];
  if (Object.keys(columnsChanged).length > 0) {
    statements.push(db.update(mailbox).set(columnsChanged).where(eq(mailbox.id, box.id)));
  }
  if (change.password !== undefined) statements.push(db.delete(session).where(eq(session.mailbox, box.id)));
  if (aliases) statements.push(...replaceAddresses(db, box.domain, box.id, [local, ...aliases]));
  await db.batch([bumpVersion(db, box.domain), ...statements]);
}

/** Its archive stays until retention takes it; only the directory forgets the mailbox. */
export async function deleteMailbox(db: Directory, box: MailboxRow): Promise<void> {
  await db.batch([
    bumpVersion(db, box.domain),
    db.delete(session).where(eq(session.mailbox, box.id)),
    db.delete(credential).where(eq(credential.mailbox, box.id)),
    db.delete(address).where(eq(address.mailbox, box.id)),
    db.delete(mailbox).where(eq(mailbox.id, box.id)),
  ]);
}

function fromRow({ locals, login, ...row }: Columns): MailboxRow {
  const primary = row.address.slice(0, row.address.lastIndexOf("@"));
  const all = JSON.parse(locals) as string[];
  return { ...row, login: Boolean(login), aliases: all.filter((local) => local !== bare(primary)).sort() };
}

/** Address rows hold the look-up form, without the quotes that the written address may need. */
function bare(local: string): string {
  return local.startsWith('"') ? local.slice(1, -1).replace(/\\(.)/g, "$1") : local;
}
