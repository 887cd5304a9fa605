/** From cron: whoever has something due in the queue is woken, should the alarm be lost; what is finished or was told long ago goes. */
import { MAX_WAKING } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { purgeTold } from "../store/on-arrival.ts";
import { domainsSending, purgeOutgoing } from "../store/outgoing.ts";
import { domainsById } from "../store/outgoing-settings.ts";
import { type Shard, shardsInUse } from "../store/shard.ts";
import { wakeOutbound } from "./ask.ts";

/** One object or shard that does not answer keeps nobody else waiting. */
export async function wakeSending(env: Env): Promise<void> {
  const found = await Promise.all((await shardsInUse(env)).map((shard) => sendingOn(shard)));
  const queue = await domainsById(env.DIRECTORY, [...new Set(found.flat())]);
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) await wakeOutbound(env, next);
  };
  await Promise.all(Array.from({ length: MAX_WAKING }, lane));
}

async function sendingOn({ db, number }: Shard): Promise<number[]> {
  try {
    return await domainsSending(db);
  } catch (error) {
    console.error(`shard ${number} did not say whose mail is on its way`, String(error));
    return [];
  }
}

/** @param now unix milliseconds @throws where a shard does not answer, the others done */
export async function purgeSent(env: Env, now: number): Promise<void> {
  const purged = (await shardsInUse(env)).flatMap(({ db }) => [purgeOutgoing(db, now), purgeTold(db, now)]);
  const results = await Promise.allSettled(purged);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
