/** A query that may be run: in its simplest form, and not too large. */

import { err, ok, type Result } from "../result.ts";
import { isIndexedField } from "./header-words.ts";
import {
  MAX_QUERY_CONDITIONS,
  MAX_QUERY_DEPTH,
  MAX_QUERY_NESTING,
  MAX_QUERY_RANGES,
  MAX_QUERY_TEXT,
} from "./limits.ts";
import type { Condition, Query } from "./query.ts";
import { simplify } from "./simplify.ts";

/** A sentence that says what to do. */
export interface QueryProblem {
  /** `unsupported`: what is asked for is not in the index, however it is asked. */
  readonly kind: "too_large" | "invalid" | "unsupported";
  readonly message: string;
}

const tooLarge = (message: string) => err<QueryProblem>({ kind: "too_large", message });

/** What is left when nothing is said twice counts; the query itself only has to be one that can be walked through. */
export function prepare(query: Query): Result<Query, QueryProblem> {
  const raw = measure(query);
  if (raw.depth > MAX_QUERY_NESTING) return tooLarge("The search is nested too deeply: say it with fewer brackets.");
  for (const one of raw.conditions) {
    const problem = faultOf(one);
    if (problem) return err(problem);
  }
  const simple = simplify(query);
  const { depth, conditions } = measure(simple);
  if (depth > MAX_QUERY_DEPTH) return tooLarge("The search is nested too deeply: say it with fewer brackets.");
  if (conditions.length > MAX_QUERY_CONDITIONS) {
    return tooLarge(`The search has more than ${MAX_QUERY_CONDITIONS} words and conditions: leave some out.`);
  }
  return ok(simple);
}

/** Without recursion: a query of somebody else's may be of any depth. */
function measure(query: Query): { readonly depth: number; readonly conditions: readonly Condition[] } {
  const conditions: Condition[] = [];
  const left: { query: Query; at: number }[] = [{ query, at: 1 }];
  let depth = 1;
  for (let next = left.pop(); next; next = left.pop()) {
    depth = Math.max(depth, next.at);
    const { query: one, at } = next;
    if (one.kind === "and" || one.kind === "or") for (const each of one.of) left.push({ query: each, at: at + 1 });
    else if (one.kind === "not") left.push({ query: one.of, at: at + 1 });
    else if (one.kind !== "all" && one.kind !== "none") conditions.push(one);
  }
  return { depth, conditions };
}

function faultOf(one: Condition): QueryProblem | null {
  const text = textOf(one);
  if (text !== null && text.length > MAX_QUERY_TEXT)
    return { kind: "too_large", message: `One word or phrase has more than ${MAX_QUERY_TEXT} characters: shorten it.` };
  if (one.kind === "header" && one.text?.trim() && !isIndexedField(one.name) && one.name.toLowerCase() !== "message-id")
    return { kind: "unsupported", message: `The words of the header field ${one.name} are not in the index.` };
  if (one.kind === "uids" && one.ranges.length > MAX_QUERY_RANGES)
    return { kind: "too_large", message: `More than ${MAX_QUERY_RANGES} ranges of numbers: ask for fewer at a time.` };
  if (numbersOf(one).every(Number.isSafeInteger)) return null;
  return { kind: "invalid", message: `A number of the search is none that can be (${one.kind}).` };
}

function textOf(one: Condition): string | null {
  if (one.kind === "text") return one.text;
  if (one.kind === "header") return `${one.name}${one.text ?? ""}`;
  if (one.kind === "keyword") return one.keyword;
  if (one.kind === "conversation") return textOf(one.is);
  if (one.kind === "messageId") return one.id;
  return one.kind === "folder" && "called" in one ? one.called : null;
}

/** They stand in the statement as they are. */
function numbersOf(one: Condition): readonly number[] {
  switch (one.kind) {
    case "arrived":
    case "sent":
      return [one.since ?? 0, one.before ?? 0];
    case "size":
      return [one.atLeast ?? 0, one.below ?? 0];
    case "thread":
      return [one.thread];
    case "modseq":
      return [one.atLeast];
    case "uids":
      return one.ranges.flat();
    case "folder":
      return "among" in one ? one.among : "except" in one ? one.except : [];
    default:
      return [];
  }
}
