/** Calls to a domain's object, each with its limit. */
import { PLAN_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import type { DomainRpc, NewEvent } from "./contract.ts";

/** @throws DeadlineError, or whatever the object throws */
export function askDomain<T>(env: Env, name: string, call: (object: DomainRpc) => Promise<T>): Promise<T> {
  return within(call(env.DOMAIN.getByName(name) as unknown as DomainRpc), PLAN_TIMEOUT, `the object of ${name}`);
}

/**
 * Tells the object that the directory changed. The change stands whether it hears or not: it compares versions and takes
 * the directory anew when it next looks.
 */
export async function tellDomain(env: Env, name: string): Promise<void> {
  try {
    await askDomain(env, name, (object) => object.reload(name));
  } catch (error) {
    console.error(`the object of ${name} has not taken the change yet:`, error);
  }
}

/** Adds to the domain's log. The act that it tells of has happened: a log that does not answer cannot undo it. */
export async function logEvent(env: Env, name: string, event: NewEvent): Promise<void> {
  try {
    await askDomain(env, name, (object) => object.report([{ kind: "event", event }]));
  } catch (error) {
    console.error(`the event ${event.kind} is not in the log of ${name}:`, error);
  }
}
