/** A user's portal mailbox, one message at a time: what they read, move, mark and delete. The API and the webmail both call these. */
import type { Reply } from "../../../core/outcome.ts";
import type { Query } from "../../../core/query/query.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { searchableSince } from "../../archive/renewal.ts";
import type { Env } from "../../env.ts";
import type { User } from "../../identity/principal.ts";
import { type Mailbox, mailboxOf, type Refusal, refusal } from "../../mailbox/contract.ts";
import { isWaiting, markMessages, moveMessages, removeMessages } from "../../mailbox/messages.ts";
import { readFolder, readMessage } from "../../mailbox/reading.ts";
import { searchInFolder } from "../../mailbox/searching.ts";
import { queryOf } from "../../search/asked.ts";
import type { FolderPage } from "../../search/folder.ts";
import { type Flags, flagChange } from "../../store/flags.ts";
import { findFolder } from "../../store/folders.ts";
import type { FlagsChange } from "../../store/placement-changes.ts";
import { type PlacedMessage, whereIs } from "../../store/placements.ts";
import { invalid, notFound, type Problem, type ProblemStatus, unsearchable } from "../problem.ts";
import { beingDelivered, notAsked } from "./waiting.ts";

export { isWaiting };

/** What a person is told when they take a waiting message out of the inbox (design, "Failback"). */
export const NOT_DELIVERED_ANY_MORE =
  "This message was waiting for your own mail server. It is not delivered there any more; the archive keeps a copy.";

export interface MessageChange extends Partial<{ readonly [name in keyof Flags]: boolean | undefined }> {
  /** A role such as `trash`, or the name or number of a folder of the user's own. */
  readonly folder?: string | undefined;
  readonly keywords?: FlagsChange["keywords"];
}

export interface Acted {
  /** The message as it is now; null: it is gone for good. */
  readonly message: PlacedMessage | null;
  /** It was waiting and is not redelivered any more. */
  readonly cancelled: boolean;
}

const noMessage = notFound("such message in your mailbox");

/** @param before the last message of the page before; null begins with the newest */
export async function listFolderMessages(
  env: Env,
  user: User,
  folder: string,
  before: number | null,
  limit: number,
): Promise<Result<PlacedMessage[], Problem>> {
  const mailbox = mailboxOf(env, user);
  const found = await findFolder(mailbox.db, mailbox.account, folder);
  if (!found) return err(notFound(`folder ${JSON.stringify(folder)}`));
  const below = before === null ? null : whereIs(before);
  // A cursor of another folder is none of this one.
  if (below && below.folder !== found.id) return err(invalid("cursor", "is not a cursor of this list"));
  const page = { order: "newest", deleted: false, limit } as const;
  return ok(await readFolder(mailbox, found, below ? { ...page, to: below.uid - 1 } : page));
}

export interface FoundInFolder extends FolderPage {
  /** Unix milliseconds: older mail is not found yet (archive/renewal.ts). Null: all is. */
  readonly since: number | null;
  /** What was searched for, for whoever shows where it stands (search/snippets.ts). */
  readonly query: Query;
}

/**
 * What is found in a folder.
 * @param q as a person types it (docs/search.md)
 * @param before the cursor of the page before; null begins
 */
export async function searchFolderMessages(
  env: Env,
  user: User,
  { folder, q }: { readonly folder: string; readonly q: string },
  before: number | null,
  limit: number,
): Promise<Result<FoundInFolder, Problem>> {
  const mailbox = mailboxOf(env, user);
  const found = await findFolder(mailbox.db, mailbox.account, folder);
  if (!found) return err(notFound(`folder ${JSON.stringify(folder)}`));
  const query = queryOf({ q }, Date.now());
  if (!query.ok) return err(unsearchable(query.error));
  // A cursor of another folder is none of this one; of the archive it is a message's number.
  if (before !== null && found.role !== "archive" && whereIs(before).folder !== found.id)
    return err(invalid("cursor", "is not a cursor of this list"));
  const [page, since] = await Promise.all([
    searchInFolder(mailbox, found, query.value, before, limit),
    searchableSince(env, user.shard),
  ]);
  return ok({ ...page, since, query: query.value });
}

/** @param id as it stands in a path; 0 where it can be none */
export function messageNumber(id: string): number {
  const number = /^[1-9]\d{0,15}$/.test(id) ? Number(id) : 0;
  return Number.isSafeInteger(number) ? number : 0;
}

/** @param id as it stands in a path */
export async function messageOf(env: Env, user: User, id: string): Promise<Result<PlacedMessage, Problem>> {
  const number = messageNumber(id);
  const message = number > 0 ? await readMessage(mailboxOf(env, user), number) : null;
  return message ? ok(message) : err(noMessage);
}

export async function changeMessage(
  env: Env,
  user: User,
  id: string,
  { folder, keywords, ...flags }: MessageChange,
): Promise<Result<Acted, Problem>> {
  const mailbox = mailboxOf(env, user);
  let number = messageNumber(id);
  if (number === 0) return err(noMessage);
  if (await inArchive(mailbox, number)) return err(problemOfRefusal(refusal("read_only")));
  let cancelled = false;
  if (folder !== undefined) {
    const target = await findFolder(mailbox.db, mailbox.account, folder);
    if (!target) return err(invalid("folder", "there is no such folder"));
    if (target.role === "archive") {
      return err(invalid("folder", "archive has a copy of every message already: choose another folder"));
    }
    const moved = await moveOne(mailbox, number, target.id);
    if (!moved.ok) return moved;
    number = moved.value.id;
    cancelled = moved.value.cancelled;
  }
  const change = { ...flagChange(flags), ...(keywords ? { keywords } : {}) };
  if (change.add !== 0 || change.remove !== 0 || keywords) {
    const marked = await markMessages(mailbox, [number], change);
    if (!marked.ok) return err(problemOfRefusal(marked.error));
    if (marked.value.rows.some(({ became }) => became === "busy")) return err(beingDelivered(1));
    cancelled ||= marked.value.cancelled.length > 0;
  }
  const message = await readMessage(mailbox, number);
  return message ? ok({ message, cancelled }) : err(noMessage);
}

/** Into the trash; out of the trash for good. */
export async function deleteMessage(env: Env, user: User, id: string): Promise<Result<Acted, Problem>> {
  const mailbox = mailboxOf(env, user);
  const { db, account } = mailbox;
  const number = messageNumber(id);
  if (number === 0) return err(noMessage);
  if (await inArchive(mailbox, number)) return err(problemOfRefusal(refusal("read_only")));
  const trash = await findFolder(db, account, "trash");
  if (trash && trash.id !== whereIs(number).folder) {
    const moved = await moveOne(mailbox, number, trash.id);
    if (!moved.ok) return moved;
    const message = await readMessage(mailbox, moved.value.id);
    return ok({ message, cancelled: moved.value.cancelled });
  }
  if (!(await readMessage(mailbox, number))) return err(noMessage);
  const removed = await removeMessages(mailbox, [number], { marked: false });
  if (!removed.ok) return err(problemOfRefusal(removed.error));
  if (removed.value.busy.length > 0) return err(beingDelivered(1));
  return ok({ message: null, cancelled: removed.value.cancelled.length > 0 });
}

/** Where an earlier request moved it there, its answer was lost: this is the same answer. */
async function moveOne(
  mailbox: Mailbox,
  id: number,
  folder: number,
): Promise<Result<{ readonly id: number; readonly cancelled: boolean }, Problem>> {
  const taking = await moveMessages(mailbox, [id], folder);
  if (!taking.ok) return err(problemOfRefusal(taking.error));
  const { moved, busy, cancelled } = taking.value;
  if (busy.length > 0) return err(beingDelivered(1));
  const [went] = moved;
  return went ? ok({ id: went.to, cancelled: cancelled.length > 0 }) : err(noMessage);
}

async function inArchive({ db, account }: Mailbox, id: number): Promise<boolean> {
  return (await findFolder(db, account, "archive"))?.id === whereIs(id).folder;
}

const STATUS: Readonly<Record<Refusal["reason"], ProblemStatus>> = {
  no_folder: 404,
  no_message: 404,
  no_parent: 422,
  bad_name: 422,
  bad_keyword: 422,
  bad_request: 422,
  too_many: 422,
  too_deep: 422,
  exists: 409,
  cycle: 409,
  fixed: 409,
  has_messages: 409,
  has_folders: 409,
  read_only: 409,
  being_delivered: 409,
  modified: 409,
  request_reused: 409,
  too_large: 413,
  not_asked: 503,
};

export function problemOfRefusal({ reason, detail }: Refusal): Problem {
  if (reason === "being_delivered") return beingDelivered(1);
  if (reason === "not_asked") return notAsked;
  return { status: STATUS[reason], code: reason, detail };
}

/** The origin's reply where it refused the message. */
export function refusalOf({ refusal }: PlacedMessage): Reply | null {
  return refusal === null ? null : (JSON.parse(refusal) as Reply);
}
