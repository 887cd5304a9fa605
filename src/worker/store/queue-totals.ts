/** The queue of outgoing mail in numbers: of one domain, and of all domains of a shard, for the metrics. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { dueColumn } from "./outgoing.ts";

/** How many recipients wait, and since when. */
export async function queueCounts(
  db: D1Database,
  domain: number,
): Promise<{ readonly waiting: number; readonly oldest: number | null }> {
  const row = await within(
    db
      .prepare(
        `SELECT count(*) AS waiting, min(o.created_at) AS oldest FROM outgoing_recipient r JOIN outgoing o ON o.id = r.outgoing
         WHERE r.due >= ?1 AND r.due < ?2 AND r.state = 'waiting'`,
      )
      .bind(dueColumn(domain, 0), dueColumn(domain + 1, 0))
      .first<{ waiting: number; oldest: number | null }>(),
    INDEX_TIMEOUT,
    "D1 count of the queue",
  );
  return row ?? { waiting: 0, oldest: null };
}

export interface DomainQueue {
  readonly domain: number;
  /** Recipients. */
  readonly waiting: number;
  /** Unix milliseconds: when the first of their messages was accepted. */
  readonly oldest: number;
}

/** Reads the partial index of what is not finished, and the messages of that; domains without any are absent. */
export async function queueTotals(db: D1Database): Promise<DomainQueue[]> {
  const { results } = await within(
    db
      .prepare(
        // due = domain * 2^32 + seconds, see shard.schema.ts
        `SELECT r.due / 4294967296 AS domain, count(*) AS waiting, min(o.created_at) AS oldest
         FROM outgoing_recipient r JOIN outgoing o ON o.id = r.outgoing
         WHERE r.due IS NOT NULL AND r.state = 'waiting' GROUP BY 1`,
      )
      .all<DomainQueue>(),
    INDEX_TIMEOUT,
    "D1 totals of the queue",
  );
  return results;
}
