/** From cron: each domain with a backlog is asked to look at it, in case its alarm was lost. */
import { MAX_WAKING, PLAN_TIMEOUT } from "../../core/limits.ts";
import type { DomainRpc } from "../domain/contract.ts";
import { domainNames } from "../domain/directory.ts";
import type { Env } from "../env.ts";
import { domainsWaiting } from "../store/backlog.ts";
import { within } from "../store/deadline.ts";
import { shardsInUse } from "../store/shard.ts";

/** One object or shard that does not answer keeps nobody else waiting. */
export async function wakeAll(env: Env): Promise<void> {
  const waiting = await Promise.all((await shardsInUse(env)).map((shard) => waitingOn(shard.db, shard.number)));
  await wake(env, await domainNames(env, [...new Set(waiting.flat())]));
}

/** Hourly: every domain with continuity, so that a lost alarm or a missed change of settings is mended. */
export async function wakeWatched(env: Env): Promise<void> {
  await wake(env, await domainNames(env, null));
}

async function waitingOn(db: D1Database, shard: number): Promise<number[]> {
  try {
    return await domainsWaiting(db);
  } catch (error) {
    console.error(`shard ${shard} did not say whose mail waits`, String(error));
    return [];
  }
}

async function wake(env: Env, names: readonly string[]): Promise<void> {
  const queue = [...names];
  const lane = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) await wakeOne(env, name);
  };
  await Promise.all(Array.from({ length: MAX_WAKING }, lane));
}

async function wakeOne(env: Env, name: string): Promise<void> {
  try {
    const object = env.DOMAIN.getByName(name) as unknown as DomainRpc;
    await within(object.wake(name), 2 * PLAN_TIMEOUT, "waking a domain's object");
  } catch (error) {
    console.error("the domain's object was not woken", name, String(error)); // the next minute tries again
  }
}
