/** The mover: every minute, and at once when a move is asked for, the moves that are due go some steps on. */
import { MOVE_LEASE, MOVE_SLICE_STEPS, MOVE_SLICE_TIME, PLAN_TIMEOUT } from "../../core/limits.ts";
import type { DomainRpc, NewEvent } from "../domain/contract.ts";
import { domainNames } from "../domain/directory.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { claimMove, findMove, releaseMove, saveMove } from "../store/moves.ts";
import type { Move } from "./contract.ts";
import { describeMove } from "./describe.ts";
import { advance, type Mover, retryAt } from "./steps.ts";

/**
 * Goes on with what is due until the time or the number of steps of one run is over. One mover is at one mailbox; two at once
 * are at two.
 * @param mailbox only this one
 * @param steps at most
 */
export async function moveMailboxes(
  env: Env,
  now: () => number = Date.now,
  mailbox: number | null = null,
  steps: number = MOVE_SLICE_STEPS,
): Promise<void> {
  const until = now() + MOVE_SLICE_TIME;
  const budget = { steps };
  while (budget.steps > 0 && now() < until) {
    const move = await claimMove(env.DIRECTORY, now(), MOVE_LEASE, mailbox);
    if (!move) return;
    await goOn({ env, now }, move, budget, until);
  }
}

async function goOn(mover: Mover, claimed: Move, budget: { steps: number }, until: number): Promise<void> {
  const { env, now } = mover;
  let move: Move | null = claimed;
  while (move && move.endedAt === null && move.dueAt <= now() && budget.steps > 0 && now() < until) {
    budget.steps -= 1;
    const before: Move = move;
    try {
      move = await step(mover, before);
    } catch (error) {
      await failed(mover, before, error);
      return;
    }
  }
  // Nobody is at it any more.
  if (!move || !(await saveMove(env.DIRECTORY, move, {}, 0))) await releaseMove(env.DIRECTORY, claimed.mailbox);
}

async function step(mover: Mover, move: Move): Promise<Move | null> {
  const { env, now } = mover;
  const change = await advance(mover, move);
  if (change === null) {
    const next = await findMove(env.DIRECTORY, move.mailbox);
    if (next?.phase === "switched") await tell(env, next, "mailbox_switched");
    return next;
  }
  const next = await saveMove(env.DIRECTORY, move, change, now() + MOVE_LEASE);
  if (next?.problem && move.problem === null) await tell(env, next, "mailbox_move_held_up");
  if (next?.phase === "done") await tell(env, next, "mailbox_moved");
  if (next?.phase === "cancelled") await tell(env, next, "mailbox_move_cancelled");
  return next;
}

/** Said once in the log, and in the move's status until it goes on. */
async function failed({ env, now }: Mover, before: Move, error: unknown): Promise<void> {
  console.error("a move of a mailbox was held up", before.mailbox, before.phase, error);
  // A switch that was taken back has a new number.
  const move = await findMove(env.DIRECTORY, before.mailbox);
  if (!move || move.endedAt) return;
  const problem = error instanceof Error ? error.message : String(error);
  const saved = await saveMove(env.DIRECTORY, move, { problem, dueAt: retryAt(now(), error) }, 0);
  if (saved && before.problem === null) await tell(env, saved, "mailbox_move_held_up");
}

/** The move goes on whether the log hears of it or not. */
async function tell(env: Env, move: Move, kind: string): Promise<void> {
  try {
    const [name] = await domainNames(env, [move.domain]);
    if (name === undefined) return;
    const event: NewEvent = { kind, actor: move.actor, data: await describeMove(env, move) };
    const object = env.DOMAIN.getByName(name) as unknown as DomainRpc;
    await within(object.report([{ kind: "event", event }]), PLAN_TIMEOUT, "event of a move");
  } catch (error) {
    console.error(`the event ${kind} is not in the log`, move.mailbox, String(error));
  }
}
