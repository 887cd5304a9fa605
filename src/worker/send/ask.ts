/** Calls to a domain's outbound object, each with its limit. */
import { PLAN_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import type { OutboundRpc } from "./object-contract.ts";
import type { Counted } from "./rates.ts";

interface Whose {
  readonly id: number;
  readonly name: string;
}

/** @throws DeadlineError, or whatever the object throws */
export function askOutbound<T>(
  env: Env,
  { name }: Pick<Whose, "name">,
  call: (object: OutboundRpc) => Promise<T>,
): Promise<T> {
  const object = env.OUTBOUND.getByName(name) as unknown as OutboundRpc;
  return within(call(object), PLAN_TIMEOUT, `the outbound object of ${name}`);
}

/** Something is in the queue. Where the object does not hear it, the cron wakes it within a minute. Never rejects. */
export async function wakeOutbound(env: Env, { id, name }: Whose): Promise<void> {
  try {
    await askOutbound(env, { name }, (object) => object.wake(name, id));
  } catch (error) {
    console.error(`the outbound object of ${name} was not woken:`, String(error));
  }
}

/** What `admit` counted was not taken after all. Where the object does not hear it, it counts for an hour, and for a day. Never rejects. */
export async function takeBackOutbound(env: Env, { name }: Pick<Whose, "name">, counted: Counted): Promise<void> {
  try {
    await askOutbound(env, { name }, (object) => object.takeBack(counted));
  } catch (error) {
    console.error(`the outbound object of ${name} counts what was not taken:`, String(error));
  }
}
