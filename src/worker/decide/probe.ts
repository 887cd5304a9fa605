/** Asks an origin how it is, without sending mail. */
import { PROBE_TIMEOUT } from "../../core/limits.ts";
import { describeOutcome, type Outcome } from "../../core/outcome.ts";
import { isOpen } from "../../core/protocol/smtp/conversation.ts";
import { type OpenSecret, type OriginOptions, openRoute } from "../deliver/origin.ts";
import type { Route } from "../domain/contract.ts";

export interface ProbeResult {
  readonly ok: boolean;
  /** From the first packet to the last reply. */
  readonly milliseconds: number;
  readonly outcome: Outcome;
  /** In words, such as `delivered: 250 2.0.0 nothing done`. Nothing secret. */
  readonly text: string;
}

export interface ProbeTools {
  readonly openSecret: OpenSecret;
  /** Our name in EHLO. */
  readonly helo: string;
  /** Milliseconds. */
  readonly now: () => number;
  readonly limits?: OriginOptions["limits"];
  readonly relay?: OriginOptions["relay"];
  /** All of it, milliseconds; absent: PROBE_TIMEOUT. */
  readonly budget?: number;
}

/** Connects, TLS, EHLO, AUTH where the route has it, NOOP, QUIT. Never rejects. */
export async function probe(
  route: Route,
  { openSecret, helo, now, limits, relay, budget = PROBE_TIMEOUT }: ProbeTools,
): Promise<ProbeResult> {
  const began = now();
  const options: OriginOptions = { helo, budget, ...(limits ? { limits } : {}), ...(relay ? { relay } : {}) };
  const opened = await openRoute(route, openSecret, options);
  let outcome: Outcome;
  if (isOpen(opened)) {
    outcome = await opened.session.noop();
    opened.session.close();
  } else {
    outcome = opened;
  }
  const milliseconds = now() - began;
  return { ok: outcome.kind === "delivered", milliseconds, outcome, text: describeOutcome(outcome) };
}
