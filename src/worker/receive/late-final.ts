/**
 * The budget is over and only the reply to the final dot is outstanding. Content filters are slow: the message is stored, the
 * sender hears 250, and the wait goes on behind its back (design, "Time").
 */
import {
  INDEX_TIMEOUT,
  LATE_FINAL_MARGIN,
  LATE_FINAL_PAUSE,
  LATE_FINAL_TELL,
  LATE_FINAL_TRIES,
  PLAN_TIMEOUT,
} from "../../core/limits.ts";
import { describeOutcome, type Outcome, type Reply } from "../../core/outcome.ts";
import type { DomainRpc, LateFinal } from "../domain/contract.ts";
import { flightKey } from "../failback/ports.ts";
import { within } from "../store/deadline.ts";
import { conclude, toPortal } from "./conclude.ts";
import type { Content } from "./content.ts";
import type { Late } from "./origin-leg.ts";
import type { Planned } from "./pipeline.ts";

/**
 * Redelivery is told to leave the message alone before any inbox shows it. Where nothing can be stored, or the domain's object
 * does not answer, the sender waits with us instead, as long as it may.
 * @param unstored see `conclude`
 */
export async function concludeLate(planned: Planned, content: Content, late: Late, unstored: unknown): Promise<Reply> {
  const mayStore = planned.row.archive && unstored === null;
  if (!mayStore || !(await hold(planned))) {
    return conclude(planned, content, await patiently(planned, late), unstored);
  }
  const stored = await toPortal(planned, content, unstored, null);
  // The index may have failed after it had taken effect: what lies in an inbox then is settled too.
  planned.background(late.outcome.then((outcome) => settle(planned, outcome)));
  if (stored.code < 300) return stored;
  return conclude(planned, content, await patiently(planned, late), unstored);
}

/** The real outcome, if it comes while the sender may wait. */
async function patiently({ patience, receipt, begun }: Planned, late: Late): Promise<Outcome> {
  const left = Math.min(patience.final, begun + patience.whole - INDEX_TIMEOUT - Date.now());
  const seconds = Math.round((Date.now() - receipt.at) / 1000);
  const detail = `no reply to the final dot when the sender could not wait longer, after ${seconds} s`;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const enough = new Promise<Outcome>((resolve) => {
    const over: Outcome = { kind: "unavailable", where: "origin", phase: "final", reason: "timeout", detail };
    timer = setTimeout(
      () => {
        resolve(over);
        late.leave();
      },
      Math.max(0, left),
    );
  });
  try {
    return await Promise.race([late.outcome, enough]);
  } finally {
    clearTimeout(timer);
  }
}

/** @returns whether redelivery leaves the message alone until the outcome is known */
async function hold(planned: Planned): Promise<boolean> {
  const milliseconds = planned.patience.background + LATE_FINAL_MARGIN;
  try {
    return await within(objectOf(planned).hold(keysOf(planned), milliseconds), PLAN_TIMEOUT, "hold of a message");
  } catch (error) {
    console.error("the domain's object holds no message back, its sender waits", planned.receipt.id, String(error));
    return false;
  }
}

/** Never rejects. An object that hears nothing sends the message again when its time is over: so it is told more than once. */
async function settle(planned: Planned, outcome: Outcome): Promise<void> {
  const final: LateFinal = { keys: keysOf(planned), at: planned.receipt.at, outcome };
  for (let tries = 1, pause = LATE_FINAL_PAUSE; ; tries++, pause *= 2) {
    try {
      await within(objectOf(planned).settleFinal(final), LATE_FINAL_TELL, "telling of a late final reply");
      return;
    } catch (error) {
      console.error("the domain's object has not heard", planned.receipt.id, describeOutcome(outcome), String(error));
      if (tries === LATE_FINAL_TRIES) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function keysOf({ accepted, key }: Planned): string[] {
  return accepted.map(({ to }) => flightKey(key, to));
}

function objectOf({ env, accepted }: Planned): DomainRpc {
  return env.DOMAIN.getByName(accepted[0]?.plan.domain.name ?? "") as unknown as DomainRpc;
}
