/** The shards: how full they are, where new mailboxes go, and moves of a mailbox from one to another. For operators. */
import { HEALTH_TIMEOUT } from "../../../core/limits.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import type { Move } from "../../move/contract.ts";
import { moveMailboxes } from "../../move/drive.ts";
import { within } from "../../store/deadline.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import { mailboxesByShard } from "../../store/mailboxes.ts";
import { cancelMove, findMove, insertMove, movesUnderWay } from "../../store/moves.ts";
import { shardOfNew, writeSetting } from "../../store/settings.ts";
import { hasTables, type Shard, shards } from "../../store/shard.ts";
import { invalid, notFound, type Problem } from "../problem.ts";
import { mailboxOf } from "./mailboxes.ts";

export interface ShardPicture {
  readonly number: number;
  /** `no_tables`: its migrations have not been applied; `no_answer`: it did not answer in time. */
  readonly state: "ready" | "no_tables" | "no_answer";
  readonly mailboxes: number;
  /** Null where it does not say. */
  readonly messages: number | null;
  /** Octets. */
  readonly size: number | null;
  readonly takesNew: boolean;
  readonly moving: { readonly here: number; readonly away: number };
}

export async function picturesOfShards(env: Env): Promise<ShardPicture[]> {
  const [boxes, moves, forNew, sizes] = await Promise.all([
    mailboxesByShard(directory(env)),
    movesUnderWay(env.DIRECTORY),
    shardOfNew(env),
    Promise.all(shards(env).map(sizeOf)),
  ]);
  const bound = new Set(sizes.map(({ number }) => number));
  // A mailbox on a shard that was taken away is a fault that has to be seen.
  const lost = boxes.filter(({ shard }) => !bound.has(shard)).map(({ shard }) => absent(shard));
  return [...sizes, ...lost].map((shard) => ({
    ...shard,
    mailboxes: boxes.find((row) => row.shard === shard.number)?.mailboxes ?? 0,
    takesNew: shard.number === forNew,
    moving: {
      here: moves.filter(({ target }) => target === shard.number).length,
      away: moves.filter(({ source }) => source === shard.number).length,
    },
  }));
}

type Size = Pick<ShardPicture, "number" | "state" | "messages" | "size">;

const absent = (number: number): Size => ({ number, state: "no_answer", messages: null, size: null });

async function sizeOf(shard: Shard): Promise<Size> {
  const { number, db } = shard;
  if (!(await hasTables(shard))) return { number, state: "no_tables", messages: null, size: null };
  try {
    const { results, meta } = await within(
      db.prepare("SELECT count(*) AS messages FROM message").all<{ messages: number }>(),
      HEALTH_TIMEOUT,
      `SHARD_${number}`,
    );
    return { number, state: "ready", messages: results[0]?.messages ?? 0, size: meta.size_after };
  } catch (error) {
    console.error(`the shard ${number} does not tell its size`, String(error));
    return absent(number);
  }
}

/** @param number null: the one with the highest number, as it comes to be */
export async function chooseShardOfNew(env: Env, number: number | null): Promise<Problem | null> {
  if (number !== null) {
    const problem = await unusable(env, number);
    if (problem) return problem;
  }
  await writeSetting(env.DIRECTORY, "new_mailboxes_shard", number === null ? null : String(number));
  return null;
}

async function unusable(env: Env, number: number): Promise<Problem | null> {
  const shard = shards(env).find((one) => one.number === number);
  if (!shard) return invalid("shard", `there is no database bound as SHARD_${number}`);
  if (await hasTables(shard)) return null;
  return invalid("shard", `SHARD_${number} has no tables yet: apply the migrations of migrations/shard to it first`);
}

/** Begins at once, in the background; the cron goes on with it. */
export async function startMove(
  env: Env,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  principal: Principal,
  domain: DomainRow,
  address: string,
  target: number,
  now: number,
): Promise<Result<Move, Problem>> {
  const box = await mailboxOf(env, domain, address);
  if (!box.ok) return box;
  const problem = await unusable(env, target);
  if (problem) return err(problem);
  const { id, shard } = box.value;
  const current = await findMove(env.DIRECTORY, id);
  if (current && !current.endedAt) {
    // Asked for again: it is under way.
    if (current.target === target && current.phase !== "cancelling") return ok(current);
    const detail = `${box.value.address} is being moved to shard ${current.target}. Wait until that has ended, or cancel it.`;
    return err({ status: 409, code: "moving", detail });
  }
  if (shard === target) {
    return err({ status: 409, code: "there_already", detail: `${box.value.address} is on shard ${target} already.` });
  }
  const fields = { mailbox: id, domain: domain.id, source: shard, target, actor: principal.name, startedAt: now };
  const move = await insertMove(env.DIRECTORY, fields);
  if (!move) {
    const detail = "Somebody else has begun to move this mailbox meanwhile. Nothing was changed; look, and try again.";
    return err({ status: 409, code: "moving", detail });
  }
  const data = { mailbox: box.value.address, from: shard, to: target };
  await logEvent(env, domain.name, { kind: "mailbox_move_started", actor: principal.name, data });
  ctx.waitUntil(goOn(env, id));
  return ok(move);
}

export async function moveOf(env: Env, domain: DomainRow, address: string): Promise<Result<Move, Problem>> {
  const box = await mailboxOf(env, domain, address);
  if (!box.ok) return box;
  const move = await findMove(env.DIRECTORY, box.value.id);
  return move ? ok(move) : err(notFound(`move of ${box.value.address}`));
}

export async function stopMove(
  env: Env,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  domain: DomainRow,
  address: string,
): Promise<Result<Move, Problem>> {
  const found = await moveOf(env, domain, address);
  if (!found.ok) return found;
  const { mailbox } = found.value;
  const cancelled = await cancelMove(env.DIRECTORY, mailbox);
  const move = await findMove(env.DIRECTORY, mailbox);
  if (!move) return err(notFound("such move"));
  if (!cancelled && move.phase !== "cancelling" && move.phase !== "cancelled") {
    const detail = "The mailbox is in use on its new shard, or about to be. To have it back, move it again.";
    return err({ status: 409, code: "moved", detail });
  }
  ctx.waitUntil(goOn(env, mailbox));
  return ok(move);
}

async function goOn(env: Env, mailbox: number): Promise<void> {
  try {
    await moveMailboxes(env, Date.now, mailbox);
  } catch (error) {
    console.error("a move goes on with the next minute", mailbox, String(error));
  }
}
