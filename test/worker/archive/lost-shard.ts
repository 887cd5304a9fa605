/** A shard that is lost, and made anew. */
import { env } from "cloudflare:test";
import { noCounts, type ReindexCounts, type ReindexProblem } from "../../../src/worker/archive/reindex/contract.ts";
import { reindexStep } from "../../../src/worker/archive/reindex/step.ts";
import type { Env } from "../../../src/worker/env.ts";

/** All of it is gone, as after a restore of an empty database. */
export async function loseShard(): Promise<void> {
  const tables = ["placement", "message", "full_text", "account", "folder"];
  await env.SHARD_0.batch(tables.map((table) => env.SHARD_0.prepare(`DELETE FROM ${table}`)));
}

export interface Reindexed extends ReindexCounts {
  readonly problems: readonly ReindexProblem[];
}

/** Late enough that no mail is under way any more. */
const LATER = 3 * 60_000;

/** From the first step to the last. @param now unix milliseconds */
export async function reindex(
  options: { readonly since?: number; readonly dryRun?: boolean; readonly env?: Env; readonly now?: number } = {},
): Promise<Reindexed> {
  const { since = null, dryRun = false, now = Date.now() + LATER } = options;
  const counts = noCounts();
  const problems: ReindexProblem[] = [];
  let cursor: string | null = null;
  do {
    const step = await reindexStep(options.env ?? (env as Env), { cursor, since, shard: null, dryRun }, now);
    if (!step) throw new Error(`its own cursor is none: ${String(cursor)}`);
    for (const name of Object.keys(counts) as (keyof ReindexCounts)[]) counts[name] += step.counts[name];
    problems.push(...step.problems);
    cursor = step.cursor;
  } while (cursor !== null);
  return { ...counts, problems };
}
