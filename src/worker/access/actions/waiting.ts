/**
 * Before a mailbox, an alias or coverage is taken away while mail of theirs waits for the origin: somebody has to say
 * what becomes of it (design, "Failback").
 */
import { lookupLocals, splitAddress } from "../../../core/address.ts";
import { MAX_RELEASE } from "../../../core/limits.ts";
import type { Env } from "../../env.ts";
import type { Taken } from "../../failback/fates.ts";
import { flightKey } from "../../failback/ports.ts";
import { discardWaiting, keepInPortal, waitingOf } from "../../store/backlog.ts";
import { shardDb } from "../../store/shard.ts";
import { askDomain, logEvent } from "../domain-object.ts";
import { type Problem, unavailable } from "../problem.ts";

/** deliver: redelivery goes on. keep: stays in the portal only. discard: is removed; the archive copy stays. */
export type WaitingChoice = "deliver" | "keep" | "discard";
export const WAITING_CHOICES = ["deliver", "keep", "discard"] as const;

export interface Affected {
  readonly account: number;
  readonly shard: number;
  /** Only mail that came for these local parts (look-up form); absent: all of the account's. */
  readonly locals?: readonly string[];
}

interface Waiting {
  readonly id: number;
  readonly account: number;
  readonly shard: number;
  /** What redelivery knows the message by (`flightKey`). */
  readonly flight: string;
}

/**
 * @param what is taken away, for the sentence: `the mailbox alice@example.org`
 * @returns what is in the way, or null: go on
 */
export async function settleWaiting(
  env: Env,
  domain: string,
  affected: readonly Affected[],
  choice: WaitingChoice | undefined,
  actor: string,
  what: string,
): Promise<Problem | null> {
  const waiting = await findWaiting(env, affected);
  if (waiting.length === 0) return null;
  if (!choice) {
    return {
      status: 409,
      code: "waiting_mail",
      detail: `${messages(waiting.length)} for ${what} still ${waiting.length === 1 ? "waits" : "wait"} for the mail server. Repeat with ?waiting=deliver, keep or discard.`,
      waiting: waiting.length,
    };
  }
  if (choice === "deliver") return null;
  for (let start = 0; start < waiting.length; start += MAX_RELEASE) {
    const problem = await release(env, domain, waiting.slice(start, start + MAX_RELEASE), choice);
    if (problem) return problem;
  }
  await logEvent(env, domain, {
    kind: choice === "keep" ? "waiting_mail_kept" : "waiting_mail_discarded",
    actor,
    data: { messages: waiting.length, what },
  });
  return null;
}

async function findWaiting(env: Env, affected: readonly Affected[]): Promise<Waiting[]> {
  const found: Waiting[] = [];
  for (const { account, shard, locals } of affected) {
    for (const { id, key, to } of await waitingOf(shardDb(env, shard), account)) {
      if (!locals || cameFor(to, locals)) found.push({ id, account, shard, flight: flightKey(key, to) });
    }
  }
  return found;
}

function cameFor(to: string, locals: readonly string[]): boolean {
  const local = splitAddress(to)?.local ?? to;
  return lookupLocals(local).some((form) => locals.includes(form));
}

async function release(
  env: Env,
  domain: string,
  slice: readonly Waiting[],
  choice: "keep" | "discard",
): Promise<Problem | null> {
  return withdrawn(
    env,
    domain,
    slice.map(({ flight }) => flight),
    async () => {
      for (const shard of new Set(slice.map((message) => message.shard))) {
        const ids = slice.filter((message) => message.shard === shard).map(({ id }) => id);
        const db = shardDb(env, shard);
        await (choice === "keep" ? keepInPortal(db, ids) : discardWaiting(db, ids));
      }
      return null;
    },
    () => {
      const how = choice === "keep" ? "kept" : "removed";
      return slice.map(({ flight, account }) => ({ flight, account, how }));
    },
  );
}

/**
 * Runs an act on waiting messages while redelivery leaves them alone.
 * @param flights what is withdrawn; none: the object is not asked
 * @param taken what became of each copy, for the object to remember; not asked where the act throws: then it may wait still
 */
export async function withdrawn<T>(
  env: Env,
  domain: string,
  flights: readonly string[],
  act: () => Promise<T>,
  taken: (result: T) => readonly Taken[],
): Promise<T | Problem> {
  if (flights.length === 0) return act();
  let sending: string[];
  try {
    sending = await askDomain(env, domain, (object) => object.withdraw(flights));
  } catch (error) {
    console.error(`the object of ${domain} could not withdraw messages from redelivery:`, error);
    return unavailable("Redelivery could not be asked to leave the message alone. Nothing was changed; try again.");
  }
  if (sending.length > 0) {
    return {
      status: 409,
      code: "being_delivered",
      detail: `${messages(sending.length)} ${sending.length === 1 ? "is" : "are"} being delivered to the mail server right now. Nothing was changed; try again in a moment.`,
      waiting: sending.length,
    };
  }
  let done: readonly Taken[] = [];
  try {
    const result = await act();
    done = taken(result);
    return result;
  } finally {
    await settle(env, domain, flights, done);
  }
}

/** The marks expire by themselves: an object that does not answer here costs a pause, not a message. */
async function settle(env: Env, domain: string, flights: readonly string[], taken: readonly Taken[]): Promise<void> {
  try {
    await askDomain(env, domain, (object) => object.settle(flights, taken));
  } catch (error) {
    console.error(`the object of ${domain} still holds messages back from redelivery:`, error);
  }
}

export const messages = (count: number): string => `${count} message${count === 1 ? "" : "s"}`;
