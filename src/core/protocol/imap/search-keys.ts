/**
 * SEARCH's keys (RFC 9051 §6.4.4; NEW, OLD and RECENT of RFC 3501 §6.4.4, OLDER and YOUNGER of RFC 5032, MODSEQ of RFC 7162 §3.1.5) as
 * the query that every search is. Strings are looked for by words (docs/decisions/016-search-by-words.md): words next to each
 * other, of the last one the beginning. Dates are days in UTC.
 */
import { MAX_QUERY_NESTING } from "../../query/limits.ts";
import {
  ALL,
  and,
  type Flag,
  NONE,
  not,
  or,
  phrase,
  type Query,
  type Span,
  type TextField,
} from "../../query/query.ts";
import { err, ok, type Result } from "../../result.ts";

/** An argument of a command: `as` it was written, and what that says. */
export type Argument =
  /** An atom, a number, a date or a sequence set. */
  | { readonly as: "atom"; readonly text: string }
  /** A quoted string or a literal, decoded. */
  | { readonly as: "string"; readonly text: string }
  | { readonly as: "list"; readonly of: readonly Argument[] };

/** UIDs, both ends included. */
export type UidRange = readonly [from: number, to: number];

/** What keys may speak of that the session knows. */
export interface Selected {
  /** UIDs of the folder's messages, by sequence number less one. */
  readonly uids: readonly number[];
  /** What an earlier SEARCH saved, for `$` (RFC 9051 §6.4.4.1). */
  readonly saved: readonly UidRange[];
  /** Unix milliseconds. */
  readonly now: number;
}

/**
 * @param keys all of SEARCH's arguments behind RETURN and CHARSET
 * @returns not yet in its simplest form (query/prepare.ts); else what is wrong, for a BAD
 */
export function searchKeys(keys: readonly Argument[], selected: Selected): Result<Query, string> {
  if (keys.length === 0) return err("a search needs a key");
  const reader = new Reader(keys, selected, 0);
  const query = reader.all();
  return reader.problem === null ? ok(query) : err(reader.problem);
}

const FLAGS: Readonly<Record<string, Flag>> = {
  ANSWERED: "answered",
  DELETED: "deleted",
  DRAFT: "draft",
  FLAGGED: "flagged",
  SEEN: "seen",
};

/** Whatever the text of a message is (TEXT): its header, as far as words of it are indexed without their field, and its body. */
const TEXT: readonly TextField[] = ["subject", "from", "to", "cc", "bcc", "attachment", "body"];
const FIELDS: Readonly<Record<string, readonly TextField[]>> = {
  BCC: ["bcc"],
  BODY: ["body"],
  CC: ["cc"],
  FROM: ["from"],
  SUBJECT: ["subject"],
  TEXT,
  TO: ["to"],
};

const DAY = 24 * 3600_000;
const SPANS: Readonly<Record<string, (day: number) => Span>> = {
  BEFORE: (day) => ({ before: day }),
  ON: (day) => ({ since: day, before: day + DAY }),
  SINCE: (day) => ({ since: day }),
};

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/** `1-Feb-2026` (RFC 9051 §9, date). */
const DATE = /^(\d{1,2})-([a-z]{3})-(\d{4})$/i;
const SEQUENCE_SET =
  /^(?:(?:[1-9]\d{0,9}|\*)(?::(?:[1-9]\d{0,9}|\*))?)(?:,(?:[1-9]\d{0,9}|\*)(?::(?:[1-9]\d{0,9}|\*))?)*$/;
/** RFC 9051 §9, number64. */
const NUMBER = /^\d{1,19}$/;

class Reader {
  readonly #keys: readonly Argument[];
  readonly #selected: Selected;
  readonly #depth: number;
  #at = 0;
  /** The first thing that cannot be. */
  problem: string | null = null;

  constructor(keys: readonly Argument[], selected: Selected, depth: number) {
    this.#keys = keys;
    this.#selected = selected;
    this.#depth = depth;
  }

  /** Several keys must all be met. */
  all(): Query {
    const of: Query[] = [];
    while (this.#at < this.#keys.length && this.problem === null) of.push(this.#key(this.#depth));
    return of.length === 1 ? (of[0] ?? ALL) : and(...of);
  }

  #key(depth: number): Query {
    if (depth > MAX_QUERY_NESTING) return this.#wrong(`the search has more than ${MAX_QUERY_NESTING} levels`);
    const key = this.#next();
    if (key === null) return this.#wrong("a key is missing at the end");
    if (key.as === "list") return this.#list(key.of, depth);
    if (key.as === "string")
      return this.#wrong(`${JSON.stringify(key.text.slice(0, 40))} is a string, where a key belongs`);
    const name = key.text.toUpperCase();
    const flag = FLAGS[name.replace(/^UN/, "")];
    if (flag !== undefined) return name.startsWith("UN") ? not({ kind: "flag", flag }) : { kind: "flag", flag };
    const fields = FIELDS[name];
    if (fields !== undefined) return phrase(fields, this.#string(name), true);
    const span = SPANS[name.replace(/^SENT/, "")];
    if (span !== undefined) return { kind: name.startsWith("SENT") ? "sent" : "arrived", ...span(this.#day(name)) };
    return this.#other(name, depth);
  }

  #other(name: string, depth: number): Query {
    const { uids, saved, now } = this.#selected;
    switch (name) {
      case "ALL":
        return ALL;
      case "NOT":
        return not(this.#key(depth + 1));
      case "OR": {
        const one = this.#key(depth + 1);
        return or(one, this.#key(depth + 1));
      }
      case "KEYWORD":
        return { kind: "keyword", keyword: this.#atom(name) };
      case "UNKEYWORD":
        return not({ kind: "keyword", keyword: this.#atom(name) });
      case "HEADER": {
        const field = this.#string(name);
        const text = this.#string(name);
        return { kind: "header", name: field, text: text === "" ? null : text, open: true };
      }
      case "LARGER":
        return { kind: "size", atLeast: this.#number(name) + 1 };
      case "SMALLER":
        return { kind: "size", below: this.#number(name) };
      // \Recent is no flag any more (RFC 9051 appendix E): no message has it, and all are old.
      case "NEW":
      case "RECENT":
        return NONE;
      case "OLD":
        return ALL;
      case "OLDER":
        return { kind: "arrived", before: now - this.#seconds(name) + 1 };
      case "YOUNGER":
        return { kind: "arrived", since: now - this.#seconds(name) };
      case "MODSEQ":
        return this.#modseq();
      case "UID": {
        const set = this.#atom(name);
        if (set === "$") return { kind: "uids", ranges: saved };
        if (!SEQUENCE_SET.test(set)) return this.#wrong("UID wants a set of numbers such as 1:5,9");
        return { kind: "uids", ranges: ranges(set, uids.at(-1) ?? 0) };
      }
      case "$":
        return { kind: "uids", ranges: saved };
      default:
        return SEQUENCE_SET.test(name) ? this.#sequence(name) : this.#wrong(`${name.slice(0, 40)} is no search key`);
    }
  }

  #list(of: readonly Argument[], depth: number): Query {
    if (of.length === 0) return this.#wrong("brackets without a key in them");
    const within = new Reader(of, this.#selected, depth + 1);
    const query = within.all();
    this.problem ??= within.problem;
    return query;
  }

  /** Sequence numbers that are none now are passed over. */
  #sequence(set: string): Query {
    const { uids } = this.#selected;
    const found = ranges(set, uids.length).flatMap(([from, to]): UidRange[] => {
      const [first, last] = [uids[Math.max(from, 1) - 1], uids[Math.min(to, uids.length) - 1]];
      return first === undefined || last === undefined ? [] : [[first, last]];
    });
    return { kind: "uids", ranges: found };
  }

  /** `MODSEQ "/flags/\\draft" all 5`: of single flags there are no numbers, and the message's stands for all (RFC 7162 §3.1.5). */
  #modseq(): Query {
    const [first] = this.#keys.slice(this.#at, this.#at + 1);
    if (first?.as === "string") {
      this.#next();
      if (!/^(?:all|shared|priv)$/i.test(this.#atom("MODSEQ"))) return this.#wrong("MODSEQ wants all, shared or priv");
    }
    return { kind: "modseq", atLeast: this.#number("MODSEQ") };
  }

  #next(): Argument | null {
    return this.#keys[this.#at++] ?? null;
  }

  #string(name: string): string {
    const argument = this.#next();
    if (argument && argument.as !== "list") return argument.text;
    this.#wrong(`${name} wants a string behind it`);
    return "";
  }

  #atom(name: string): string {
    const argument = this.#next();
    if (argument?.as === "atom") return argument.text;
    this.#wrong(`${name} wants an atom behind it`);
    return "";
  }

  #number(name: string): number {
    const text = this.#atom(name);
    if (!NUMBER.test(text)) this.#wrong(`${name} wants a number behind it`);
    // What is beyond it, no message has.
    return Math.min(Number(text) || 0, Number.MAX_SAFE_INTEGER - 1);
  }

  /** @returns milliseconds. RFC 5032 §3: a number that is not 0. */
  #seconds(name: string): number {
    const seconds = this.#number(name);
    if (seconds === 0) this.#wrong(`${name} wants a number of seconds above 0`);
    return Math.min(seconds * 1000, this.#selected.now);
  }

  /** @returns its beginning, unix milliseconds */
  #day(name: string): number {
    const [, day, month = "", year] = DATE.exec(this.#string(name)) ?? [];
    const at = Date.UTC(Number(year), MONTHS.indexOf(month.toLowerCase()), Number(day));
    // 31-Feb would be a day of March.
    if (day !== undefined && new Date(at).getUTCDate() === Number(day) && MONTHS.includes(month.toLowerCase()))
      return at;
    this.#wrong(`${name} wants a date such as 1-Feb-2026`);
    return 0;
  }

  #wrong(problem: string): Query {
    this.problem ??= problem;
    return NONE;
  }
}

/** @param last what `*` stands for: 0 where there is nothing */
function ranges(set: string, last: number): UidRange[] {
  return set.split(",").map((range): UidRange => {
    const [from = 0, to = from] = range.split(":").map((end) => (end === "*" ? last : Number(end)));
    return from <= to ? [from, to] : [to, from];
  });
}
