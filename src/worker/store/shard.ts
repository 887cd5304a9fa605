/** Which database holds a mailbox. */
import type { Env } from "../env.ts";

export interface Shard {
  readonly number: number;
  readonly db: D1Database;
}

const BINDING = /^SHARD_(0|[1-9][0-9]{0,3})$/;

/** All shards, by number: the bindings of `env` that are called `SHARD_n`. */
export function shards(env: Env): Shard[] {
  const found: Shard[] = [];
  for (const [name, binding] of Object.entries(env)) {
    const number = BINDING.exec(name)?.[1];
    if (number !== undefined) found.push({ number: Number(number), db: binding as D1Database });
  }
  return found.sort((a, b) => a.number - b.number);
}

/** @throws Error where no such binding exists: a mailbox is assigned to a shard that was taken away */
export function shardDb(env: Env, number: number): D1Database {
  const shard = shards(env).find((candidate) => candidate.number === number);
  if (!shard) throw new Error(`no database is bound as SHARD_${number}`);
  return shard.db;
}
