/** Which database holds a mailbox. */
import { HEALTH_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "./deadline.ts";

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

/** Once tables are there, they stay. */
const known = new WeakSet<D1Database>();

/**
 * Whether its migrations have been applied. A database that is bound before it has tables must not stop the others' work.
 * @returns true too where it does not answer: then whoever uses it finds out
 */
export async function hasTables({ db, number }: Shard): Promise<boolean> {
  if (known.has(db)) return true;
  try {
    // A table that is nearly always empty: it costs nothing to look.
    await within(db.prepare("SELECT id FROM journal LIMIT 1").first(), HEALTH_TIMEOUT, `SHARD_${number}`);
  } catch (error) {
    if (String(error).includes("no such table")) return false;
    console.error(`the shard ${number} does not say whether it has tables`, String(error));
    return true;
  }
  known.add(db);
  return true;
}

/** Those that can have mail on them, by number. */
export async function shardsInUse(env: Env): Promise<Shard[]> {
  const all = shards(env);
  const ready = await Promise.all(all.map(hasTables));
  return all.filter((_, index) => ready[index]);
}
