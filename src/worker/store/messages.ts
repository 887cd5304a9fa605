/** Messages of the archive index, one row an account. */
import { INDEX_TIMEOUT, REPEAT_WINDOW } from "../../core/limits.ts";
import type { MessageMeta } from "../archive/meta.ts";
import { within } from "./deadline.ts";
import { shownHere } from "./moved.ts";

export interface MessageRow {
  readonly id: number;
  readonly account: number;
  /** The number of the account's domain. */
  readonly domain: number;
  readonly direction: "in" | "out";
  /** Unix milliseconds. */
  readonly at: number;
  /** Octets in R2. */
  readonly size: number;
  readonly key: string;
  readonly sender: string;
  readonly subject: string;
  readonly preview: string;
  readonly meta: MessageMeta;
  /** JSON, of a message that was read by itself: see the column. */
  readonly structure?: string | null;
}

/** The columns of a `MessageRow`, of `message m` joined with its `account a`. */
export const MESSAGE_COLUMNS =
  "m.id, m.account, a.domain, m.direction, m.at, m.size, m.key, m.sender, m.subject, m.preview, m.meta";

export type StoredRow = Omit<MessageRow, "meta"> & { readonly meta: string };

export function messageRow<T extends StoredRow>(row: T): Omit<T, "meta"> & { readonly meta: MessageMeta } {
  return { ...row, meta: JSON.parse(row.meta) as MessageMeta };
}

/**
 * Of the archive. Whose it may be shown to is for the caller to decide. Null too where its mailbox has moved: it has another number
 * there.
 */
export async function findMessage(db: D1Database, id: number): Promise<MessageRow | null> {
  const row = await within(
    db
      .prepare(`SELECT ${MESSAGE_COLUMNS}, m.structure FROM message m JOIN account a ON a.id = m.account WHERE m.id = ?1
           AND m.number > 0 AND ${shownHere("a")}`)
      .bind(id)
      .first<StoredRow>(),
    INDEX_TIMEOUT,
    "D1 read of a message",
  );
  return row && messageRow(row);
}

/** Any of an account's messages, those that its owner put there too. */
export async function messageOfAccount(db: D1Database, account: number, id: number): Promise<MessageRow | null> {
  const row = await within(
    db
      .prepare(
        `SELECT ${MESSAGE_COLUMNS}, m.structure FROM message m JOIN account a ON a.id = m.account
         WHERE m.id = ?2 AND m.account = ?1`,
      )
      .bind(account, id)
      .first<StoredRow>(),
    INDEX_TIMEOUT,
    "D1 read of a message",
  );
  return row && messageRow(row);
}

/** Where a message was put first, whether it is still there or not. By its names, see core/once.ts. */
export async function firstPlacement(
  db: D1Database,
  account: number,
  mid: string,
  once: string,
): Promise<{ readonly id: number; readonly size: number } | null> {
  return await within(
    db
      .prepare(
        `SELECT p.id, m.size FROM message m CROSS JOIN placement p INDEXED BY placement_message ON p.message = m.id
         WHERE m.account = ?1 AND m.mid = ?2 AND m.once = ?3 ORDER BY p.created LIMIT 1`,
      )
      .bind(account, mid, once)
      .first<{ id: number; size: number }>(),
    INDEX_TIMEOUT,
    "D1 read of a stored message",
  );
}

/** The account's own row of a message that came for several, or was copied to it: told by its octets. */
export async function findCopy(db: D1Database, account: number, mid: string, key: string): Promise<number | null> {
  return await within(
    db
      .prepare("SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND key = ?3")
      .bind(account, mid, key)
      .first<number>("id"),
    INDEX_TIMEOUT,
    "D1 read of a message",
  );
}

/** What an account has of a message that comes again. */
export interface Repeated extends Pick<MessageRow, "id" | "key" | "at" | "size"> {
  readonly receipt: MessageMeta["receipt"];
}

/**
 * This very message (core/once.ts) of the last five days, where the account has it already.
 * @param now unix milliseconds
 */
export async function findRepeat(
  db: D1Database,
  account: number,
  mid: string,
  once: string,
  now: number,
): Promise<Repeated | null> {
  const row = await db
    .prepare(
      `SELECT id, key, at, size, meta ->> '$.receipt' AS receipt FROM message
       WHERE account = ?1 AND mid = ?2 AND once = ?3 AND at >= ?4`,
    )
    .bind(account, mid, once, now - REPEAT_WINDOW)
    .first<Omit<Repeated, "receipt"> & { readonly receipt: string }>();
  return row && { ...row, receipt: JSON.parse(row.receipt) as Repeated["receipt"] };
}

/** Whether a folder of the portal has or had it: else the origin took it at once, and the archive alone has a copy. */
export async function wasPlaced(db: D1Database, message: number): Promise<boolean> {
  const row = db.prepare("SELECT 1 AS placed FROM placement WHERE message = ?1 LIMIT 1").bind(message).first();
  return (await within(row, INDEX_TIMEOUT, "D1 read of a placement")) !== null;
}

/** The R2 keys with that prefix among the messages between two numbers (expiry.ts tells them). */
export async function keysBetween(
  db: D1Database,
  range: { readonly from: number; readonly to: number },
  prefix: string,
): Promise<string[]> {
  const { results } = await within(
    db
      .prepare("SELECT DISTINCT key FROM message WHERE id >= ?1 AND id < ?2 AND key >= ?3 AND key < ?3 || '~'")
      .bind(range.from, range.to, prefix)
      .all<{ key: string }>(),
    INDEX_TIMEOUT,
    "D1 read of keys",
  );
  return results.map(({ key }) => key);
}

/** What the index has of a message, by one of its names or by its octets. */
export interface SameMessage {
  /** The place of the question. */
  readonly question: number;
  readonly id: number;
  readonly key: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly once: string;
}

/** @param questions of each, (account, mid), the names that it may have there (core/once.ts), and its object's name */
export async function findSame(
  db: D1Database,
  questions: readonly {
    readonly account: number;
    readonly mid: string;
    readonly names: readonly string[];
    readonly object: string;
  }[],
): Promise<SameMessage[]> {
  const list = JSON.stringify(questions.map(({ account, mid, names, object }) => [account, mid, names, object]));
  const { results } = await within(
    db
      .prepare(
        `SELECT e.key AS question, m.id, m.key, m.at, m.once FROM json_each(?1) e
         CROSS JOIN message m ON m.account = e.value ->> 0 AND m.mid = e.value ->> 1
         WHERE m.once IN (SELECT value FROM json_each(e.value, '$[2]')) OR substr(m.key, -26) = e.value ->> 3`,
      )
      .bind(list)
      .all<SameMessage>(),
    INDEX_TIMEOUT,
    "D1 look-up of messages",
  );
  return results;
}

/** Rows looked at for `rowsNear`, at most: what it does not find is found by reading the octets. */
const MAX_NEAR = 5_000;

/**
 * Which accounts have rows of some objects, looked for among the rows between two numbers (expiry.ts tells them).
 * @param names of the objects: the last 26 characters of their keys
 */
export async function rowsNear(
  db: D1Database,
  range: { readonly from: number; readonly to: number },
  names: readonly string[],
): Promise<{ id: number; account: number; name: string }[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, account, substr(key, -26) AS name
         FROM (SELECT id, account, key FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ${MAX_NEAR})
         WHERE substr(key, -26) IN (SELECT value FROM json_each(?3))`,
      )
      .bind(range.from, range.to, JSON.stringify(names))
      .all<{ id: number; account: number; name: string }>(),
    INDEX_TIMEOUT,
    "D1 read of keys",
  );
  return results;
}

/** Another name, so that it is not taken for what the name says. */
export async function renameMessage(db: D1Database, id: number, from: string, to: string): Promise<void> {
  await within(
    db.prepare("UPDATE OR IGNORE message SET once = ?3 WHERE id = ?1 AND once = ?2").bind(id, from, to).run(),
    INDEX_TIMEOUT,
    "D1 update of a name",
  );
}
