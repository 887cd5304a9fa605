/**
 * A move, step by step. Each step may be done again from its beginning: whoever dies in one, or does not hear how it ended,
 * leaves nothing that the next run would not do, or find done.
 *
 *   copying   everything is brought over while people and mail go on; then what changed meanwhile, until little is left
 *   switching the fence goes up, the last changes follow, the copy is compared, the directory changes: a second or two
 *   switched  the new shard is in use; the domain's object is told
 *   purging   after MOVE_SETTLE the old rows go, those that the new shard is known to have
 */
import {
  MOVE_COPIES,
  MOVE_FENCE_AT,
  MOVE_FENCE_TIME,
  MOVE_PAGE,
  MOVE_RETRY,
  MOVE_ROWS,
  MOVE_SETTLE,
  PLAN_TIMEOUT,
} from "../../core/limits.ts";
import type { DomainRpc } from "../domain/contract.ts";
import { domainNames } from "../domain/directory.ts";
import type { Env } from "../env.ts";
import { createAccount } from "../store/accounts.ts";
import { within } from "../store/deadline.ts";
import { switchShard, takeBackSwitch } from "../store/moves.ts";
import { hasOutgoing } from "../store/outgoing.ts";
import { shardDb } from "../store/shard.ts";
import { bringChanges, bringMessagePage, bringPlacementPage, type Pair } from "./bring.ts";
import { clearPage, clearRest } from "./clear.ts";
import { BEGINNING, type Move, type MoveChange, type Progress } from "./contract.ts";
import { Source } from "./source.ts";
import { Target } from "./target.ts";
import { difference } from "./verify.ts";

export interface Mover {
  readonly env: Env;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Somebody has to look: said to the operator, and tried again all the same. */
export class MoveError extends Error {
  override readonly name = "MoveError";
}

/**
 * One step. @returns what it changed; null where the directory's record has changed by itself and is to be read again
 * @throws what kept it from being done
 */
export async function advance(mover: Mover, move: Move): Promise<MoveChange | null> {
  const pair = pairOf(mover, move);
  switch (move.phase) {
    case "copying":
      return copy(mover, move, pair);
    case "switching":
      return turn(mover, move, pair);
    case "switched":
      return settle(mover, move, pair);
    case "purging":
      return clear(mover, move, pair);
    case "cancelling":
      return cancel(mover, pair);
    case "done":
    case "cancelled":
      throw new MoveError("the move has ended");
  }
}

function pairOf({ env }: Mover, { source, target, mailbox, domain }: Move): Pair {
  return {
    source: new Source(shardDb(env, source), mailbox),
    target: new Target(shardDb(env, target), mailbox),
    bucket: env.MAIL,
    domain,
  };
}

async function copy({ now }: Mover, move: Move, pair: Pair): Promise<MoveChange> {
  const { progress } = move;
  const to = (change: Partial<Progress>): MoveChange => ({ progress: { ...progress, ...change } });
  switch (progress.stage) {
    case "clean":
      return (await pair.target.clean(MOVE_ROWS)) ? to({ stage: "begin" }) : {};
    case "begin":
      await createAccount(pair.source.db, move.mailbox, move.domain, now());
      await pair.source.startLeaving();
      await pair.target.expect(move.domain);
      await pair.target.bringFolders(await pair.source.folders());
      return to({ stage: "messages", after: BEGINNING, total: await pair.source.countMessages(), copied: 0 });
    case "messages": {
      const { messages, next } = await orChanges(pair, () => bringMessagePage(pair, progress.after));
      const copied = progress.copied + messages;
      return next === null ? to({ stage: "placements", after: BEGINNING, copied }) : to({ after: next, copied });
    }
    case "placements": {
      const next = await orChanges(pair, () => bringPlacementPage(pair, progress.after));
      return next === null ? to({ stage: "drain" }) : to({ after: next });
    }
    case "drain": {
      // A fence that a switch has left behind is taken down first.
      await pair.source.startLeaving();
      const changes = await bringChanges(pair);
      const next = to({ changes: progress.changes + changes });
      return changes < Math.min(MOVE_FENCE_AT, MOVE_PAGE) ? { ...next, phase: "switching" } : next;
    }
  }
}

/** A page may not fit for a change that waits in the journal, such as a name that has passed on: then that comes first. */
async function orChanges<T>(pair: Pair, page: () => Promise<T>): Promise<T> {
  try {
    return await page();
  } catch (error) {
    if ((await bringChanges(pair)) === 0) throw error;
    return page();
  }
}

async function turn({ env, now }: Mover, move: Move, pair: Pair): Promise<MoveChange | null> {
  const until = now() + MOVE_FENCE_TIME;
  try {
    const account = await pair.source.fence();
    while ((await bringChanges(pair)) > 0) {
      if (now() > until) throw new Error("the last changes did not follow in time");
    }
    await pair.target.bringPerson(await pair.source.person());
    await pair.target.count(account);
    const differs = await difference(pair.source.db, pair.target.db, move.mailbox);
    if (differs !== null) return await copyAgain(env, move, pair, differs);
    await switchShard(env.DIRECTORY, move, now());
    return null;
  } catch (error) {
    // Nobody is kept from their mail for longer than that.
    if (await takeBackSwitch(env.DIRECTORY, move)) await pair.source.startLeaving();
    throw error;
  }
}

/** The copy is thrown away: what was missed once is not to be guessed at. */
async function copyAgain(env: Env, move: Move, pair: Pair, differs: string): Promise<MoveChange | null> {
  console.error("a copy of a mailbox differs from the original", move.mailbox, differs);
  await pair.source.startLeaving();
  const wrong = move.progress.wrong + 1;
  const progress = { ...move.progress, stage: "clean" as const, wrong };
  if (wrong < MOVE_COPIES) return { phase: "copying", progress };
  await takeBackSwitch(env.DIRECTORY, move);
  throw new MoveError(
    `The copy differs from the original time and again (${differs}). Cancel the move and report this.`,
  );
}

async function settle({ env, now }: Mover, move: Move, pair: Pair): Promise<MoveChange> {
  await pair.target.open();
  await pair.source.leave();
  const [name] = await domainNames(env, [move.domain]);
  // What it plans from its own copy goes to the old shard, and is turned away there: it must know before the old rows go.
  if (name !== undefined) {
    const object = env.DOMAIN.getByName(name) as unknown as DomainRpc;
    await within(object.reload(name), 2 * PLAN_TIMEOUT, "telling the domain's object of a move");
  }
  return { phase: "purging", dueAt: now() + MOVE_SETTLE, progress: { ...move.progress, after: BEGINNING } };
}

async function clear({ now }: Mover, move: Move, pair: Pair): Promise<MoveChange> {
  const { progress, mailbox } = move;
  // Should the new shard have been set back to a time before.
  await pair.target.open();
  if (await hasOutgoing(pair.source.db, mailbox)) return { dueAt: now() + MOVE_SETTLE };
  const cleared = await clearPage(pair.source.db, pair.target.db, mailbox, progress.after, now());
  if (!cleared.ended) {
    const { after } = cleared;
    return { progress: { ...progress, after, cleared: progress.cleared + cleared.messages } };
  }
  const left = await pair.source.countMessages();
  if (left > 0) {
    // Looked at anew later, from the beginning.
    const problem = `${left} messages are on the old shard and not on the new one; they stay there. Report this.`;
    return { problem, dueAt: now() + MOVE_SETTLE, progress: { ...progress, after: BEGINNING } };
  }
  await clearRest(pair.source.db, pair.target.db, mailbox);
  return { phase: "done", endedAt: now() };
}

async function cancel({ now }: Mover, { source, target }: Pair): Promise<MoveChange> {
  if (!(await target.clean(MOVE_ROWS))) return {};
  await source.stay();
  await target.forget();
  return { phase: "cancelled", endedAt: now() };
}

/** When a step that failed is tried again. @param now unix milliseconds */
export const retryAt = (now: number, error: unknown): number =>
  now + (error instanceof MoveError ? 20 * MOVE_RETRY : MOVE_RETRY);
