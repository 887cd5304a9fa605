/** What has changed in an account since a MODSEQ, for any consumer; and how long that is known. */
import { CHANGE_DAYS, INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { FOLDER_STRIDE } from "./folders.ts";

export interface AccountState {
  /** The state of everything in the account: what has a higher MODSEQ came later. */
  readonly seq: number;
  /** What changed up to here may be forgotten. */
  readonly purged: number;
}

/** @returns null where the account is not on this shard */
export async function accountState(db: D1Database, account: number): Promise<AccountState | null> {
  return within(
    db.prepare("SELECT seq, purged FROM account WHERE id = ?1").bind(account).first<AccountState>(),
    INDEX_TIMEOUT,
    "D1 read of a state",
  );
}

export interface ChangedPlacement {
  /** `folder * 2^32 + uid`. */
  readonly id: number;
  /** The message's own number; what it names may be gone with it. */
  readonly message: number;
  readonly modseq: number;
  /** MODSEQ at which it came to be here. */
  readonly created: number;
  /** MODSEQ at which it left; null: it is there. */
  readonly gone: number | null;
  readonly flags: number;
  readonly keywords: string | null;
}

/**
 * In the order of their last change. A page ends between two MODSEQs, so it may have some more than `limit`: those of the last
 * one, a batch of failback's at the most.
 */
export async function changedPlacements(
  db: D1Database,
  account: number,
  since: number,
  limit: number,
): Promise<ChangedPlacement[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, message, modseq, created, gone, flags, keywords FROM placement INDEXED BY placement_account
         WHERE account = ?1 AND modseq > ?2 AND modseq <= coalesce((
           SELECT modseq FROM placement INDEXED BY placement_account WHERE account = ?1 AND modseq > ?2
           ORDER BY modseq LIMIT 1 OFFSET ?3 - 1), ${Number.MAX_SAFE_INTEGER})
         ORDER BY modseq, id`,
      )
      .bind(account, since, limit)
      .all<ChangedPlacement>(),
    INDEX_TIMEOUT,
    "D1 read of changes",
  );
  return results;
}

export type PlacementHistory = Omit<ChangedPlacement, "flags" | "keywords">;

/** All placements that these messages had, those that are gone and not forgotten too. */
export async function historyOf(
  db: D1Database,
  account: number,
  messages: readonly number[],
): Promise<PlacementHistory[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id, p.message, p.modseq, p.created, p.gone FROM json_each(?2) e
         CROSS JOIN placement p INDEXED BY placement_message ON p.message = e.value WHERE p.account = ?1`,
      )
      .bind(account, JSON.stringify(messages))
      .all<PlacementHistory>(),
    INDEX_TIMEOUT,
    "D1 read of changes",
  );
  return results;
}

export interface ChangedFolder {
  readonly id: number;
  readonly modseq: number;
  readonly created: number;
  readonly gone: number | null;
  /** MODSEQ of the last change of what is in it. */
  readonly highest: number;
}

/** Reads the account's folders: there are few. */
export async function changedFolders(db: D1Database, account: number, since: number): Promise<ChangedFolder[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, modseq, created, gone, highest FROM folder
         WHERE account = ?1 AND (modseq > ?2 OR highest > ?2) AND role IS NOT 'archive' ORDER BY id`,
      )
      .bind(account, since)
      .all<ChangedFolder>(),
    INDEX_TIMEOUT,
    "D1 read of changed folders",
  );
  return results;
}

/** UIDs that have left a folder since a MODSEQ, ascending (RFC 7162 §3.2.10). */
export async function vanishedUids(db: D1Database, account: number, folder: number, since: number): Promise<number[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id % ${FOLDER_STRIDE} AS uid FROM placement INDEXED BY placement_account
         WHERE account = ?1 AND modseq > ?2 AND gone IS NOT NULL AND created <= ?2
           AND id > ?3 * ${FOLDER_STRIDE} AND id < (?3 + 1) * ${FOLDER_STRIDE} ORDER BY uid`,
      )
      .bind(account, since, folder)
      .all<{ uid: number }>(),
    INDEX_TIMEOUT,
    "D1 read of what vanished",
  );
  return results.map(({ uid }) => uid);
}

/** Placements of a folder that changed since and are there, in the order of their change (RFC 7162 §3.1.4.1). */
export async function changedInFolder(
  db: D1Database,
  account: number,
  folder: number,
  since: number,
  limit: number,
): Promise<number[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id FROM placement INDEXED BY placement_account
         WHERE account = ?1 AND modseq > ?2 AND gone IS NULL
           AND id > ?3 * ${FOLDER_STRIDE} AND id < (?3 + 1) * ${FOLDER_STRIDE} ORDER BY modseq LIMIT ?4`,
      )
      .bind(account, since, folder, limit)
      .all<{ id: number }>(),
    INDEX_TIMEOUT,
    "D1 read of changes of a folder",
  );
  return results.map(({ id }) => id);
}

const DAY = 24 * 3600_000;

/**
 * Forgets what was changed long ago: CHANGE_DAYS after a state was marked, what had changed by then. Whoever has an older state
 * hears so from the moment before the first record goes. Mailboxes that move keep theirs, so that the copy is the original.
 * @param now unix milliseconds
 * @param limit records that go, at most; the next run goes on
 * @returns how many went
 */
export async function purgeChanges(db: D1Database, now: number, limit: number): Promise<number> {
  await within(
    db
      .prepare(
        `UPDATE account SET purged = marked, marked = seq, marked_at = ?1
         WHERE move IS NULL AND marked_at < ?2 AND (seq > marked OR marked > purged)`,
      )
      .bind(now, now - CHANGE_DAYS * DAY)
      .run(),
    INDEX_TIMEOUT,
    "D1 marks of states",
  );
  const theirs = "a.purged > 0 AND a.move IS NULL AND t.gone IS NOT NULL";
  const results = await within(
    db.batch<{ id: number }>([
      db
        .prepare(
          `DELETE FROM placement WHERE id IN (SELECT t.id FROM account a CROSS JOIN placement t ON t.account = a.id
             WHERE ${theirs} AND t.modseq <= a.purged LIMIT ?1) RETURNING id`,
        )
        .bind(limit),
      // After the last record of what was in it: a record without its folder could be brought to no other shard.
      db
        .prepare(
          `DELETE FROM folder WHERE id IN (SELECT t.id FROM account a CROSS JOIN folder t ON t.account = a.id
             WHERE ${theirs} AND t.gone <= a.purged AND NOT EXISTS (SELECT 1 FROM placement p
               WHERE p.id > t.id * ${FOLDER_STRIDE} AND p.id < (t.id + 1) * ${FOLDER_STRIDE}) LIMIT ?1) RETURNING id`,
        )
        .bind(limit),
    ]),
    INDEX_TIMEOUT,
    "D1 purge of changes",
  );
  return results.reduce((sum, { results: rows }) => sum + rows.length, 0);
}
