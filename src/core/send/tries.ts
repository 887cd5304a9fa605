/** What becomes of one recipient of a message on its way out: tried again with growing pauses, until it is given back. Pure. */

import type { Outcome, Reply } from "../outcome.ts";
import { nextDelay } from "../retry.ts";
import { FIRST_SEND_RETRY, LAST_SEND_RETRY, SEND_EXPIRY, SEND_WARNING } from "./limits.ts";

/** `cancelled`: an administrator took it out of the queue. */
export type RecipientState = "waiting" | "delivered" | "refused" | "expired" | "cancelled";

export interface Tried {
  readonly state: RecipientState;
  readonly attempts: number;
  /** Unix milliseconds of what is to be done next; null: nothing any more. What has failed is due until its sender knows. */
  readonly dueAt: number | null;
}

/**
 * @param before how often it was tried, and when its message was accepted (unix milliseconds)
 * @param random 0 to 1
 * @param others whether the same transaction was delivered to others
 */
export function afterTry(
  before: { readonly attempts: number; readonly createdAt: number },
  outcome: Outcome,
  now: number,
  random: number,
  others: boolean,
): Tried {
  const attempts = before.attempts + 1;
  if (outcome.kind === "delivered") return { state: "delivered", attempts, dueAt: null };
  if (outcome.kind === "refused") return { state: "refused", attempts, dueAt: now };
  // RFC 5321 §4.2.1: the rest of a transaction that was full goes in another one, at once.
  if (others && isTooManyRecipients(outcome.reply)) return { state: "waiting", attempts: before.attempts, dueAt: now };
  const expiry = before.createdAt + SEND_EXPIRY;
  if (now >= expiry) return { state: "expired", attempts, dueAt: now };
  const pause = nextDelay(attempts, random, { first: FIRST_SEND_RETRY, last: LAST_SEND_RETRY });
  const warning = before.createdAt + SEND_WARNING;
  // Its last try is at the very end, and one is when its sender is to hear that it takes longer.
  return { state: "waiting", attempts, dueAt: Math.min(now + pause, expiry, now < warning ? warning : expiry) };
}

/** RFC 5321 §4.5.3.1.10, RFC 3463 X.5.3. */
function isTooManyRecipients(reply: Reply | undefined): boolean {
  return reply?.code === 452 && reply.enhanced === "4.5.3";
}

/** Its sender is to hear that it takes longer. @param warnedAt 0: was not told yet */
export function isLate(message: { readonly createdAt: number; readonly warnedAt: number }, now: number): boolean {
  return message.warnedAt === 0 && now >= message.createdAt + SEND_WARNING;
}
