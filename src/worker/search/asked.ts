/** What an API or a page asks for, as a query. */
import { parseQuery, parseWords } from "../../core/query/parse.ts";
import { prepare, type QueryProblem } from "../../core/query/prepare.ts";
import { ADDRESSEES, and, type Query } from "../../core/query/query.ts";
import type { Result } from "../../core/result.ts";

/** What must be true of a message, each where it is given. */
export interface Asked {
  /** As a person types it (core/query/parse.ts). */
  readonly q?: string | undefined;
  /** Words and "phrases" of these fields; the last word may be the beginning of one. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  /** Unix milliseconds, inclusive. */
  readonly since?: number | undefined;
  /** Unix milliseconds, exclusive. */
  readonly until?: number | undefined;
  readonly direction?: "in" | "out" | undefined;
}

/** @param now unix milliseconds. @returns it in its simplest form */
export function queryOf(asked: Asked, now: number): Result<Query, QueryProblem> {
  const { q = "", from = "", to = "", subject = "", since, until, direction } = asked;
  const typed = parseQuery(q, { now });
  if (!typed.ok) return typed;
  const span = { ...(since === undefined ? {} : { since }), ...(until === undefined ? {} : { before: until }) };
  return prepare(
    and(
      typed.value,
      parseWords(from, ["from"]),
      parseWords(to, ADDRESSEES),
      parseWords(subject, ["subject"]),
      { kind: "arrived", ...span },
      direction === undefined ? and() : { kind: "direction", direction },
    ),
  );
}
