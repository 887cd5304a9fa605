/**
 * Before a mailbox, an alias or coverage is taken away while mail of theirs waits for the origin: somebody has to say
 * what becomes of it (design, "Failback").
 */
import { lookupLocals, splitAddress } from "../../../core/address.ts";
import { MAX_RELEASE } from "../../../core/limits.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import { flightKey } from "../../failback/ports.ts";
import { withdrawn } from "../../failback/withdraw.ts";
import { telling } from "../../push/tell.ts";
import { discardWaiting, keepInPortal, waitingOf } from "../../store/backlog.ts";
import { shardDb } from "../../store/shard.ts";
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
  const result = await withdrawn(
    env,
    domain,
    slice.map(({ flight }) => flight),
    async () => {
      for (const shard of new Set(slice.map((message) => message.shard))) {
        const theirs = slice.filter((message) => message.shard === shard);
        const ids = theirs.map(({ id }) => id);
        const accounts = [...new Set(theirs.map(({ account }) => account))];
        const write = choice === "keep" ? keepInPortal : discardWaiting;
        await telling(env, domain, accounts, () => write(shardDb(env, shard), ids));
      }
    },
    () => {
      const how = choice === "keep" ? "kept" : "removed";
      return slice.map(({ flight, account }) => ({ flight, account, how }));
    },
  );
  if (result.kind === "sending") return beingDelivered(result.flights.length);
  return result.kind === "unreachable" ? notAsked : null;
}

/** @param count messages that are on their way right now */
export function beingDelivered(count: number): Problem {
  return {
    status: 409,
    code: "being_delivered",
    detail: `${messages(count)} ${count === 1 ? "is" : "are"} being delivered to the mail server right now. Nothing was changed; try again in a moment.`,
    waiting: count,
  };
}

export const notAsked = unavailable(
  "Redelivery could not be asked to leave the message alone. Nothing was changed; try again.",
);

export const messages = (count: number): string => `${count} message${count === 1 ? "" : "s"}`;
