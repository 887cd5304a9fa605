import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EXAMPLES } from "../../../src/core/query/operators.ts";
import { parseQuery, parseWords } from "../../../src/core/query/parse.ts";
import { prepare } from "../../../src/core/query/prepare.ts";
import type { Query } from "../../../src/core/query/query.ts";

const NOW = Date.UTC(2026, 10, 24, 12);
const DAY = 24 * 3600_000;

const parse = (text: string) => parseQuery(text, { now: NOW });

/** As a person would say it: fields in short, `*` for what may go on. */
function told(query: Query): string {
  switch (query.kind) {
    case "and":
      return `(${query.of.map(told).join(" & ")})`;
    case "or":
      return `(${query.of.map(told).join(" | ")})`;
    case "not":
      return `!${told(query.of)}`;
    case "text": {
      const where = query.fields.length === 8 ? "" : `${query.fields.join("+")}:`;
      return `${where}[${query.text}${query.open ? "*" : ""}]`;
    }
    case "all":
    case "none":
      return query.kind;
    default: {
      const { kind, ...rest } = query;
      return `${kind}${JSON.stringify(rest)}`;
    }
  }
}

const meaning = (text: string): string => {
  const query = parse(text);
  return query.ok ? told(query.value) : `error: ${query.error.message}`;
};

describe("what a person types into the search box", () => {
  it.each([
    ["", "all"],
    ["   ", "all"],
    ["???", "none"],
    ['"', "none"],
    ["annual report", "([annual] & [report*])"],
    ["annual report ", "([annual] & [report*])"],
    ['"annual report"', "[annual report]"],
    ['"annual rep', "[annual rep*]"],
    ["invoice -draft", "([invoice] & ![draft])"],
    ["-draft", "![draft]"],
    ["NOT draft invoice", "(![draft] & [invoice*])"],
    ["not mine", "([not] & [mine*])"],
    ["e-mail", "[e-mail*]"],
    ["a - b & c", "([a] & [b] & [c*])"],
    ["ann or bob", "([ann] | [bob*])"],
    ["ann OR bob | zoe", "([ann] | [bob] | [zoe*])"],
    ["budget ann or bob 2026", "([budget] & ([ann] | [bob]) & [2026*])"],
    ["or ann or", "[ann]"],
    ['ann "or" bob', "([ann] & [or] & [bob*])"],
    ["ann AND bob", "([ann] & [bob*])"],
    ["(ann or bob) -(spam or junk)", "(([ann] | [bob]) & !([spam] | [junk]))"],
    ["(ann or bob", "([ann] | [bob*])"],
    ["ann) bob", "([ann)] & [bob*])"],
    ["invoic*  x", "([invoic**] & [x*])"],
    ["from:ann", "from:[ann*]"],
    ["FROM:Ann x", "(from:[Ann] & [x*])"],
    ["from: ann x", "(from:[ann] & [x*])"],
    ['subject:"quarterly report"', "subject:[quarterly report]"],
    ["to:bob", "to+cc+bcc+envelope:[bob*]"],
    ["from:(ann or bob) x", "((from:[ann] | from:[bob]) & [x*])"],
    ["-from:ann", "!from:[ann]"],
    ["filename:pdf", "attachment:[pdf*]"],
    ["has:attachment", "attachment{}"],
    ["is:unread", '!flag{"flag":"seen"}'],
    ["-is:read", '!flag{"flag":"seen"}'],
    ["is:forwarded", 'keyword{"keyword":"$Forwarded"}'],
    ["is:outgoing", 'direction{"direction":"out"}'],
    ["in:inbox", 'folder{"called":"inbox"}'],
    ['in:"My receipts"', 'folder{"called":"My receipts"}'],
    ["in:anywhere", "all"],
    ["in:archive", "archived{}"],
    ["before:2026-10-01", `arrived{"before":${Date.UTC(2026, 9, 1)}}`],
    ["since:2026-10", `arrived{"since":${Date.UTC(2026, 9, 1)}}`],
    ["on:2026-10", `arrived{"since":${Date.UTC(2026, 9, 1)},"before":${Date.UTC(2026, 10, 1)}}`],
    ["on:2026", `arrived{"since":${Date.UTC(2026, 0, 1)},"before":${Date.UTC(2027, 0, 1)}}`],
    ["on:yesterday", `arrived{"since":${Date.UTC(2026, 10, 23)},"before":${Date.UTC(2026, 10, 24)}}`],
    ["since:2026-11-24T10:00:00Z", `arrived{"since":${Date.UTC(2026, 10, 24, 10)}}`],
    ["sent-since:2026/10/1", `sent{"since":${Date.UTC(2026, 9, 1)}}`],
    ["newer:7d", `arrived{"since":${NOW - 7 * DAY}}`],
    ["older_than:1y", `arrived{"before":${NOW - 365 * DAY}}`],
    ["larger:5M", `size{"atLeast":${5 * 1024 * 1024}}`],
    ["smaller:1.5k", 'size{"below":1536}'],
    ["header:X-Loop", 'header{"name":"X-Loop","text":null,"open":false}'],
    ["header:list-id:news", 'header{"name":"list-id","text":"news","open":false}'],
    ['header:list-id:"weekly news"', 'header{"name":"list-id","text":"weekly news","open":false}'],
    ["message-id:<a@b.example>", 'messageId{"id":"a@b.example"}'],
    ["http://example.org/x", "[http://example.org/x*]"],
    ["Re: budget", "([Re:] & [budget*])"],
    ["scope:d2", "[scope:d2*]"],
    ["constructor:x", "[constructor:x*]"],
  ])("%j means %s", (text, expected) => {
    expect(meaning(text)).toBe(expected);
  });

  it.each([
    ["before:tomorow", "before:tomorow is no date: write before: and 2026-11-24, 2026-11, 2026, today or yesterday."],
    ["on:2026-11-31", "on:2026-11-31 is no date: write on: and 2026-11-24, 2026-11, 2026, today or yesterday."],
    ["larger:huge", "larger:huge is no size: write larger: and 500k, 5M or 1.5M."],
    ["newer:week", "newer:week is no length of time: write newer: and 12h, 7d, 2w, 3m or 1y."],
    ["has:fun", "has:fun is not known: write has:attachment."],
    ["ann from:", "from: has nothing behind it: write what to look for, or put it in quotes to find the word."],
    ["(from:)", "from: has nothing behind it: write what to look for, or put it in quotes to find the word."],
  ])("for %j says what to write instead", (text, expected) => {
    expect(meaning(text)).toBe(`error: ${expected}`);
  });

  it("is:odd names all that mail can be", () => {
    expect(meaning("is:odd")).toMatch(
      /^error: is:odd is nothing that mail can be: write is: and one of read, .*unread/,
    );
  });

  it("is understood as every example of the help says", () => {
    for (const [example] of EXAMPLES) {
      const query = parse(example);
      expect(query.ok && prepare(query.value).ok, example).toBe(true);
    }
  });

  it("never fails, whatever is typed, and is never too deep to be walked through", () => {
    const pieces = fc.constantFrom(
      "(",
      ")",
      '"',
      "-",
      " or ",
      "NOT ",
      "from:",
      "in:",
      "header:",
      ":",
      "*",
      "a",
      "is:read",
      " ",
    );
    const typed = fc.oneof(
      fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
      fc.array(pieces, { maxLength: 120 }).map((list) => list.join("")),
    );
    fc.assert(
      fc.property(typed, (text) => {
        const query = parse(text);
        const problem = query.ok ? prepare(query.value) : query;
        return problem.ok || problem.error.message.endsWith(".");
      }),
      { numRuns: 200 },
    );
  });
});

describe("words of one field", () => {
  it.each([
    ["annual rep", "(subject:[annual] & subject:[rep*])"],
    ['"annual report"', "(subject:[annual report])"],
    ["or -not from:x", "(subject:[or] & subject:[-not] & subject:[from:x*])"],
    ["%", "none"],
    ["", "all"],
  ])("%j are %s, and nothing in them is an operator", (text, expected) => {
    expect(told(parseWords(text, ["subject"]))).toBe(expected);
  });
});
