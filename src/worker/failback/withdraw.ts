/** A person acts on messages that wait, while redelivery leaves them alone; or it is sending one, and they are told. */
import { askDomain } from "../domain/ask.ts";
import type { Env } from "../env.ts";
import { DeadlineError } from "../store/deadline.ts";
import type { Taken } from "./fates.ts";

export type Withdrawn<T> =
  | { readonly kind: "done"; readonly value: T }
  /** These are being sent, or are with the origin already. Nothing was done. */
  | { readonly kind: "sending"; readonly flights: readonly string[] }
  /** The domain's object does not answer. Nothing was done. */
  | { readonly kind: "unreachable" };

/**
 * @param flights what is withdrawn, all or none; of none, the object is not asked
 * @param taken what became of each copy, for the object to remember; not asked where the act throws: then it may wait still
 * @throws what the act throws
 */
export async function withdrawn<T>(
  env: Env,
  domain: string,
  flights: readonly string[],
  act: () => Promise<T>,
  taken: (result: T) => readonly Taken[],
): Promise<Withdrawn<T>> {
  if (flights.length === 0) return { kind: "done", value: await act() };
  let sending: string[];
  try {
    sending = await askDomain(env, domain, (object) => object.withdraw(flights));
  } catch (error) {
    console.error(`the object of ${domain} could not withdraw messages from redelivery:`, error);
    return { kind: "unreachable" };
  }
  if (sending.length > 0) return { kind: "sending", flights: sending };
  let value: T;
  try {
    value = await act();
  } catch (error) {
    // What did not answer in time may still be done: until the mark expires by itself, nothing of it is sent.
    if (!(error instanceof DeadlineError)) await settle(env, domain, flights, []);
    throw error;
  }
  await settle(env, domain, flights, taken(value));
  return { kind: "done", value };
}

/** The marks expire by themselves: an object that does not answer here costs a pause, not a message. */
export async function settle(
  env: Env,
  domain: string,
  flights: readonly string[],
  taken: readonly Taken[],
): Promise<void> {
  try {
    await askDomain(env, domain, (object) => object.settle(flights, taken));
  } catch (error) {
    console.error(`the object of ${domain} still holds messages back from redelivery:`, error);
  }
}
