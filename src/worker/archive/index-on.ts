/** A message's rows on the shards of its mailboxes, as of now: who has moved meanwhile gets theirs on the other shard. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { hasMoved, whereNow } from "../store/moved.ts";
import { shardDb } from "../store/shard.ts";
import { type IndexEntry, type Indexed, indexMessage } from "./index.ts";

export interface Entered extends Indexed {
  /** The envelope recipient. */
  readonly to: string;
}

/** @throws where D1 does not take them; some may be there all the same */
export async function indexOn(
  env: Env,
  shard: number,
  entries: readonly IndexEntry[],
  portal: false | "waiting",
): Promise<Entered[]> {
  try {
    const batch = indexMessage(shardDb(env, shard), entries, { portal });
    const indexed = await within(batch, INDEX_TIMEOUT, "D1 batch of a message");
    return indexed.map((one, index) => ({ ...one, to: entries[index]?.envelope.to ?? "" }));
  } catch (error) {
    if (!hasMoved(error)) throw error;
  }
  const accounts = entries.map(({ account }) => account);
  const now = await whereNow(env, accounts, shard);
  const batches = [...Map.groupBy(entries, ({ account }) => now.get(account) ?? shard)];
  return (await Promise.all(batches.map(([where, theirs]) => indexOn(env, where, theirs, portal)))).flat();
}
