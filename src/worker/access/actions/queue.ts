/** A domain's queue of outgoing mail, for an administrator: what waits, what is tried now, what is taken out, who may not send. */
import { parseAddress } from "../../../core/address.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import type { Env } from "../../env.ts";
import { askOutbound, wakeOutbound } from "../../send/ask.ts";
import type { Sender } from "../../send/object-contract.ts";
import { accountOf, mailboxWho, type Stop } from "../../send/rates.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import { findMailbox, findMailboxById } from "../../store/mailboxes.ts";
import { bringForward, findQueued, type QueueCursor, type Queued, queuePage } from "../../store/outgoing.ts";
import { queueCounts } from "../../store/queue-totals.ts";
import { type Shard, shardDb, shardsInUse } from "../../store/shard.ts";
import { notFound, type Problem } from "../problem.ts";

type Whose = Pick<DomainRow, "id" | "name">;

export interface QueuedOn extends Queued {
  readonly shard: number;
}

export interface PageCursor extends QueueCursor {
  readonly shard: number;
}

/** What is not finished, over all shards, what is due first first. */
export async function listQueue(env: Env, { id }: Whose, after: PageCursor | null, limit: number): Promise<QueuedOn[]> {
  const pages = await Promise.all((await shardsInUse(env)).map((shard) => pageOf(shard, id, after, limit)));
  return pages
    .flat()
    .sort((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0) || a.shard - b.shard || a.id - b.id)
    .slice(0, limit);
}

async function pageOf({ db, number }: Shard, domain: number, after: PageCursor | null, limit: number) {
  // Among those that are due at the same time, lower shards come first.
  const from = after && {
    dueAt: after.dueAt,
    id: number < after.shard ? Number.MAX_SAFE_INTEGER : number > after.shard ? 0 : after.id,
  };
  const rows = await queuePage(db, domain, Number.MAX_SAFE_INTEGER, from, limit);
  return rows.map((row): QueuedOn => ({ ...row, shard: number }));
}

/** `shard-number`. */
export const queueId = ({ shard, id }: Pick<QueuedOn, "shard" | "id">): string => `${shard}-${id}`;

function readQueueId(text: string): { readonly shard: number; readonly id: number } | null {
  const match = /^(\d{1,4})-([1-9]\d{0,14})$/.exec(text);
  return match ? { shard: Number(match[1]), id: Number(match[2]) } : null;
}

const CURSOR = /^(\d{1,15})-(\d{1,4})-(\d{1,15})$/;

/** Where the page after this recipient begins. */
export const cursorOf = ({ dueAt, shard, id }: Pick<QueuedOn, "dueAt" | "shard" | "id">): string =>
  `${dueAt ?? 0}-${shard}-${id}`;

/** @returns null where the text is none */
export function readCursor(text: string): PageCursor | null {
  const match = CURSOR.exec(text);
  return match ? { dueAt: Number(match[1]), shard: Number(match[2]), id: Number(match[3]) } : null;
}

export async function countQueue(env: Env, { id }: Whose): Promise<{ waiting: number; oldest: number | null }> {
  const counts = await Promise.all((await shardsInUse(env)).map(({ db }) => queueCounts(db, id)));
  const oldest = counts.map((count) => count.oldest).filter((at) => at !== null);
  return {
    waiting: counts.reduce((sum, { waiting }) => sum + waiting, 0),
    oldest: oldest.length > 0 ? Math.min(...oldest) : null,
  };
}

const NOT_QUEUED = notFound("such recipient in the queue");

/** Tried now, whatever its pause. @param which as `queueId` writes it; null: all. @returns how many had a pause */
export async function retry(
  env: Env,
  domain: Whose,
  which: string | null,
  now: number,
): Promise<Result<number, Problem>> {
  let moved = 0;
  if (which === null) {
    for (const { db } of await shardsInUse(env)) moved += await bringForward(db, domain.id, null, now);
  } else {
    const db = await databaseOf(env, which);
    const queued = db && (await findQueued(db.db, domain.id, db.id));
    if (!queued) return err(NOT_QUEUED);
    moved = await bringForward(db.db, domain.id, { id: db.id }, now);
  }
  await wakeOutbound(env, domain);
  return ok(moved);
}

async function databaseOf(env: Env, which: string): Promise<{ readonly db: D1Database; readonly id: number } | null> {
  const named = readQueueId(which);
  const there = named && (await shardsInUse(env)).some(({ number }) => number === named.shard);
  return there ? { db: shardDb(env, named.shard), id: named.id } : null;
}

/** @param tell whether its sender hears of it, by a report of failure */
export async function cancel(
  env: Env,
  domain: Whose,
  which: string,
  actor: string,
  tell: boolean,
): Promise<Problem | null> {
  const named = readQueueId(which);
  if (!named || !(await databaseOf(env, which))) return NOT_QUEUED;
  const done = await askOutbound(env, domain, (object) => object.cancel(named.shard, named.id, actor, tell));
  switch (done) {
    case "cancelled":
      return null;
    case "gone":
      return NOT_QUEUED;
    case "sending": {
      const detail = "It is being sent right now. Nothing was changed; look again in a moment.";
      return { status: 409, code: "being_sent", detail };
    }
  }
}

export interface StoppedMailbox extends Omit<Stop, "who"> {
  readonly address: string;
}

/** Those that may not send. */
export async function listStops(env: Env, domain: Whose): Promise<StoppedMailbox[]> {
  const stops = await askOutbound(env, domain, (object) => object.stops());
  const db = directory(env);
  const found: StoppedMailbox[] = [];
  for (const { who, ...stop } of stops) {
    const account = accountOf(who);
    const box = account === null ? null : await findMailboxById(db, account);
    if (box) found.push({ ...stop, address: box.address });
  }
  return found;
}

async function senderOf(env: Env, { id }: Whose, address: string): Promise<Sender | null> {
  const parsed = parseAddress(address);
  const box = parsed.ok ? await findMailbox(directory(env), id, parsed.value.address) : null;
  return box && { who: mailboxWho(box.id), name: box.address };
}

export async function stopMailbox(env: Env, domain: Whose, address: string, actor: string): Promise<Problem | null> {
  const sender = await senderOf(env, domain, address);
  if (!sender) return notFound(`mailbox ${address}`);
  await askOutbound(env, domain, (object) => object.stop(sender, actor, "an administrator has stopped it"));
  return null;
}

export async function releaseMailbox(env: Env, domain: Whose, address: string, actor: string): Promise<Problem | null> {
  const sender = await senderOf(env, domain, address);
  const released = sender !== null && (await askOutbound(env, domain, (object) => object.release(sender, actor)));
  return released ? null : notFound(`stop of ${address}`);
}
