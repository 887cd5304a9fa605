/** Messages of the archive index, one row an account. */
import { INDEX_TIMEOUT, REPEAT_WINDOW } from "../../core/limits.ts";
import type { MessageMeta } from "../archive/meta.ts";
import { within } from "./deadline.ts";

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
}

/** The columns of a `MessageRow`, of `message m` joined with its `account a`. */
export const MESSAGE_COLUMNS =
  "m.id, m.account, a.domain, m.direction, m.at, m.size, m.key, m.sender, m.subject, m.preview, m.meta";

export type StoredRow = Omit<MessageRow, "meta"> & { readonly meta: string };

export function messageRow<T extends StoredRow>(row: T): Omit<T, "meta"> & { readonly meta: MessageMeta } {
  return { ...row, meta: JSON.parse(row.meta) as MessageMeta };
}

/** Whose it may be shown to is for the caller to decide. */
export async function findMessage(db: D1Database, id: number): Promise<MessageRow | null> {
  const row = await within(
    db
      .prepare(`SELECT ${MESSAGE_COLUMNS} FROM message m JOIN account a ON a.id = m.account WHERE m.id = ?1`)
      .bind(id)
      .first<StoredRow>(),
    INDEX_TIMEOUT,
    "D1 read of a message",
  );
  return row && messageRow(row);
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

/**
 * Whether the account has this very message already (core/once.ts), from the last five days.
 * @param now unix milliseconds
 */
export async function findRepeat(
  db: D1Database,
  account: number,
  mid: string,
  once: string,
  now: number,
): Promise<boolean> {
  const row = await db
    .prepare("SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3 AND at >= ?4")
    .bind(account, mid, once, now - REPEAT_WINDOW)
    .first<number>("id");
  return row !== null;
}

/** The R2 keys with that prefix among the messages from that number on (expiry.ts tells the number). */
export async function keysFrom(db: D1Database, first: number, prefix: string): Promise<string[]> {
  const { results } = await within(
    db
      .prepare("SELECT DISTINCT key FROM message WHERE id >= ?1 AND key >= ?2 AND key < ?2 || '~'")
      .bind(first, prefix)
      .all<{ key: string }>(),
    INDEX_TIMEOUT,
    "D1 read of keys",
  );
  return results.map(({ key }) => key);
}
