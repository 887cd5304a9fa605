/** The backlog in numbers: of one domain over all shards, and of all domains of a shard, for the metrics and the list of domains. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { backlogCounts } from "./backlog.ts";
import { within } from "./deadline.ts";
import { DELETED } from "./flags.ts";
import { livesHere } from "./moved.ts";
import { shardsInUse } from "./shard.ts";

export interface DomainBacklog {
  readonly domain: number;
  readonly waiting: number;
  readonly refused: number;
}

/** Reads the partial index of waiting and refused mail, nothing else; domains without any are absent. */
export async function backlogTotals(db: D1Database): Promise<DomainBacklog[]> {
  const { results } = await within(
    db
      .prepare(
        // waiting = ±(domain * 2^32 + seconds), see shard.schema.ts
        `SELECT abs(waiting) / 4294967296 AS domain, sum(waiting > 0) AS waiting, sum(waiting < 0) AS refused
         FROM placement WHERE waiting IS NOT NULL AND gone IS NULL AND flags & ${DELETED} = 0
           AND ${livesHere("placement")} GROUP BY 1`,
      )
      .all<DomainBacklog>(),
    INDEX_TIMEOUT,
    "D1 totals of the backlog",
  );
  return results;
}

/** Of one domain, over all shards. */
export async function backlogOf(env: Env, domainId: number): Promise<{ waiting: number; refused: number }> {
  const counts = await Promise.all((await shardsInUse(env)).map(({ db }) => backlogCounts(db, domainId)));
  return counts.reduce(
    (sum, { waiting, refused }) => ({ waiting: sum.waiting + waiting, refused: sum.refused + refused }),
    { waiting: 0, refused: 0 },
  );
}
