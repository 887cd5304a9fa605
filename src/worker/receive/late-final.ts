/**
 * The budget is over and only the reply to the final dot is outstanding. Content filters are slow: the message is stored, the
 * sender hears 250, and the wait goes on behind its back (design, "Time").
 */
import { INDEX_TIMEOUT, LATE_FINAL_MARGIN, PLAN_TIMEOUT } from "../../core/limits.ts";
import type { Outcome, Reply } from "../../core/outcome.ts";
import type { DomainRpc } from "../domain/contract.ts";
import { tellFinal } from "../domain/tell-final.ts";
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
  const facts = { keys: keysOf(planned), at: planned.receipt.at };
  const domain = domainOf(planned);
  if (!(await late.keeper?.keep({ domain, ...facts }))) {
    planned.background(late.outcome.then((outcome) => tellFinal(planned.env, domain, { ...facts, outcome })));
  }
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
    const object = planned.env.DOMAIN.getByName(domainOf(planned)) as unknown as DomainRpc;
    return await within(object.hold(keysOf(planned), milliseconds), PLAN_TIMEOUT, "hold of a message");
  } catch (error) {
    console.error("the domain's object holds no message back, its sender waits", planned.receipt.id, String(error));
    return false;
  }
}

function keysOf({ accepted, key }: Planned): string[] {
  return accepted.map(({ to }) => flightKey(key, to));
}

const domainOf = ({ accepted }: Planned): string => accepted[0]?.plan.domain.name ?? "";
