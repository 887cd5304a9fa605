import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { excerpt, hasAll, highlighted, markup, type Needle, needlesOf } from "../../../src/core/query/highlight.ts";
import { parseQuery } from "../../../src/core/query/parse.ts";
import { prepare } from "../../../src/core/query/prepare.ts";

function needles(typed: string, fields: Parameters<typeof needlesOf>[1] = ["body"]): Needle[] {
  const query = parseQuery(typed, { now: 0 });
  const simple = query.ok ? prepare(query.value) : query;
  if (!simple.ok) throw new Error(simple.error.message);
  return needlesOf(simple.value, fields);
}

const marked = (text: string, typed: string): string | null => {
  const pieces = highlighted(text, needles(typed));
  return pieces && markup(pieces);
};

describe("where the words of a search stand", () => {
  it.each([
    ["The annual budget", "budget", "The annual <mark>budget</mark>"],
    ["The annual budget", "bud", "The annual <mark>budget</mark>"],
    ["The annual budget", '"bud"', null],
    ["The annual, budget", '"annual budget"', "The <mark>annual, budget</mark>"],
    ["budget of the annual", '"annual budget"', null],
    [
      "\u00dcbung for J\u00fcrgen u\u0308ber",
      "ubung jurgen uber",
      "<mark>\u00dcbung</mark> for <mark>J\u00fcrgen</mark> <mark>u\u0308ber</mark>",
    ],
    ["annual budget", 'annual "annual budget"', "<mark>annual budget</mark>"],
    ["annual and more", "annual -more", "<mark>annual</mark> and more"],
    ["ann or bob", "ann or bob", "<mark>ann</mark> or <mark>bob</mark>"],
    ["from ann", "from:ann", null],
    ['<b>budget</b> & "more"', "budget", "&lt;b&gt;<mark>budget</mark>&lt;/b&gt; &amp; &quot;more&quot;"],
    ["<mark>nothing</mark>", "budget", null],
    ["", "budget", null],
  ])("in %j for %j: %j", (text, typed, expected) => {
    expect(marked(text, typed)).toBe(expected);
  });

  it("is asked field by field", () => {
    expect(needles("subject:annual budget", ["subject"])).toEqual([
      { words: ["annual"], open: false },
      { words: ["budget"], open: true },
    ]);
    expect(needles("subject:annual budget", ["body"])).toEqual([{ words: ["budget"], open: true }]);
  });

  it("is told of all of them, or of less", () => {
    expect(hasAll("annual budget", needles("annual bud"))).toBe(true);
    expect(hasAll("annual", needles("annual bud"))).toBe(false);
  });
});

describe("an excerpt", () => {
  const filler = "lorem ipsum dolor sit amet ".repeat(40);

  it("begins shortly before the words, at a word, and ends at one", () => {
    const pieces = excerpt(`${filler}the annual\n\n budget is here ${filler}`, needles('"annual budget"'), 80) ?? [];
    const text = pieces.map((piece) => piece.text).join("");
    expect(markup(pieces)).toContain("the <mark>annual budget</mark> is here");
    expect(text).toMatch(/^\u2026(?:lorem|ipsum|dolor|sit|amet) .* (?:lorem|ipsum|dolor|sit|amet)\u2026$/);
    expect(text.length).toBeLessThanOrEqual(82);
  });

  it("shows the place where most of what was looked for stands together", () => {
    const text = `annual ${filler} budget ${filler} the annual budget ${filler}`;
    expect(markup(excerpt(text, needles("annual budget"), 120) ?? [])).toContain(
      "the <mark>annual</mark> <mark>budget</mark>",
    );
  });

  it("is all of a short text, and nothing where nothing is found", () => {
    expect(markup(excerpt("a budget", needles("budget"), 80) ?? [])).toBe("a <mark>budget</mark>");
    expect(excerpt("a budget", needles("other"), 80)).toBeNull();
  });

  it("is a piece of the text whatever it is, and no character is cut in two", () => {
    const units = fc.constantFrom("budget", " ", "a", "\ud83d\ude00", "\u00fc", "\n", "u\u0308", "<", "x".repeat(60));
    fc.assert(
      fc.property(fc.array(units, { maxLength: 60 }), fc.integer({ min: 60, max: 200 }), (list, length) => {
        const text = list.join("");
        const pieces = excerpt(text, needles("budget"), length);
        if (!pieces) return !hasAll(text, needles("budget"));
        const shown = pieces.map((piece) => piece.text).join("");
        const plain = shown.replace(/^\u2026|\u2026$/g, "");
        return (
          text.replace(/\s+/g, " ").trim().includes(plain) &&
          shown.isWellFormed() &&
          shown.length <= length + 2 &&
          pieces.some(({ hit }) => hit)
        );
      }),
    );
  });
});
