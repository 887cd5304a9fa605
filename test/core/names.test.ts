/** Names that people and clients give: folders, keywords, parts. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFolderName } from "../../src/core/folder-name.ts";
import { readKeyword } from "../../src/core/keyword.ts";
import { isSection } from "../../src/core/section.ts";

/** Letters that Unicode writes in two ways, that look like others, or that are half of one. */
const letters = fc.constantFrom(
  "a",
  "i",
  "N",
  "b",
  "o",
  "x",
  " ",
  "/",
  "u",
  "\u0308",
  "\u00fc",
  "\u212b",
  "\ud83d",
  "\ude00",
  "\u0131",
);

describe("a folder's name", () => {
  it("is kept in NFC, and INBOX in capitals at the top alone", () => {
    expect(readFolderName("Cafe\u0301", true)).toEqual({ ok: true, value: "Caf\u00e9" });
    expect(readFolderName("iNbOx", true)).toEqual({ ok: true, value: "INBOX" });
    expect(readFolderName("iNbOx", false)).toEqual({ ok: true, value: "iNbOx" });
  });

  it.each([
    ["", "must not be empty"],
    ["a/b", 'must not contain "/": it separates levels'],
    ["a\tb", "must not contain control characters"],
    ["a\u202eb", "must not contain control characters"],
    [" a", "must not begin or end with a space"],
    ["\u00e9".repeat(128), "must be at most 255 octets of UTF-8"],
    ["\udc00", "is not Unicode: half of a surrogate pair stands alone"],
  ])("is not %j", (text, error) => {
    expect(readFolderName(text, false)).toEqual({ ok: false, error });
  });

  it("that was read once is read the same again", () => {
    fc.assert(
      fc.property(fc.string({ unit: letters }), fc.boolean(), (text, top) => {
        const first = readFolderName(text, top);
        if (first.ok) expect(readFolderName(first.value, top)).toEqual(first);
      }),
    );
  });
});

describe("a keyword", () => {
  it("is the same in any case", () => {
    expect(readKeyword("$Forwarded")).toEqual({ ok: true, value: "$forwarded" });
  });

  it.each(["", "a b", "a(b", 'a"', "\\Seen", "\u00e9", "a%", "a*", "a]", "x".repeat(256)])("is not %j", (text) => {
    expect(readKeyword(text).ok).toBe(false);
  });
});

it.each([
  ["1", true],
  ["2.10.3", true],
  ["0", false],
  ["1.", false],
  ["1..2", false],
  ["01", false],
  ["", false],
])("%j as the number of a part: %s", (text, is) => {
  expect(isSection(text)).toBe(is);
});
