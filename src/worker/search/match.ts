/**
 * What the full text can tell of a query, in FTS5's own language. Every word of a person's is quoted: nothing that they type is
 * syntax. FTS5's NOT stands between two: what has only things that must not be there is all of the scope without them.
 */
import { fieldWords } from "../../core/query/header-words.ts";
import type { Query, TextCondition } from "../../core/query/query.ts";
import { COLUMN_OF } from "../archive/full-text.ts";
import { FILES_TOKEN } from "../archive/scope.ts";

/** Whether the full text tells all of it. @param query in its simplest form */
export function isTextual(query: Query): boolean {
  switch (query.kind) {
    case "text":
    case "header":
    case "attachment":
    case "archived":
    case "direction":
      return true;
    case "not":
      return isTextual(query.of);
    case "and":
    case "or":
      return query.of.every(isTextual);
    default:
      return false;
  }
}

/**
 * @param whose tokens of the scope: every expression is within one of them. The first is that of the archive (scope.ts)
 * @param query textual, in its simplest form; or everything
 */
export function matchOf(whose: readonly string[], query: Query): string {
  const scope = scopeOf(whose);
  return query.kind === "all" ? scope : `${scope} AND (${expression(query, whose)})`;
}

const scopeOf = (whose: readonly string[]): string => `scope : (${whose.map(quote).join(" OR ")})`;

function expression(query: Query, whose: readonly string[]): string {
  switch (query.kind) {
    case "and":
      return conjunction(query.of, whose);
    case "or":
      return query.of.map((one) => `(${expression(one, whose)})`).join(" OR ");
    case "not":
      return `(${scopeOf(whose)}) NOT (${expression(query.of, whose)})`;
    case "text":
      return text(query);
    case "header": {
      const words = fieldWords(query.name, query.text);
      if (words === null) break;
      return `fields : ${quote(words)}${query.open && query.text !== null ? " *" : ""}`;
    }
    case "attachment":
      return `scope : ${quote(FILES_TOKEN)}`;
    case "archived":
      return scopeOf(whose.slice(0, 1));
    case "direction":
      return `scope : ${quote(query.direction)}`;
  }
  throw new Error(`a condition of the kind ${query.kind} is not for the full text`);
}

function conjunction(of: readonly Query[], whose: readonly string[]): string {
  const wanted = of.filter((one) => one.kind !== "not").map((one) => `(${expression(one, whose)})`);
  const unwanted = of.flatMap((one) => (one.kind === "not" ? [`(${expression(one.of, whose)})`] : []));
  const there = wanted.length > 0 ? wanted.join(" AND ") : scopeOf(whose);
  return unwanted.length > 0 ? `(${there}) NOT (${unwanted.join(" OR ")})` : there;
}

function text({ fields, text: words, open }: TextCondition): string {
  const columns = [...new Set(fields.map((field) => COLUMN_OF[field]))].join(" ");
  return `{${columns}} : ${quote(words)}${open ? " *" : ""}`;
}

/** A NUL would end the text for SQLite, and half a surrogate pair is no UTF-8. */
const quote = (words: string): string => `"${words.replaceAll('"', '""').replaceAll("\0", " ").toWellFormed()}"`;
