/**
 * The portal mailbox as one service: webmail, API, IMAP, POP3 and JMAP are thin over it. What can go wrong in the ordinary course is
 * returned; only a store that does not answer throws (DeadlineError, or the words of a mailbox that has moved).
 */
import { splitAddress } from "../../core/address.ts";
import type { Env } from "../env.ts";
import type { User } from "../identity/principal.ts";
import { telling } from "../push/tell.ts";
import type { FolderRefusal } from "../store/folder-changes.ts";
import { shardDb } from "../store/shard.ts";
import type { Written } from "../store/states.ts";

export interface Mailbox {
  readonly env: Env;
  /** Also the number of the mailbox. */
  readonly account: number;
  readonly db: D1Database;
  /** The primary address: what events name as the actor. */
  readonly name: string;
  /** The domain's name. */
  readonly domain: string;
}

/** Whoever opens it has been let in: every statement asks for the account again. */
export function mailboxOf(env: Env, { mailbox, shard, name }: Pick<User, "mailbox" | "shard" | "name">): Mailbox {
  return {
    env,
    account: mailbox,
    db: shardDb(env, shard),
    name,
    domain: splitAddress(name)?.domain ?? "",
  };
}

/** Every write of a mailbox: those who watch it are told. @throws what the write throws */
export const writing = <T>({ env, domain, account }: Mailbox, write: () => Promise<Written<T>>): Promise<T> =>
  telling(env, domain, [account], write);

/**
 * `bad_name`, `bad_keyword`, `bad_request`: what was asked for cannot be. `read_only`: the archive takes nothing and loses nothing
 * by hand. `being_delivered`: on its way to the origin right now (409; IMAP: NO [INUSE]). `not_asked`: redelivery does not
 * answer. `modified`: somebody was faster (ifInState, UNCHANGEDSINCE). `too_many`: more than MAX_ACT at once.
 */
export type Reason =
  | FolderRefusal
  | "no_message"
  | "bad_name"
  | "bad_keyword"
  | "bad_request"
  | "read_only"
  | "being_delivered"
  | "not_asked"
  | "modified"
  | "too_large"
  | "request_reused";

export interface Refusal {
  readonly reason: Reason;
  /** For people; a sentence that says what to do. */
  readonly detail: string;
}

const SENTENCES: Readonly<Record<Reason, string>> = {
  no_folder: "There is no such folder in this mailbox.",
  no_parent: "The folder that it is to lie in is not there, or takes none.",
  exists: "There is a folder of that name already: choose another name.",
  too_many: "That is too much at once, or more than a mailbox holds: do it in parts.",
  too_deep: "Folders do not lie so deep within each other: choose a place nearer to the top.",
  cycle: "A folder cannot lie within itself.",
  fixed: "This folder has its place in every mailbox: it stays.",
  has_messages: "The folder is not empty: move its messages first, or have them moved to the trash.",
  has_folders: "There are folders within this one: move or delete them first.",
  no_message: "There is no such message in this mailbox.",
  bad_name: "The folder cannot be called that.",
  bad_keyword: "That is no keyword.",
  bad_request: "That cannot be asked for.",
  read_only: "The archive has a copy of every message already and is kept as it is: choose another folder.",
  being_delivered:
    "The message is being delivered to the mail server right now. Nothing was changed; try again in a moment.",
  not_asked: "Redelivery could not be asked to leave the message alone. Nothing was changed; try again.",
  modified: "It has changed meanwhile, and nothing was done: look at it again first.",
  too_large: "The message is too large.",
  request_reused: "Another message was stored under this name of a request: name each request differently.",
};

export const refusal = (reason: Reason, detail = SENTENCES[reason]): Refusal => ({ reason, detail });
