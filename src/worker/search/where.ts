/** What columns and places tell of a query, as an SQL expression over `message m` and, in a folder's search, `placement p`. */
import type { Condition, Flag, FolderCondition, Query, Span } from "../../core/query/query.ts";
import { ANSWERED, DELETED, DRAFT, FLAGGED, SEEN } from "../store/flags.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { isTextual, matchOf } from "./match.ts";

/** Values bound to a statement, in their order. Numbers that a query was checked for stand in the text (core/query/prepare.ts). */
export class Parameters {
  readonly values: (string | number)[] = [];

  /** @returns what stands for it in the statement */
  bind(value: string | number): string {
    const known = this.values.indexOf(value);
    return `?${(known === -1 ? this.values.push(value) - 1 : known) + 1}`;
  }
}

export interface Where {
  readonly parameters: Parameters;
  /** Tokens of the full text's scope. */
  readonly whose: readonly string[];
  /** In a folder: the place there counts, not any of the message's. */
  readonly placed: boolean;
}

/** The row of the message that is looked at. */
const MESSAGE = "m";

const BITS: Readonly<Record<Flag, number>> = {
  seen: SEEN,
  answered: ANSWERED,
  flagged: FLAGGED,
  draft: DRAFT,
  deleted: DELETED,
};

/** @param query in its simplest form */
export function whereOf(query: Query, where: Where): string {
  if (query.kind === "all") return "true";
  if (query.kind === "none") return "false";
  if (isTextual(query)) {
    const match = where.parameters.bind(matchOf(where.whose, query));
    return `m.id IN (SELECT rowid FROM full_text WHERE full_text MATCH ${match})`;
  }
  if (query.kind === "not") return `NOT (${whereOf(query.of, where)})`;
  if (query.kind !== "and" && query.kind !== "or") return conditionOf(query, where);
  // What the full text tells is asked of it at once.
  const textual = query.of.filter(isTextual);
  const others = query.of.filter((one) => !isTextual(one)).map((one) => whereOf(one, where));
  const together: Query | undefined = textual.length > 1 ? { kind: query.kind, of: textual } : textual[0];
  return balanced([...(together ? [whereOf(together, where)] : []), ...others], query.kind === "and" ? "AND" : "OR");
}

/** SQLite counts the levels of an expression, and `a AND b AND c` has one for each. */
function balanced(parts: readonly string[], operator: "AND" | "OR"): string {
  if (parts.length === 1) return `(${parts[0]})`;
  const middle = Math.ceil(parts.length / 2);
  return `(${balanced(parts.slice(0, middle), operator)} ${operator} ${balanced(parts.slice(middle), operator)})`;
}

function conditionOf(one: Condition, where: Where): string {
  switch (one.kind) {
    case "arrived":
      return during(where.placed ? "coalesce(p.internal_at, m.at)" : "m.at", one);
    case "sent":
      return during("coalesce(m.meta ->> '$.date', m.at)", one);
    case "size":
      return range("m.size", one.atLeast, one.below);
    case "flag":
      return flagOf(one.flag, where);
    case "keyword":
      return keywordOf(one.keyword, where);
    case "folder":
      return folderOf(one, where);
    case "thread":
      return `m.thread = ${one.thread}`;
    case "conversation":
      return conversationOf(one, where);
    case "messageId":
      return `m.mid = ${where.parameters.bind(one.id)}`;
    case "uids":
      return uidsOf(one.ranges, where);
    case "modseq":
      return where.placed ? `p.modseq >= ${one.atLeast}` : somewhere(MESSAGE, `q.modseq >= ${one.atLeast}`);
    default:
      throw new Error(`a condition of the kind ${one.kind} is for the full text`);
  }
}

const during = (column: string, { since, before }: Span): string => range(column, since, before);

function range(column: string, atLeast: number | undefined, below: number | undefined): string {
  const parts = [
    ...(atLeast === undefined ? [] : [`${column} >= ${atLeast}`]),
    ...(below === undefined ? [] : [`${column} < ${below}`]),
  ];
  return balanced(parts.length > 0 ? parts : ["true"], "AND");
}

/** Of the message's places, one that is not marked for removal. @param message alias of its row */
function somewhere(message: string, condition: string): string {
  return `EXISTS (SELECT 1 FROM placement q WHERE q.message = ${message}.id AND q.gone IS NULL AND q.flags & ${DELETED} = 0
    AND ${condition})`;
}

const flagOf = (flag: Flag, { placed }: Where): string =>
  placed ? `p.flags & ${BITS[flag]} <> 0` : flaggedSomewhere(flag, MESSAGE);

function flaggedSomewhere(flag: Flag, message: string): string {
  const bit = BITS[flag];
  // What is in no folder is nobody's unread mail.
  if (flag === "seen") return `NOT ${somewhere(message, `q.flags & ${bit} = 0`)}`;
  if (flag !== "deleted") return somewhere(message, `q.flags & ${bit} <> 0`);
  return `EXISTS (SELECT 1 FROM placement q WHERE q.message = ${message}.id AND q.gone IS NULL AND q.flags & ${bit} <> 0)`;
}

const keywordOf = (keyword: string, { placed, parameters }: Where): string =>
  placed ? hasKeyword("p", keyword, parameters) : somewhere(MESSAGE, hasKeyword("q", keyword, parameters));

const hasKeyword = (place: string, keyword: string, parameters: Parameters): string =>
  `EXISTS (SELECT 1 FROM json_each(${place}.keywords) k WHERE lower(k.value) = lower(${parameters.bind(keyword)}))`;

/** Whatever folder is searched, a conversation goes through all of them. */
function conversationOf({ of, is }: Extract<Condition, { kind: "conversation" }>, { parameters }: Where): string {
  const condition =
    is.kind === "flag" ? flaggedSomewhere(is.flag, "t") : somewhere("t", hasKeyword("q", is.keyword, parameters));
  const any = (wanted: string) =>
    `EXISTS (SELECT 1 FROM message t WHERE t.thread = m.thread AND t.account = m.account AND ${wanted})`;
  return of === "some" ? any(condition) : `NOT ${any(`NOT (${condition})`)}`;
}

function folderOf(one: FolderCondition, { parameters }: Where): string {
  const folder = `q.id / ${FOLDER_STRIDE}`;
  const listed = (ids: readonly number[]) => `(SELECT value FROM json_each(${parameters.bind(JSON.stringify(ids))}))`;
  if ("among" in one) return somewhere(MESSAGE, `${folder} IN ${listed(one.among)}`);
  if ("except" in one) return somewhere(MESSAGE, `${folder} NOT IN ${listed(one.except)}`);
  const name = parameters.bind(one.called);
  return somewhere(
    MESSAGE,
    `EXISTS (SELECT 1 FROM folder f WHERE f.id = ${folder} AND f.gone IS NULL
    AND (f.role = lower(${name}) OR lower(f.name) = lower(${name})))`,
  );
}

/** Of so many ranges each is written out; more are a list. */
const WRITTEN_OUT = 4;

function uidsOf(ranges: readonly (readonly [number, number])[], { placed, parameters }: Where): string {
  const uid = placed ? `p.id % ${FOLDER_STRIDE}` : "m.number";
  if (ranges.length <= WRITTEN_OUT)
    return balanced(
      ranges.map(([from, to]) => `${uid} BETWEEN ${from} AND ${to}`),
      "OR",
    );
  const list = parameters.bind(JSON.stringify(ranges));
  return `EXISTS (SELECT 1 FROM json_each(${list}) r WHERE ${uid} BETWEEN r.value ->> 0 AND r.value ->> 1)`;
}
