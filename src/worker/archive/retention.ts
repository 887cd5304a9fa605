/**
 * Ninety days. R2's lifecycle rule takes an archived object on its 91st day; the index lets go of it on the 90th; what the
 * portal still references is copied out of the rule's reach on the 85th. Bounded batches, resumable: each hour goes on.
 */
import { ARCHIVE_DAYS, INDEX_TIMEOUT, KEEP_DAYS, STORE_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { shards } from "../store/shard.ts";
import { keepKey } from "./raw.ts";

export interface Retained {
  /** Rows that left the index. */
  readonly purged: number;
  /** Objects that were copied to `mail/`. */
  readonly kept: number;
  /** Objects that could not be copied this time. */
  readonly failed: number;
}

const DAY = 24 * 3600_000;
const PAGE = 500;
/** Pages of one run; the next hour goes on with what is left. */
const MAX_PAGES = 200;

/** @param now unix milliseconds */
export async function hourly(env: Env, now: number): Promise<Retained> {
  const total = await purge(env, now);
  await within(
    env.DIRECTORY.prepare("DELETE FROM session WHERE expires_at < ?1").bind(now).run(),
    INDEX_TIMEOUT,
    "D1 purge of sessions",
  );
  return total;
}

interface Row {
  readonly id: number;
  readonly at: number;
  readonly key: string;
  /** In a folder of the portal. */
  readonly live: 0 | 1;
}

export async function purge(env: Env, now: number): Promise<Retained> {
  let purged = 0;
  let kept = 0;
  let failed = 0;
  for (const { db } of shards(env)) {
    let after = 0;
    for (let page = 0; page < MAX_PAGES; page++) {
      const rows = await oldest(db, after, now - KEEP_DAYS * DAY);
      const last = rows.at(-1);
      if (!last) break;
      after = last.id;
      for (const row of rows.filter(({ live, key }) => live === 1 && key.startsWith("archive/"))) {
        if (await keep(env, db, row, now)) kept++;
        else failed++;
      }
      const expired = rows.filter(({ live, at }) => live === 0 && at < now - ARCHIVE_DAYS * DAY);
      purged += await drop(
        db,
        expired.map(({ id }) => id),
      );
    }
  }
  return { purged, kept, failed };
}

/** In the order of arrival, from the oldest on; ends at the first that is young. */
async function oldest(db: D1Database, after: number, before: number): Promise<Row[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT m.id, m.at, m.key, EXISTS (SELECT 1 FROM placement p WHERE p.message = m.id AND p.gone IS NULL) AS live
         FROM message m WHERE m.id > ?1 ORDER BY m.id LIMIT ?2`,
      )
      .bind(after, PAGE)
      .all<Row>(),
    INDEX_TIMEOUT,
    "D1 read of the oldest messages",
  );
  const young = results.findIndex(({ at }) => at >= before);
  return young === -1 ? results : results.slice(0, young);
}

/** Copy, then point to the copy; the old object is the rule's. Dying in between leaves a copy that nothing points to. */
async function keep(env: Env, db: D1Database, { id, key }: Row, now: number): Promise<boolean> {
  try {
    const object = await within(env.MAIL.get(key), STORE_TIMEOUT, "R2 get");
    if (!object) throw new Error("its octets are not in the store");
    const copy = keepKey(now);
    const { readable, writable } = new FixedLengthStream(object.size);
    const options = object.customMetadata ? { customMetadata: object.customMetadata } : {};
    const put = env.MAIL.put(copy, readable, options);
    await within(Promise.all([object.body.pipeTo(writable), put]), 3 * STORE_TIMEOUT, "R2 copy");
    await within(
      db.prepare("UPDATE message SET key = ?2 WHERE id = ?1 AND key = ?3").bind(id, copy, key).run(),
      INDEX_TIMEOUT,
      "D1 update of a key",
    );
    return true;
  } catch (error) {
    // Five days are left; each hour tries again.
    console.error("a message of the portal could not be copied out of the archive", key, String(error));
    return false;
  }
}

/** The newest row stays, since its number would be used again. */
async function drop(db: D1Database, ids: readonly number[]): Promise<number> {
  if (ids.length === 0) return 0;
  const list = JSON.stringify(ids);
  const those = "(SELECT value FROM json_each(?1) WHERE value < (SELECT max(id) FROM message))";
  const results = await within(
    db.batch([
      db.prepare(`DELETE FROM placement WHERE gone IS NOT NULL AND message IN ${those}`).bind(list),
      db.prepare(`DELETE FROM fts WHERE rowid IN ${those}`).bind(list),
      db
        .prepare(
          `DELETE FROM message WHERE id IN ${those}
             AND NOT EXISTS (SELECT 1 FROM placement p WHERE p.message = message.id AND p.gone IS NULL)`,
        )
        .bind(list),
    ]),
    INDEX_TIMEOUT,
    "D1 purge",
  );
  return results[2]?.meta.changes ?? 0;
}
