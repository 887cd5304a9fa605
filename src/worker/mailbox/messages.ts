/** Messages in folders: marked, copied, moved, removed; one or a thousand. Redelivery lets go of what waits before it is taken. */
import { ulid } from "ulidx";
import { MAX_ACT, MAX_KEYWORDS } from "../../core/limits.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { logEvent } from "../domain/ask.ts";
import type { Taken } from "../failback/fates.ts";
import { settle } from "../failback/withdraw.ts";
import { DELETED } from "../store/flags.ts";
import { folderById } from "../store/folders.ts";
import {
  type Chosen,
  copyPlacements,
  type Flagged,
  type FlagsChange,
  movePlacements,
  removePlacements,
  setFlags,
  type Went,
} from "../store/placement-changes.ts";
import { type Known, knownPlacements, whereIs } from "../store/placements.ts";
import { type Mailbox, type Refusal, refusal, writing } from "./contract.ts";
import { copyOf, release } from "./release.ts";

export interface Marked {
  /** As they are now. */
  readonly rows: readonly Flagged[];
  /** Not there, or not in this mailbox. */
  readonly missing: readonly number[];
  /** Waited for the origin and are not redelivered any more: they are flagged \Deleted. */
  readonly cancelled: readonly number[];
}

export async function markMessages(
  mailbox: Mailbox,
  ids: readonly number[],
  change: FlagsChange,
): Promise<Result<Marked, Refusal>> {
  const { db, account } = mailbox;
  if (ids.length > MAX_ACT) return err(refusal("too_many"));
  if ((change.keywords?.add.length ?? 0) > MAX_KEYWORDS) return err(refusal("bad_keyword", "keywords: too many"));
  const touches = ((change.add | change.remove) & DELETED) !== 0;
  const known = touches ? await knownPlacements(db, account, ids) : [];
  const act = async (chosen: Chosen): Promise<Marked> => {
    const rows = await writing(mailbox, () => setFlags(db, chosen, change));
    return { rows, missing: without(ids, rows), cancelled: [] };
  };
  if ((change.add & DELETED) === 0) {
    const marked = await act({ account, ids, released: [] });
    await waitsAgain(mailbox, known, marked);
    return ok(marked);
  }
  // What is flagged already is not in the backlog.
  const waiting = known.filter((row) => isWaiting(row) && (row.flags & DELETED) === 0);
  const done = await release(mailbox, waiting, ids, act, ({ rows }) =>
    rows.filter(({ became }) => became === "changed").map(({ id }) => ({ id, how: "removed" })),
  );
  if (!done.ok) return done;
  const { result, taken } = done.value;
  await tell(mailbox, taken, "deleted");
  return ok({ ...result, cancelled: taken });
}

/** \Deleted was taken back: it is in the backlog again. */
async function waitsAgain({ env, domain, account }: Mailbox, known: readonly Known[], { rows }: Marked): Promise<void> {
  const back = known.filter(
    (row) =>
      isWaiting(row) &&
      (row.flags & DELETED) !== 0 &&
      rows.some(({ id, became, flags }) => id === row.id && became === "changed" && (flags & DELETED) === 0),
  );
  const taken = back.map((row): Taken => ({ ...copyOf(row, account), how: "waiting" }));
  if (taken.length > 0) await settle(env, domain, [], taken);
}

export interface Taking {
  readonly moved: readonly Went[];
  /** Being delivered to the origin right now: they are where they were. */
  readonly busy: readonly number[];
  readonly missing: readonly number[];
  /** Waited for the origin and are not redelivered any more. */
  readonly cancelled: readonly number[];
}

/** What an earlier move took there counts as moved: a repeat has the same answer. */
export async function moveMessages(
  mailbox: Mailbox,
  ids: readonly number[],
  folder: number,
): Promise<Result<Taking, Refusal>> {
  const { db, account } = mailbox;
  if (ids.length > MAX_ACT) return err(refusal("too_many"));
  const into = await folderById(db, account, folder);
  if (!into) return err(refusal("no_folder"));
  if (into.role === "archive") return err(refusal("read_only"));
  const waiting = (await knownPlacements(db, account, ids)).filter((row) => isWaiting(row) && !lies(row, folder));
  const how = into.role === "trash" ? "removed" : "kept";
  const done = await release(
    mailbox,
    waiting,
    ids,
    (chosen) => writing(mailbox, () => movePlacements(db, chosen, folder)),
    (rows) => rows.filter(({ to }) => to !== null).map(({ id }) => ({ id, how })),
  );
  if (!done.ok) return done;
  const { result, taken } = done.value;
  await tell(mailbox, taken, "moved");
  const moved = result.flatMap(({ id, to }) => (to === null ? [] : [{ id, to }]));
  const busy = result.flatMap(({ id, to }) => (to === null ? [id] : []));
  return ok({ moved, busy, missing: without(ids, result), cancelled: taken });
}

export interface Copying {
  readonly copied: readonly Went[];
  readonly missing: readonly number[];
}

/**
 * A copy is no part of the backlog, and what waits goes on waiting.
 * @param request what the caller calls this request: its repeat finds the copies that it made; null: a repeat copies again
 */
export async function copyMessages(
  mailbox: Mailbox,
  ids: readonly number[],
  folder: number,
  request: string | null,
): Promise<Result<Copying, Refusal>> {
  const { db, account } = mailbox;
  if (ids.length > MAX_ACT) return err(refusal("too_many"));
  const into = await folderById(db, account, folder);
  if (!into) return err(refusal("no_folder"));
  if (into.role === "archive") return err(refusal("read_only"));
  const name = request ?? ulid();
  const copied = await writing(mailbox, () => copyPlacements(db, { account, ids, released: [] }, folder, name));
  return ok({ copied, missing: without(ids, copied) });
}

export interface Removal {
  readonly removed: readonly number[];
  readonly busy: readonly number[];
  readonly cancelled: readonly number[];
}

/**
 * For good; the archive keeps its copy. What is gone already counts as removed.
 * @param marked only what is flagged \Deleted, as EXPUNGE: the others are neither removed nor busy
 */
export async function removeMessages(
  mailbox: Mailbox,
  ids: readonly number[],
  { marked }: { readonly marked: boolean },
): Promise<Result<Removal, Refusal>> {
  const { db, account } = mailbox;
  if (ids.length > MAX_ACT) return err(refusal("too_many"));
  const known = await knownPlacements(db, account, ids);
  const waiting = known.filter((row) => isWaiting(row) && (!marked || (row.flags & DELETED) !== 0));
  const done = await release(
    mailbox,
    waiting,
    ids,
    async (chosen) => new Set(await writing(mailbox, () => removePlacements(db, chosen, { marked }))),
    (left) => ids.filter((id) => !left.has(id)).map((id) => ({ id, how: "removed" })),
  );
  if (!done.ok) return done;
  const { result: left, taken } = done.value;
  await tell(mailbox, taken, "deleted");
  const waits = new Set(waiting.map(({ id }) => id));
  return ok({
    removed: ids.filter((id) => !left.has(id)),
    busy: [...left].filter((id) => waits.has(id)),
    cancelled: taken,
  });
}

async function tell({ env, domain, name }: Mailbox, taken: readonly number[], how: string): Promise<void> {
  if (taken.length === 0) return;
  const data = { messages: taken.length, mailbox: name, how };
  await logEvent(env, domain, { kind: "waiting_mail_removed", actor: name, data });
}

/** In the backlog: not yet with the origin, and not refused by it. */
export const isWaiting = ({ waiting }: Pick<Known, "waiting">): boolean => waiting !== null && waiting > 0;

const lies = ({ id }: Known, folder: number): boolean => whereIs(id).folder === folder;

function without(ids: readonly number[], rows: readonly { readonly id: number }[]): number[] {
  const there = new Set(rows.map(({ id }) => id));
  return [...new Set(ids)].filter((id) => !there.has(id));
}
