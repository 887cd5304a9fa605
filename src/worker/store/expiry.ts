/** Messages in the order of their age: their numbers grow with it (numbers.ts), so that a time is found by halving, without an index. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { livesHere } from "./moved.ts";

const AT_OF = (id: string) => `(SELECT at FROM message WHERE id >= ${id} ORDER BY id LIMIT 1)`;
const MIDDLE = "((low + high) / 2)";
const IS_OLD = `coalesce(${AT_OF(MIDDLE)} < ?1, 0)`;

/**
 * The number from which on messages are not older than that, read in some thirty-five steps. Exact for whole seconds.
 * @param at unix milliseconds
 */
export async function firstSince(db: D1Database, at: number): Promise<number> {
  const number = await within(
    db
      .prepare(
        `WITH RECURSIVE halves(low, high) AS (
           SELECT (SELECT coalesce(min(id), 1) - 1 FROM message), (SELECT coalesce(max(id), 0) + 1 FROM message)
           UNION ALL
           SELECT iif(${IS_OLD}, ${MIDDLE}, low), iif(${IS_OLD}, high, ${MIDDLE}) FROM halves WHERE high - low > 1)
         SELECT min(high) AS first FROM halves`,
      )
      .bind(at)
      .first<number>("first"),
    INDEX_TIMEOUT,
    "D1 search for an age",
  );
  return number ?? 1;
}

/** The next by number, and whether a folder of the portal has them. */
export async function oldestMessages(
  db: D1Database,
  after: number,
  limit: number,
): Promise<{ id: number; at: number; key: string; live: 0 | 1 }[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT m.id, m.at, m.key, EXISTS (SELECT 1 FROM placement p WHERE p.message = m.id AND p.gone IS NULL) AS live
         FROM message m WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`,
      )
      .bind(after, limit)
      .all<{ id: number; at: number; key: string; live: 0 | 1 }>(),
    INDEX_TIMEOUT,
    "D1 read of the oldest messages",
  );
  return results;
}

export interface ReferencedMessage {
  readonly id: number;
  readonly key: string;
  readonly account: number;
  /** The envelope recipient. */
  readonly to: string;
  /** It still is to be given back. */
  readonly waiting: 0 | 1;
}

/**
 * Messages in folders of the portal whose octets still lie under the archive's rule; read by way of the placements, of which
 * there are few.
 */
export async function referencedMessages(
  db: D1Database,
  of: { readonly after: number; readonly to: number; readonly before: number; readonly limit: number },
): Promise<ReferencedMessage[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT m.id, m.key, m.account, m.meta ->> '$.envelope.to' AS "to", max(coalesce(p.waiting, 0)) > 0 AS waiting
         FROM placement p INDEXED BY placement_message CROSS JOIN message m ON m.id = p.message
         WHERE p.message > ?1 AND p.message < ?2 AND p.gone IS NULL AND m.at < ?3 AND m.key GLOB 'archive/*'
           AND ${livesHere("m")}
         GROUP BY p.message ORDER BY p.message LIMIT ?4`,
      )
      .bind(of.after, of.to, of.before, of.limit)
      .all<ReferencedMessage>(),
    INDEX_TIMEOUT,
    "D1 read of the portal's old messages",
  );
  return results;
}

/** Their octets lie elsewhere now. */
export async function rekey(db: D1Database, ids: readonly number[], from: string, to: string): Promise<void> {
  await within(
    db
      .prepare("UPDATE message SET key = ?3 WHERE id IN (SELECT value FROM json_each(?1)) AND key = ?2")
      .bind(JSON.stringify(ids), from, to)
      .run(),
    INDEX_TIMEOUT,
    "D1 update of a key",
  );
}

/**
 * With their full text; their change records have a time of their own (changes.ts). What came into a folder meanwhile stays, and
 * the newest message of all does, since its number would be used again.
 * @returns how many went
 */
export async function dropMessages(db: D1Database, ids: readonly number[]): Promise<number> {
  if (ids.length === 0) return 0;
  const list = JSON.stringify(ids);
  const those = `(SELECT e.value FROM json_each(?1) e WHERE e.value < (SELECT max(id) FROM message)
    AND NOT EXISTS (SELECT 1 FROM placement p WHERE p.message = e.value AND p.gone IS NULL))`;
  const results = await within(
    db.batch([
      db.prepare(`DELETE FROM full_text WHERE rowid IN ${those}`).bind(list),
      // Counted by what it returns: `changes` counts a virtual table's own rows too.
      db.prepare(`DELETE FROM message WHERE id IN ${those} RETURNING id`).bind(list),
    ]),
    INDEX_TIMEOUT,
    "D1 purge",
  );
  return results[1]?.results.length ?? 0;
}

/** Rows of copies under `mail/`. @param keys of these alone: the index `message_kept` has no others */
export async function keptRows(
  db: D1Database,
  keys: readonly string[],
): Promise<{ id: number; key: string; account: number }[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, key, account FROM message INDEXED BY message_kept
         WHERE key >= 'mail/' AND key IN (SELECT value FROM json_each(?1))`,
      )
      .bind(JSON.stringify(keys))
      .all<{ id: number; key: string; account: number }>(),
    INDEX_TIMEOUT,
    "D1 read of kept messages",
  );
  return results;
}
