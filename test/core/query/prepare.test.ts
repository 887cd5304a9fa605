import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fieldsText, fieldWords } from "../../../src/core/query/header-words.ts";
import { prepare } from "../../../src/core/query/prepare.ts";
import { ALL, ANYWHERE, and, NONE, not, or, phrase, type Query } from "../../../src/core/query/query.ts";
import { simplify } from "../../../src/core/query/simplify.ts";
import { tokens, wordsOf } from "../../../src/core/query/tokens.ts";

const word = (text: string) => phrase(["subject"], text);
const [a, b, c] = [word("a"), word("b"), word("c")];

describe("a query in its simplest form", () => {
  it.each<[string, Query, Query]>([
    ["a denial of a denial", not(not(a)), a],
    ["a denial of both", not(and(a, b)), or(not(a), not(b))],
    ["a denial of either", not(or(a, not(b))), and(not(a), b)],
    ["groups in groups", and(and(a, b), and(c)), and(a, b, c)],
    ["what is said twice", and(a, or(b, b), a), and(a, b)],
    ["everything and something", and(ALL, a), a],
    ["nothing or something", or(NONE, a), a],
    ["nothing and something", and(NONE, a), NONE],
    ["everything or something", or(ALL, a), ALL],
    ["no condition at all", and(), ALL],
    ["none of no conditions", or(), NONE],
    ["an empty text", word("  "), ALL],
    ["a text without a word", word("%&"), NONE],
    ["what has not a text without a word", not(word("%&")), ALL],
    ["a header field that has words elsewhere", { kind: "header", name: "Subject", text: "a", open: false }, a],
    [
      "a whole Message-ID",
      { kind: "header", name: "Message-ID", text: "<a@b.example>", open: false },
      { kind: "messageId", id: "a@b.example" },
    ],
    ["a time that is over before it begins", { kind: "arrived", since: 5, before: 5 }, NONE],
    ["no folder at all", { kind: "folder", among: [] }, NONE],
  ])("%s", (_name, query, expected) => {
    expect(simplify(query)).toEqual(expected);
  });

  it("means the same as before, for whatever is true of a message", () => {
    const facts = ["a", "b", "c", "d"];
    const query = fc.letrec<{ q: Query }>((tie) => ({
      q: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom<Query>(ALL, NONE),
        fc.constantFrom(...facts).map((fact): Query => word(fact)),
        fc.array(tie("q"), { maxLength: 4 }).map((of): Query => and(...of)),
        fc.array(tie("q"), { maxLength: 4 }).map((of): Query => or(...of)),
        tie("q").map((of): Query => not(of)),
      ),
    })).q;
    const holds = (one: Query, facts: ReadonlySet<string>): boolean => {
      if (one.kind === "all" || one.kind === "none") return one.kind === "all";
      if (one.kind === "and") return one.of.every((each) => holds(each, facts));
      if (one.kind === "or") return one.of.some((each) => holds(each, facts));
      if (one.kind === "not") return !holds(one.of, facts);
      return one.kind === "text" && facts.has(one.text);
    };
    const isSimple = (one: Query, within: string): boolean => {
      if (one.kind === "not") return one.of.kind === "text";
      if (one.kind !== "and" && one.kind !== "or") return one.kind === "text";
      return one.kind !== within && one.of.length > 1 && one.of.every((each) => isSimple(each, one.kind));
    };
    fc.assert(
      fc.property(query, fc.subarray(facts), (one, true_) => {
        const simple = simplify(one);
        expect(holds(simple, new Set(true_))).toBe(holds(one, new Set(true_)));
        expect(simple.kind === "all" || simple.kind === "none" || isSimple(simple, "")).toBe(true);
      }),
    );
  });
});

describe("a query that is too large", () => {
  const nested = (depth: number): Query =>
    depth === 0 ? a : (depth % 2 ? and : or)(word(`w${depth}`), nested(depth - 1));
  const message = (query: Query) => {
    const prepared = prepare(query);
    return prepared.ok ? null : prepared.error.message;
  };

  it("has more levels than there may be", () => {
    expect(message(nested(11))).toBeNull();
    expect(message(nested(12))).toMatch(/nested too deeply/);
    let deep: Query = a;
    for (let n = 0; n < 100_000; n++) deep = not(deep);
    expect(message(deep)).toMatch(/nested too deeply/);
  });

  it("is none where a client nests each OR into the one before", () => {
    let query: Query = a;
    for (let n = 0; n < 79; n++) query = or(word(`w${n}`), query);
    expect(message(query)).toBeNull();
    expect(message(or(word("one more"), query))).toMatch(/more than 80 words and conditions/);
  });

  it("has a number that is none, a word that is a book, or words that are not in the index", () => {
    expect(message({ kind: "size", atLeast: Number.NaN })).toMatch(/none that can be/);
    expect(message({ kind: "uids", ranges: [[1, 1.5]] })).toMatch(/none that can be/);
    expect(message(phrase(ANYWHERE, "x".repeat(2_001)))).toMatch(/more than 2000 characters/);
    expect(message({ kind: "header", name: "Received", text: "x", open: false })).toMatch(/not in the index/);
    expect(message({ kind: "header", name: "Received", text: "", open: false })).toBeNull();
  });
});

describe("words as the index has them", () => {
  it.each([
    ["J\u00fcrgen M\u00dcLLER", ["jurgen", "muller"]],
    ["u\u0308ber", ["uber"]],
    ["jm@example.net", ["jm", "example", "net"]],
    ["stra\u00dfe", ["stra\u00dfe"]],
    ["\u039f\u03b4\u03cc\u03c2", ["\u03bf\u03b4\u03bf\u03c3"]],
    ["\u6f22\u5b57 \ud55c\uad6d", ["\u6f22\u5b57", "\ud55c\uad6d"]],
    ["a_b-c'd", ["a", "b", "c", "d"]],
    ["\ud83d\ude00 ?!", []],
  ])("%j are %j", (text, expected) => {
    expect(wordsOf(text)).toEqual(expected);
  });

  it("stand where they stand in the text", () => {
    const text = "The J\u00fcrgen \ud83d\ude00 u\u0308ber";
    expect([...tokens(text)].map(({ from, to }) => text.slice(from, to))).toEqual(["The", "J\u00fcrgen", "u\u0308ber"]);
  });
});

describe("header fields in the index", () => {
  const text = fieldsText([
    { name: "List-Id", value: "Weekly News <news.example.org>" },
    { name: "list-id", value: "Other" },
    { name: "Received", value: "from somewhere" },
    { name: "Subject", value: "elsewhere" },
  ]);
  const has = (name: string, words: string | null) => ` ${text} `.includes(` ${fieldWords(name, words)} `);

  it("are found by their own words, and by being there", () => {
    expect(has("LIST-ID", "weekly news")).toBe(true);
    expect(has("List-Id", "news.example")).toBe(true);
    expect(has("List-Id", null)).toBe(true);
    expect(has("Received", null)).toBe(true);
    expect(has("Subject", null)).toBe(true);
    expect(has("X-Other", null)).toBe(false);
    expect(has("List", "weekly")).toBe(false);
  });

  it("are not found by words of another field, or across two", () => {
    expect(has("Received", "somewhere")).toBe(false);
    expect(has("Subject", "weekly")).toBe(false);
    expect(has("List-Id", "org other")).toBe(false);
    expect(fieldWords("List-Id", "%")).toBeNull();
  });

  it("take so much room and no more, however long they are", () => {
    const long = Array.from({ length: 500 }, (_, n) => ({ name: "X-Long", value: `word${n} `.repeat(200) }));
    expect(fieldsText(long).length).toBeLessThan(30_000);
    const many = Array.from({ length: 5_000 }, (_, n) => ({ name: `X-${"-".repeat(n % 300)}${n}`, value: "x" }));
    expect(fieldsText(many).length).toBeLessThan(100_000);
  });
});
