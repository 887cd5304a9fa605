/**
 * A search of one shard as a statement. What narrows it most drives it: the full text, in whose scope is whose a message is, or
 * the places of the folder or of the account; newest first. The rest is looked at row by row, of so many rows at a time.
 */
import { and, type Query } from "../../core/query/query.ts";
import { accountToken, domainToken, ownToken } from "../archive/scope.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { shownHere } from "../store/moved.ts";
import { isTextual, matchOf } from "./match.ts";
import { Parameters, whereOf } from "./where.ts";

/** `account`: what the archive has of it; `mailbox`: with what its owner put into folders. */
export type Target =
  | { readonly kind: "account" | "mailbox"; readonly account: number }
  | { readonly kind: "folder"; readonly account: number; readonly folder: number }
  | { readonly kind: "domain"; readonly domainId: number };

/** Numbers of messages; in a folder those of its places. The first one included, the last one not. */
export interface Window {
  readonly from: number;
  readonly below: number;
}

export interface Statement {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** The newest in the window, of the rows that were looked at; and what was looked at, where that is not all of it. */
export interface Statements {
  readonly hits: Statement;
  /** `looked`: how many, `last`: the lowest number of them. Null: every row that is there is a hit. */
  readonly looked: Statement | null;
}

function whoseOf(target: Target): string[] {
  if (target.kind === "domain") return [domainToken(target.domainId)];
  const { account } = target;
  return target.kind === "account" ? [accountToken(account)] : [accountToken(account), ownToken(account)];
}

export interface Split {
  /** What the full text tells. */
  readonly textual: Query;
  /** What is looked at row by row. */
  readonly rest: Query;
}

/** @param query in its simplest form */
export function split(query: Query): Split {
  const top = query.kind === "and" ? query.of : [query];
  const part = (of: readonly Query[]): Query =>
    of.length === 1 ? (of[0] ?? and()) : of.length === 0 ? { kind: "all" } : and(...of);
  const conditions = top.filter(({ kind }) => kind !== "all");
  return {
    textual: part(conditions.filter(isTextual)),
    rest: part(conditions.filter((one) => !isTextual(one))),
  };
}

/** Whether each hit lies in a folder. @param query in its simplest form */
export function isPlaced(query: Query): boolean {
  switch (query.kind) {
    case "and":
      return query.of.some(isPlaced);
    case "or":
      return query.of.every(isPlaced);
    case "not":
      return query.of.kind === "flag" && query.of.flag === "seen";
    case "flag":
      return query.flag !== "seen";
    case "folder":
    case "keyword":
    case "modseq":
      return true;
    default:
      return query.kind === "none";
  }
}

/** What must be true of every hit, at the top of the query. */
const topOf = (query: Query): readonly Query[] => (query.kind === "and" ? query.of : [query]);

/**
 * Messages, each with its account's row as `a`.
 * @param columns of `m` and `a`; `m.id` among them
 * @param limit of hits
 * @param look at no more than this many rows
 */
export function searchMessages(
  target: Exclude<Target, { kind: "folder" }>,
  query: Query,
  window: Window,
  { columns, limit, look }: { readonly columns: string; readonly limit: number; readonly look: number },
): Statements {
  const parameters = new Parameters();
  const { textual, rest } = split(query);
  const whose = whoseOf(target);
  const own = target.kind !== "domain";
  // While a mailbox moves, what is on two shards comes from one; the account's own shard is asked, wherever it is in a move.
  const every = rest.kind === "all" && own;
  const looked = `${sourceOf(target, textual, rest, whose, window, parameters)} LIMIT ${every ? limit : look}`;
  const values = [...parameters.values];
  const where = whereOf(rest, { parameters, whose, placed: false });
  const sql = `SELECT ${columns} FROM (${looked}) l CROSS JOIN message m ON m.id = l.id CROSS JOIN account a ON a.id = m.account
    WHERE ${own ? `m.account = ${target.account}` : `a.domain = ${target.domainId} AND ${shownHere("a")}`}
      ${target.kind === "mailbox" ? "" : "AND m.number > 0"} AND ${where}
    ORDER BY m.id DESC LIMIT ${limit}`;
  return {
    hits: { sql, values: parameters.values },
    looked: every ? null : { sql: `SELECT count(*) AS looked, min(id) AS last FROM (${looked})`, values },
  };
}

function sourceOf(
  target: Exclude<Target, { kind: "folder" }>,
  textual: Query,
  rest: Query,
  whose: readonly string[],
  { from, below }: Window,
  parameters: Parameters,
): string {
  const within = (id: string) => `${id} >= ${from} AND ${id} < ${below}`;
  const account = target.kind === "domain" || textual.kind !== "all" ? null : target.account;
  for (const one of account === null ? [] : topOf(rest)) {
    if (one.kind === "thread")
      return `SELECT id FROM message WHERE thread = ${one.thread} AND +account = ${account} AND ${within("id")} ORDER BY id DESC`;
    if (one.kind === "messageId") {
      const id = parameters.bind(one.id);
      return `SELECT id FROM message INDEXED BY message_once WHERE account = ${account} AND mid = ${id} AND ${within("+id")} ORDER BY id DESC`;
    }
  }
  // There are far more messages in an archive than in folders.
  if (account !== null && isPlaced(rest))
    return `SELECT message AS id FROM placement INDEXED BY placement_account WHERE account = ${account} AND gone IS NULL
      AND ${within("message")} GROUP BY message ORDER BY message DESC`;
  const match = parameters.bind(matchOf(whose, textual));
  return `SELECT rowid AS id FROM full_text WHERE full_text MATCH ${match} AND ${within("rowid")} ORDER BY rowid DESC`;
}

type FolderTarget = Extract<Target, { kind: "folder" }>;

interface Places {
  /** Of `p`, `m` and `a`; `p.id` among them. */
  readonly columns: string;
  /** Of hits. */
  readonly limit: number;
}

/** What all statements about a folder's places have in common. */
function placesOf({ account, folder }: FolderTarget, window: Window) {
  const from = Math.max(window.from, folder * FOLDER_STRIDE);
  const below = Math.min(window.below, (folder + 1) * FOLDER_STRIDE);
  return {
    here: `p.id >= ${from} AND p.id < ${below} AND p.account = ${account} AND p.gone IS NULL`,
    message: "CROSS JOIN message m ON m.id = p.message CROSS JOIN account a ON a.id = m.account",
  };
}

/**
 * Places in a folder, each with its message as `m` and the account's row as `a`: the newest of them, looked at one by one.
 * @param look at no more than this many
 */
export function searchPlaces(
  target: FolderTarget,
  query: Query,
  window: Window,
  { columns, limit, look }: Places & { readonly look: number },
): Statements {
  const parameters = new Parameters();
  const whose = whoseOf(target);
  const { here, message } = placesOf(target, window);
  const every = query.kind === "all";
  const looked = `SELECT id FROM placement p INDEXED BY placement_live WHERE ${here} ORDER BY id DESC LIMIT ${every ? limit : look}`;
  const where = whereOf(query, { parameters, whose, placed: true });
  const sql = `SELECT ${columns} FROM (${looked}) l CROSS JOIN placement p ON p.id = l.id ${message}
    WHERE ${where} ORDER BY p.id DESC LIMIT ${limit}`;
  return {
    hits: { sql, values: parameters.values },
    looked: every ? null : { sql: `SELECT count(*) AS looked, min(id) AS last FROM (${looked})`, values: [] },
  };
}

/**
 * The same by the words of a query that has some: all messages that have them are read, and put in the folder's order.
 * @param messages that are read, by their numbers, both ends included; absent: all
 */
export function searchPlacesByWords(
  target: FolderTarget,
  query: Query,
  window: Window,
  { columns, limit, messages }: Places & { readonly messages?: readonly [number, number] | undefined },
): Statements {
  const parameters = new Parameters();
  const { textual, rest } = split(query);
  const whose = whoseOf(target);
  const { here, message } = placesOf(target, window);
  const match = parameters.bind(matchOf(whose, textual));
  const where = whereOf(rest, { parameters, whose, placed: true });
  const sql = `SELECT ${columns} FROM full_text CROSS JOIN placement p INDEXED BY placement_message ON p.message = full_text.rowid
    ${message} WHERE full_text MATCH ${match} ${messages ? `AND full_text.rowid BETWEEN ${messages[0]} AND ${messages[1]}` : ""}
      AND ${here} AND ${where} ORDER BY p.id DESC LIMIT ${limit}`;
  return { hits: { sql, values: parameters.values }, looked: null };
}

/** The newest places of a window, so many of them: the lowest number of a place (null: there is none), and those of their messages. */
export function newestPlaces(target: FolderTarget, window: Window, count: number): Statement {
  const { here } = placesOf(target, window);
  const sql = `SELECT min(id) AS "from", min(message) AS oldest, max(message) AS newest FROM (
    SELECT id, message FROM placement p INDEXED BY placement_live WHERE ${here} ORDER BY id DESC LIMIT ${count})`;
  return { sql, values: [] };
}

/** How many of the account's messages have the words of a query, `most` at the most. */
export function countByWords(target: FolderTarget, query: Query, most: number): Statement {
  const match = matchOf(whoseOf(target), split(query).textual);
  return {
    sql: `SELECT count(*) AS hits FROM (SELECT rowid FROM full_text WHERE full_text MATCH ?1 LIMIT ${most})`,
    values: [match],
  };
}
