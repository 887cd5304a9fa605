/** Messages in the folders of the portal. Each change is one batch with the account's counter, and a repeat changes nothing. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { DELETED } from "./flags.ts";
import { FOLDER_STRIDE } from "./folders.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "./messages.ts";

export interface PlacedMessage extends MessageRow {
  /** Of the placement: `folder * 2^32 + uid`. */
  readonly id: number;
  readonly folder: number;
  /** The message's own number. */
  readonly message: number;
  /** Bits, see flags.ts. */
  readonly flags: number;
  /** Above zero: in the backlog; below: refused by the origin; see shard.schema.ts. */
  readonly waiting: number | null;
  /** JSON of the origin's reply. */
  readonly refusal: string | null;
}

type StoredPlacement = StoredRow & Omit<PlacedMessage, keyof MessageRow | "folder"> & { readonly message: number };

// The later `id` of a row wins: that of the placement.
const COLUMNS = `${MESSAGE_COLUMNS}, p.message, p.flags, p.waiting, p.refusal, p.id`;
const FROM = "FROM placement p JOIN message m ON m.id = p.message JOIN account a ON a.id = m.account";

function placed(row: StoredPlacement): PlacedMessage {
  return { ...messageRow(row), folder: Math.floor(row.id / FOLDER_STRIDE) };
}

/** @returns null where it is not there, or not this account's */
export async function findPlacement(db: D1Database, account: number, id: number): Promise<PlacedMessage | null> {
  const row = await within(
    db
      .prepare(`SELECT ${COLUMNS}, m.structure ${FROM} WHERE p.id = ?1 AND p.account = ?2 AND p.gone IS NULL`)
      .bind(id, account)
      .first<StoredPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of a message in a folder",
  );
  return row && placed(row);
}

/** Newest first. @param before the last of the page before; null begins with the newest */
export async function listPlacements(
  db: D1Database,
  account: number,
  folder: number,
  before: number | null,
  limit: number,
): Promise<PlacedMessage[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${COLUMNS} ${FROM} WHERE p.id > ?1 AND p.id < ?2 AND p.account = ?3 AND p.gone IS NULL AND p.flags & ${DELETED} = 0
         ORDER BY p.id DESC LIMIT ?4`,
      )
      .bind(
        folder * FOLDER_STRIDE,
        Math.min(before ?? Number.MAX_SAFE_INTEGER, (folder + 1) * FOLDER_STRIDE),
        account,
        limit,
      )
      .all<StoredPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of a folder",
  );
  return results.map(placed);
}

const SEQ = "(SELECT seq FROM account WHERE id = placement.account)";

/** The counter's step, only where there is something to be changed. @param theirs a condition on `placement p`, of `values` from ?2 on */
function step(db: D1Database, account: number, theirs: string, ...values: (string | number)[]): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE account SET seq = seq + 1 WHERE id = ?1 AND EXISTS
         (SELECT 1 FROM placement p WHERE p.account = ?1 AND p.gone IS NULL AND ${theirs})`,
    )
    .bind(account, ...values);
}

/**
 * Into another folder of the account, with a new UID; it is no longer in the backlog there. Into the folder where it is,
 * nothing changes: it goes on waiting.
 * @returns the new placement; null where the message is not there any more, or the folder is none of the account's
 */
export async function movePlacement(
  db: D1Database,
  account: number,
  id: number,
  folder: number,
): Promise<number | null> {
  if (Math.floor(id / FOLDER_STRIDE) === folder) return (await findPlacement(db, account, id))?.id ?? null;
  const theirs = `p.id = ?2 AND EXISTS (SELECT 1 FROM folder f WHERE f.id = ?3 AND f.account = ?1 AND f.gone IS NULL)`;
  const results = await within(
    db.batch<{ id: number }>([
      step(db, account, theirs, id, folder),
      db
        .prepare(
          `INSERT INTO placement (id, account, message, modseq, created, flags, keywords, refusal, internal_at)
           SELECT ?3 * ${FOLDER_STRIDE} + a.seq, p.account, p.message, a.seq, a.seq, p.flags, p.keywords, p.refusal, p.internal_at
           FROM placement p JOIN account a ON a.id = p.account
           WHERE p.account = ?1 AND p.gone IS NULL AND ${theirs} RETURNING id`,
        )
        .bind(account, id, folder),
      leave(db, account, id, "changes() > 0"),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of a move",
  );
  return results[1]?.results[0]?.id ?? null;
}

/** Out of the portal; the archive keeps its copy. */
export async function removePlacement(db: D1Database, account: number, id: number): Promise<void> {
  await within(
    db.batch([step(db, account, "p.id = ?2", id), leave(db, account, id, "true")]),
    INDEX_TIMEOUT,
    "D1 batch of a removal",
  );
}

function leave(db: D1Database, account: number, id: number, where: string): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE placement SET gone = ${SEQ}, modseq = ${SEQ}, waiting = NULL
       WHERE id = ?1 AND account = ?2 AND gone IS NULL AND ${where}`,
    )
    .bind(id, account);
}

/** Those that have these flags already are not touched. @param change bits to set and to clear (flags.ts) */
export async function setFlags(
  db: D1Database,
  account: number,
  ids: readonly number[],
  change: { readonly add: number; readonly remove: number },
): Promise<void> {
  const list = JSON.stringify(ids);
  await within(
    db.batch([
      step(
        db,
        account,
        "p.id IN (SELECT value FROM json_each(?2)) AND (p.flags | ?3) & ~?4 <> p.flags",
        list,
        change.add,
        change.remove,
      ),
      db
        .prepare(
          `UPDATE placement SET flags = (flags | ?3) & ~?4, modseq = ${SEQ}
           WHERE id IN (SELECT value FROM json_each(?2)) AND account = ?1 AND gone IS NULL AND (flags | ?3) & ~?4 <> flags`,
        )
        .bind(account, list, change.add, change.remove),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of flags",
  );
}

/**
 * A message of the archive into its account's inbox again, as a person asked: no part of the backlog.
 * @throws where the account has no inbox: nobody would see it
 */
export async function placeInInbox(db: D1Database, account: number, message: number): Promise<void> {
  const results = await within(
    db.batch<{ id: number }>([
      db.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(account),
      db
        .prepare(
          `INSERT INTO placement (id, account, message, modseq, created)
           SELECT f.id * ${FOLDER_STRIDE} + a.seq, a.id, ?2, a.seq, a.seq
           FROM account a JOIN folder f ON f.account = a.id AND f.role = 'inbox' WHERE a.id = ?1 RETURNING id`,
        )
        .bind(account, message),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of a redelivery",
  );
  if (!results[1]?.results[0]) throw new Error(`account ${account} has no inbox`);
}
