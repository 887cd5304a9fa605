import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Argument, type Selected, searchKeys } from "../../../../src/core/protocol/imap/search-keys.ts";
import { MAX_QUERY_NESTING } from "../../../../src/core/query/limits.ts";
import { prepare } from "../../../../src/core/query/prepare.ts";
import { ALL, and, NONE, not, or, phrase, type Query, type TextField } from "../../../../src/core/query/query.ts";

const NOW = Date.UTC(2026, 10, 24, 12);
const SELECTED: Selected = { uids: [3, 4, 8, 20], saved: [[4, 8]], now: NOW };
const FEBRUARY = Date.UTC(2026, 1, 1);
const DAY = 24 * 3600_000;

/** What stands behind SEARCH, as a lexer has it: atoms, "strings" and (lists). */
function lexed(line: string): Argument[] {
  const stack: Argument[][] = [[]];
  for (const [token, string] of line.matchAll(/"((?:[^"\\]|\\.)*)"|[()]|[^\s()"]+/g)) {
    const top = stack.at(-1) ?? [];
    if (token === "(") stack.push([]);
    else if (token === ")") {
      stack.pop();
      stack.at(-1)?.push({ as: "list", of: top });
    } else
      top.push(
        string === undefined ? { as: "atom", text: token } : { as: "string", text: string.replace(/\\(.)/g, "$1") },
      );
  }
  return stack[0] ?? [];
}

const search = (line: string, selected = SELECTED) => searchKeys(lexed(line), selected);

/** In its simplest form. */
function meaning(line: string, selected = SELECTED): unknown {
  const query = search(line, selected);
  if (!query.ok) return query.error;
  const simple = prepare(query.value);
  return simple.ok ? simple.value : simple.error;
}

const flag = (name: "seen" | "answered" | "flagged" | "draft" | "deleted"): Query => ({ kind: "flag", flag: name });
const words = (text: string, ...fields: TextField[]): Query => phrase(fields, text, true);
const uids = (...ranges: [number, number][]): Query => ({ kind: "uids", ranges });

describe("a key of SEARCH", () => {
  it.each<[string, Query]>([
    ["ALL", ALL],
    ["ANSWERED", flag("answered")],
    ["UNANSWERED", not(flag("answered"))],
    ["DELETED", flag("deleted")],
    ["UNDELETED", not(flag("deleted"))],
    ["DRAFT", flag("draft")],
    ["UNDRAFT", not(flag("draft"))],
    ["FLAGGED", flag("flagged")],
    ["unflagged", not(flag("flagged"))],
    ["Seen", flag("seen")],
    ["UNSEEN", not(flag("seen"))],
    ["KEYWORD $Forwarded", { kind: "keyword", keyword: "$Forwarded" }],
    ["UNKEYWORD work", not({ kind: "keyword", keyword: "work" })],
    ['BCC "ann"', words("ann", "bcc")],
    ["BODY budget", words("budget", "body")],
    ['CC "ann"', words("ann", "cc")],
    ['FROM "Ann B"', words("Ann B", "from")],
    ['SUBJECT "annual rep"', words("annual rep", "subject")],
    ['TO "bob@example.org"', words("bob@example.org", "to")],
    ["TEXT budget", words("budget", "subject", "from", "to", "cc", "bcc", "attachment", "body")],
    ['HEADER List-Id "news"', { kind: "header", name: "list-id", text: "news", open: true }],
    ['HEADER X-Loop ""', { kind: "header", name: "x-loop", text: null, open: true }],
    ['HEADER Subject "annual"', words("annual", "subject")],
    ['HEADER Message-ID "<a@example.org>"', { kind: "messageId", id: "a@example.org" }],
    ["BEFORE 1-Feb-2026", { kind: "arrived", before: FEBRUARY }],
    ['ON "01-FEB-2026"', { kind: "arrived", since: FEBRUARY, before: FEBRUARY + DAY }],
    ["SINCE 1-Feb-2026", { kind: "arrived", since: FEBRUARY }],
    ["SENTBEFORE 1-Feb-2026", { kind: "sent", before: FEBRUARY }],
    ["SENTON 1-Feb-2026", { kind: "sent", since: FEBRUARY, before: FEBRUARY + DAY }],
    ["SENTSINCE 1-Feb-2026", { kind: "sent", since: FEBRUARY }],
    ["OLDER 60", { kind: "arrived", before: NOW - 60_000 + 1 }],
    ["YOUNGER 60", { kind: "arrived", since: NOW - 60_000 }],
    ["LARGER 1000", { kind: "size", atLeast: 1001 }],
    ["SMALLER 1000", { kind: "size", below: 1000 }],
    ["MODSEQ 620162338", { kind: "modseq", atLeast: 620162338 }],
    ['MODSEQ "/flags/\\\\draft" all 5', { kind: "modseq", atLeast: 5 }],
    ["NEW", NONE],
    ["RECENT", NONE],
    ["OLD", ALL],
    ["NOT SEEN", not(flag("seen"))],
    ["NOT (SEEN FLAGGED)", or(not(flag("seen")), not(flag("flagged")))],
    ["OR SEEN FLAGGED", or(flag("seen"), flag("flagged"))],
    ["OR SEEN OR FLAGGED DRAFT", or(flag("seen"), flag("flagged"), flag("draft"))],
    ["SEEN FLAGGED", and(flag("seen"), flag("flagged"))],
    ["OR (SEEN FLAGGED) DRAFT ANSWERED", and(or(and(flag("seen"), flag("flagged")), flag("draft")), flag("answered"))],
    ['SUBJECT ""', ALL],
  ])("%s", (line, query) => {
    expect(meaning(line)).toEqual(query);
  });

  it.each<[string, string, Query]>([
    ["2", "one message", uids([4, 4])],
    ["2:3", "several", uids([4, 8])],
    ["3:2", "in either order", uids([4, 8])],
    ["1,4", "here and there", uids([3, 3], [20, 20])],
    ["3:*", "up to the last", uids([8, 20])],
    ["*", "the last", uids([20, 20])],
    ["3:9", "beyond the last: those that there are", uids([8, 20])],
    ["9", "beyond the last: none", NONE],
    ["UID 4:9", "UIDs, whether they are there or not", uids([4, 9])],
    ["UID 100:*", "from there to the last, which is always among them", uids([20, 100])],
    ["$", "what was saved", uids([4, 8])],
    ["UID $", "what was saved, by another name", uids([4, 8])],
    ["NOT 1:2", "all but those", not(uids([3, 4]))],
  ])("%s names messages: %s", (line, _what, query) => {
    expect(meaning(line)).toEqual(query);
  });

  it("finds no message by number in an empty folder", () => {
    const empty: Selected = { uids: [], saved: [], now: NOW };
    for (const line of ["1", "1:*", "*", "$"]) expect(meaning(line, empty)).toEqual(NONE);
  });

  it.each([
    ["", "a search needs a key"],
    ["NOT", "a key is missing at the end"],
    ["OR SEEN", "a key is missing at the end"],
    ["()", "brackets without a key in them"],
    ["WORDS", "WORDS is no search key"],
    ["UNALL", "UNALL is no search key"],
    ["SENTALL", "SENTALL is no search key"],
    ['"SEEN"', '"SEEN" is a string, where a key belongs'],
    ["SUBJECT", "SUBJECT wants a string behind it"],
    ["SUBJECT (a)", "SUBJECT wants a string behind it"],
    ["HEADER From", "HEADER wants a string behind it"],
    ["KEYWORD", "KEYWORD wants an atom behind it"],
    ["LARGER big", "LARGER wants a number behind it"],
    ["OLDER 0", "OLDER wants a number of seconds above 0"],
    ["ON 31-Feb-2026", "ON wants a date such as 1-Feb-2026"],
    ["ON 1-Foo-2026", "ON wants a date such as 1-Feb-2026"],
    ["SINCE yesterday", "SINCE wants a date such as 1-Feb-2026"],
    ['MODSEQ "/flags/\\\\draft" some 5', "MODSEQ wants all, shared or priv"],
    ["UID a", "UID wants a set of numbers such as 1:5,9"],
    ["0", "0 is no search key"],
    ["NOT (SEEN (WORDS))", "WORDS is no search key"],
  ])("%s is refused: %s", (line, problem) => {
    expect(search(line)).toEqual({ ok: false, error: problem });
  });

  it("has so many levels and no more", () => {
    const nested = (levels: number) => `${"NOT ".repeat(levels)}SEEN`;
    expect(search(nested(MAX_QUERY_NESTING)).ok).toBe(true);
    expect(search(nested(MAX_QUERY_NESTING + 1)).ok).toBe(false);
    const brackets = (levels: number) => `${"(".repeat(levels)}SEEN${")".repeat(levels)}`;
    expect(search(brackets(MAX_QUERY_NESTING)).ok).toBe(true);
    expect(search(brackets(MAX_QUERY_NESTING + 1)).ok).toBe(false);
  });

  it("says that the words of a field which machines write are in no index", () => {
    expect(meaning('HEADER Received "example"')).toMatchObject({ kind: "unsupported" });
  });

  it("reads whatever comes, or says what is wrong with it", () => {
    const atom = fc.constantFrom(
      "NOT",
      "OR",
      "SEEN",
      "UID",
      "1:*",
      "$",
      "MODSEQ",
      "HEADER",
      "ON",
      "1-Feb-2026",
      "LARGER",
      "9".repeat(25),
      "99",
    );
    const argument = fc.letrec<{ one: Argument }>((tie) => ({
      one: fc.oneof(
        { maxDepth: 3 },
        atom.map((text): Argument => ({ as: "atom", text })),
        fc.string().map((text): Argument => ({ as: "string", text })),
        fc.array(tie("one"), { maxLength: 3 }).map((of): Argument => ({ as: "list", of })),
      ),
    })).one;
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 6 }), (keys) => {
        const query = searchKeys(keys, SELECTED);
        if (!query.ok) return query.error.length > 0;
        const simple = prepare(query.value);
        return simple.ok || simple.error.kind !== "invalid";
      }),
      { numRuns: 2_000 },
    );
  });
});
