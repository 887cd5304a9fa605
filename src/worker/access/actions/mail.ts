/** A user's portal mailbox: what they read, move, mark and delete. The API and the webmail both call these. */
import { splitAddress } from "../../../core/address.ts";
import type { Reply } from "../../../core/outcome.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import type { Env } from "../../env.ts";
import type { Taken } from "../../failback/fates.ts";
import { flightKey } from "../../failback/ports.ts";
import type { User } from "../../identity/principal.ts";
import { flagChange } from "../../store/flags.ts";
import { type FolderRole, findFolder } from "../../store/folders.ts";
import {
  findPlacement,
  listPlacements,
  movePlacement,
  type PlacedMessage,
  removePlacement,
  setFlags,
} from "../../store/placements.ts";
import { shardDb } from "../../store/shard.ts";
import { logEvent } from "../domain-object.ts";
import { invalid, notFound, type Problem } from "../problem.ts";
import { withdrawn } from "./waiting.ts";

/** What a person is told when they take a waiting message out of the inbox (design, "Failback"). */
export const NOT_DELIVERED_ANY_MORE =
  "This message was waiting for your own mail server. It is not delivered there any more; the archive keeps a copy.";

export interface MessageChange {
  /** A role such as `trash`, or the name of a folder of the user's own. */
  readonly folder?: string | undefined;
  readonly seen?: boolean | undefined;
  readonly flagged?: boolean | undefined;
}

export interface Acted {
  /** The message as it is now; null: it is gone for good. */
  readonly message: PlacedMessage | null;
  /** It was waiting and is not redelivered any more. */
  readonly cancelled: boolean;
}

/** @param before the last message of the page before; null begins with the newest */
export async function listFolderMessages(
  env: Env,
  user: User,
  folder: string,
  before: number | null,
  limit: number,
): Promise<Result<PlacedMessage[], Problem>> {
  const db = shardDb(env, user.shard);
  const found = await findFolder(db, user.mailbox, folder);
  return found
    ? ok(await listPlacements(db, user.mailbox, found.id, before, limit))
    : err(notFound(`folder ${JSON.stringify(folder)}`));
}

/** @param id as it stands in a path */
export async function messageOf(env: Env, user: User, id: string): Promise<Result<PlacedMessage, Problem>> {
  const number = /^[1-9]\d{0,15}$/.test(id) ? Number(id) : 0;
  const message =
    Number.isSafeInteger(number) && number > 0
      ? await findPlacement(shardDb(env, user.shard), user.mailbox, number)
      : null;
  return message ? ok(message) : err(notFound("such message in your mailbox"));
}

export async function changeMessage(
  env: Env,
  user: User,
  id: string,
  change: MessageChange,
): Promise<Result<Acted, Problem>> {
  const found = await messageOf(env, user, id);
  if (!found.ok) return found;
  let message = found.value;
  let cancelled = false;
  const db = shardDb(env, user.shard);
  if (change.folder !== undefined) {
    const folder = await findFolder(db, user.mailbox, change.folder);
    if (!folder) return err(invalid("folder", "there is no such folder"));
    if (folder.role === "archive") {
      return err(invalid("folder", "archive has a copy of every message already: choose another folder"));
    }
    if (folder.id !== message.folder) {
      const moved = await move(env, user, message, folder);
      if (!moved.ok) return moved;
      ({ cancelled } = moved.value);
      if (!moved.value.message) return err(notFound("such message in your mailbox"));
      ({ message } = moved.value as { message: PlacedMessage });
    }
  }
  const { seen, flagged } = change;
  if (seen === undefined && flagged === undefined) return ok({ message, cancelled });
  const wanted = { ...(seen !== undefined && { seen }), ...(flagged !== undefined && { flagged }) };
  await setFlags(db, user.mailbox, [message.id], flagChange(wanted));
  const now = await findPlacement(db, user.mailbox, message.id);
  return now ? ok({ message: now, cancelled }) : err(notFound("such message in your mailbox"));
}

/** Into the trash; out of the trash for good. */
export async function deleteMessage(env: Env, user: User, id: string): Promise<Result<Acted, Problem>> {
  const found = await messageOf(env, user, id);
  if (!found.ok) return found;
  const db = shardDb(env, user.shard);
  const trash = await findFolder(db, user.mailbox, "trash");
  if (trash && trash.id !== found.value.folder) return move(env, user, found.value, trash);
  return takeOut(env, user, found.value, async () => {
    await removePlacement(db, user.mailbox, found.value.id);
    return { message: null, how: "removed" };
  });
}

function move(
  env: Env,
  user: User,
  message: PlacedMessage,
  folder: { readonly id: number; readonly role: FolderRole | null },
): Promise<Result<Acted, Problem>> {
  const db = shardDb(env, user.shard);
  return takeOut(env, user, message, async () => {
    const id = await movePlacement(db, user.mailbox, message.id, folder.id);
    if (id === null) return { message: null, how: null };
    const how = folder.role === "trash" ? "removed" : "kept";
    // Known without another read, whose failure would hide that it was moved.
    return { message: { ...message, id, folder: folder.id, waiting: null }, how };
  });
}

interface TakenOut {
  readonly message: PlacedMessage | null;
  /** Null: it was not there any more, or could not be moved. */
  readonly how: Taken["how"] | null;
}

/** Redelivery lets go of a waiting message before it leaves its folder, or nothing happens. */
async function takeOut(
  env: Env,
  user: User,
  message: PlacedMessage,
  act: () => Promise<TakenOut>,
): Promise<Result<Acted, Problem>> {
  const domain = splitAddress(user.name)?.domain ?? "";
  const waits = isWaiting(message);
  const flights = waits ? [flightKey(message.key, message.meta.envelope.to)] : [];
  const result = await withdrawn(env, domain, flights, act, ({ how }) =>
    how === null ? [] : flights.map((flight) => ({ flight, account: user.mailbox, how })),
  );
  if ("status" in result) return err(result);
  if (waits) {
    const data = { messages: 1, mailbox: user.name, how: result.message ? "moved" : "deleted" };
    await logEvent(env, domain, { kind: "waiting_mail_removed", actor: user.name, data });
  }
  return ok({ message: result.message, cancelled: waits });
}

/** In the backlog: not yet with the origin, and not refused by it. */
export const isWaiting = ({ waiting }: PlacedMessage): boolean => waiting !== null && waiting > 0;

/** The origin's reply where it refused the message. */
export function refusalOf({ refusal }: PlacedMessage): Reply | null {
  return refusal === null ? null : (JSON.parse(refusal) as Reply);
}
