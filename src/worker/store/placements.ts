/** Messages in the folders of the portal, read. Each page reads rows in proportion to what it returns. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { DELETED } from "./flags.ts";
import { FOLDER_STRIDE } from "./folders.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "./messages.ts";

export interface PlacedMessage extends MessageRow {
  /** Of the placement: `folder * 2^32 + uid`. */
  readonly id: number;
  readonly folder: number;
  readonly uid: number;
  /** The message's own number. */
  readonly message: number;
  readonly thread: number;
  readonly modseq: number;
  /** MODSEQ at which it came to be here. */
  readonly created: number;
  /** Bits, see flags.ts. */
  readonly flags: number;
  /** JSON list; null: none. */
  readonly keywords: string | null;
  /** Above zero: in the backlog; below: refused by the origin; see shard.schema.ts. */
  readonly waiting: number | null;
  /** JSON of the origin's reply. */
  readonly refusal: string | null;
  /** INTERNALDATE, unix milliseconds. */
  readonly internalAt: number;
}

/** What there is without the message: enough for flags, searches by them, and who keeps a copy of the folder. */
export interface Entry {
  readonly id: number;
  readonly message: number;
  readonly modseq: number;
  readonly flags: number;
  readonly keywords: string | null;
  readonly waiting: number | null;
}

/** The same with what lists of sizes and dates want of the message. */
export interface Facts extends Entry {
  /** Octets. */
  readonly size: number;
  /** INTERNALDATE, unix milliseconds. */
  readonly internalAt: number;
}

export type StoredPlacement = StoredRow &
  Omit<PlacedMessage, keyof MessageRow | "folder" | "uid"> & { readonly message: number };

/** Of `placement p`, `message m` and `account a`. The later `id` of a row wins: that of the placement. */
export const PLACED_COLUMNS = `${MESSAGE_COLUMNS}, m.thread, p.message, p.modseq, p.created, p.flags, p.keywords, p.waiting, p.refusal,
  coalesce(p.internal_at, m.at) AS internalAt, p.id`;
const ENTRY = "p.id, p.message, p.modseq, p.flags, p.keywords, p.waiting";
// In this order: what is in the folder leads to its message, never the other way round.
const MESSAGES = "CROSS JOIN message m ON m.id = p.message CROSS JOIN account a ON a.id = p.account";
const FOLDER = `placement p INDEXED BY placement_live`;
const WITHIN = `p.id > ?2 * ${FOLDER_STRIDE} AND p.id BETWEEN ?3 AND ?4 AND p.account = ?1 AND p.gone IS NULL`;

export function placed(row: StoredPlacement): PlacedMessage {
  return { ...messageRow(row), ...whereIs(row.id) };
}

export const whereIs = (id: number): { readonly folder: number; readonly uid: number } => ({
  folder: Math.floor(id / FOLDER_STRIDE),
  uid: id % FOLDER_STRIDE,
});

/** @returns null where it is not there, or not this account's */
export async function findPlacement(db: D1Database, account: number, id: number): Promise<PlacedMessage | null> {
  const row = await within(
    db
      .prepare(
        `SELECT ${PLACED_COLUMNS}, m.structure FROM placement p ${MESSAGES} WHERE p.id = ?1 AND p.account = ?2 AND p.gone IS NULL`,
      )
      .bind(id, account)
      .first<StoredPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of a message in a folder",
  );
  return row && placed(row);
}

export interface FolderPage {
  readonly folder: number;
  /** UIDs, inclusive; absent: from the first, to the last. */
  readonly from?: number;
  readonly to?: number;
  readonly order: "newest" | "oldest";
  /** Whether those that are flagged \Deleted are among them: IMAP shows them, nobody else does. */
  readonly deleted: boolean;
  readonly limit: number;
}

export async function pageOfFolder(db: D1Database, account: number, page: FolderPage): Promise<PlacedMessage[]> {
  return (await readPage<StoredPlacement>(db, account, page, PLACED_COLUMNS, MESSAGES)).map(placed);
}

/** The same without the messages: a third of the rows. */
export function entriesOfFolder(db: D1Database, account: number, page: FolderPage): Promise<Entry[]> {
  return readPage<Entry>(db, account, page, ENTRY, "");
}

export function factsOfFolder(db: D1Database, account: number, page: FolderPage): Promise<Facts[]> {
  const columns = `${ENTRY}, m.size, coalesce(p.internal_at, m.at) AS internalAt`;
  return readPage<Facts>(db, account, page, columns, "CROSS JOIN message m ON m.id = p.message");
}

async function readPage<T>(
  db: D1Database,
  account: number,
  { folder, from = 1, to = FOLDER_STRIDE - 1, order, deleted, limit }: FolderPage,
  columns: string,
  joins: string,
): Promise<T[]> {
  const base = folder * FOLDER_STRIDE;
  const { results } = await within(
    db
      .prepare(
        `SELECT ${columns} FROM ${FOLDER} ${joins} WHERE ${WITHIN} ${deleted ? "" : `AND p.flags & ${DELETED} = 0`}
         ORDER BY p.id ${order === "newest" ? "DESC" : "ASC"} LIMIT ?5`,
      )
      .bind(account, folder, base + Math.max(1, from), base + Math.min(to, FOLDER_STRIDE - 1), limit)
      .all<T>(),
    INDEX_TIMEOUT,
    "D1 read of a folder",
  );
  return results;
}

/** Newest first, as people see a folder. @param before the last of the page before; null begins with the newest */
export function listPlacements(
  db: D1Database,
  account: number,
  folder: number,
  before: number | null,
  limit: number,
): Promise<PlacedMessage[]> {
  const to = before === null ? {} : { to: before - folder * FOLDER_STRIDE - 1 };
  return pageOfFolder(db, account, { folder, ...to, order: "newest", deleted: false, limit });
}

/** By number; those that are not there, or not this account's, are left out. */
export async function placementsById(
  db: D1Database,
  account: number,
  ids: readonly number[],
): Promise<PlacedMessage[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${PLACED_COLUMNS} FROM json_each(?2) e CROSS JOIN placement p ON p.id = e.value ${MESSAGES}
         WHERE p.account = ?1 AND p.gone IS NULL ORDER BY e.key`,
      )
      .bind(account, JSON.stringify(ids))
      .all<StoredPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of messages",
  );
  return results.map(placed);
}

/** A conversation over all folders, oldest first. */
export async function placementsOfThread(
  db: D1Database,
  account: number,
  thread: number,
  limit: number,
): Promise<PlacedMessage[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${PLACED_COLUMNS} FROM message m INDEXED BY message_thread
         CROSS JOIN placement p INDEXED BY placement_message ON p.message = m.id CROSS JOIN account a ON a.id = p.account
         WHERE m.thread = ?2 AND m.account = ?1 AND p.gone IS NULL AND p.flags & ${DELETED} = 0 ORDER BY m.id, p.id LIMIT ?3`,
      )
      .bind(account, thread, limit)
      .all<StoredPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of a conversation",
  );
  return results.map(placed);
}

/** Where messages lie: all placements of each, over all folders. @param messages their own numbers */
export async function placementsOfMessages(
  db: D1Database,
  account: number,
  messages: readonly number[],
): Promise<Entry[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${ENTRY} FROM json_each(?2) e CROSS JOIN placement p INDEXED BY placement_message ON p.message = e.value
         WHERE p.account = ?1 AND p.gone IS NULL ORDER BY p.id`,
      )
      .bind(account, JSON.stringify(messages))
      .all<Entry>(),
    INDEX_TIMEOUT,
    "D1 read of where messages lie",
  );
  return results;
}

/** What is flagged \Deleted in a folder, oldest first: what EXPUNGE removes. Reads up to the last of them. */
export async function deletedIn(db: D1Database, account: number, folder: number, limit: number): Promise<number[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id FROM ${FOLDER} WHERE ${WITHIN} AND p.flags & ${DELETED} <> 0 ORDER BY p.id
         LIMIT min(?5, (SELECT deleted FROM folder WHERE id = ?2 AND account = ?1))`,
      )
      .bind(account, folder, folder * FOLDER_STRIDE, (folder + 1) * FOLDER_STRIDE - 1, limit)
      .all<{ id: number }>(),
    INDEX_TIMEOUT,
    "D1 read of what is to be expunged",
  );
  return results.map(({ id }) => id);
}

/** What an act on messages has to know before. */
export interface Known {
  readonly id: number;
  /** R2 key. */
  readonly key: string;
  /** The envelope recipient. */
  readonly to: string;
  /** Above zero: in the backlog. */
  readonly waiting: number | null;
  readonly flags: number;
}

/** By number; those that are not there, or not this account's, are left out. */
export async function knownPlacements(db: D1Database, account: number, ids: readonly number[]): Promise<Known[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id, m.key, m.meta ->> '$.envelope.to' AS "to", p.waiting, p.flags
         FROM json_each(?2) e CROSS JOIN placement p ON p.id = e.value CROSS JOIN message m ON m.id = p.message
         WHERE p.account = ?1 AND p.gone IS NULL`,
      )
      .bind(account, JSON.stringify(ids))
      .all<Known>(),
    INDEX_TIMEOUT,
    "D1 read of messages",
  );
  return results;
}
