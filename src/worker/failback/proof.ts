/** Whether an origin that answers takes mail too: one backlog message goes; with none MAIL, RCPT and RSET. */
import { MAX_SLICE_MESSAGES } from "../../core/limits.ts";
import { describeOutcome, type Outcome } from "../../core/outcome.ts";
import { isOpen, type OriginSession } from "../deliver/session.ts";
import type { FailbackPorts } from "./ports.ts";
import { runSlice, type SliceResult } from "./slice.ts";

export interface Proof {
  readonly ok: boolean;
  /** In words. */
  readonly text: string;
  /** What was sent for it. */
  readonly slice: SliceResult;
}

/**
 * Only a 250 to a message is a proof; where none can be had, a 250 to the RCPT of one of `recipients` and to RSET. Never rejects.
 * @param recipients addresses that the origin should know, best first
 */
export async function prove(ports: FailbackPorts, recipients: readonly string[]): Promise<Proof> {
  const one = { messages: 1, perInvocation: MAX_SLICE_MESSAGES, connections: 1, time: Number.POSITIVE_INFINITY };
  // One that was deferred before may be deferred for a reason of its own, and would keep the domain in emergency mode.
  let slice = await runSlice(ports, { ...one, deferred: "none" });
  // All were: the oldest goes all the same, it is the best witness that there is.
  if (slice.last === null && (slice.end === "done" || slice.end === "partly"))
    slice = await runSlice(ports, { ...one, deferred: "all" });
  if (slice.last) return { ok: slice.delivered > 0, text: describeOutcome(slice.last), slice };
  if (slice.end === "stopped") return { ok: false, text: `${slice.end}: ${slice.why}`, slice };
  // Nothing waits, or our own storage does not give it: then in normal mode mail flows at least (design, rule 2).
  const outcome = await askToTake(ports, recipients);
  return { ok: outcome.kind === "delivered", text: `MAIL, RCPT, RSET: ${describeOutcome(outcome)}`, slice };
}

async function askToTake(ports: FailbackPorts, recipients: readonly string[]): Promise<Outcome> {
  const opened = await ports.open();
  if (!isOpen(opened)) return opened;
  const { session } = opened;
  const outcome = await transaction(session, recipients);
  session.close();
  return outcome;
}

async function transaction(session: OriginSession, recipients: readonly string[]): Promise<Outcome> {
  let outcome = await session.mail({ from: "", size: 0, body: "7BIT", smtputf8: false });
  if (outcome.kind !== "delivered") return outcome;
  for (const to of recipients) {
    outcome = await session.rcpt(to);
    if (outcome.kind === "delivered" || !session.usable) break;
  }
  if (!session.usable) return outcome;
  const reset = await session.reset();
  return outcome.kind === "delivered" ? reset : outcome;
}
