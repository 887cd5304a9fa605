import { describe, expect, it } from "vitest";
import { parseCsv } from "../../../src/worker/access/csv.ts";

const cells = (text: string): unknown => {
  const parsed = parseCsv(text);
  return parsed.ok ? parsed.value.map((row) => [row.line, ...row.cells]) : parsed.error;
};

describe("a list of mailboxes as CSV", () => {
  it.each([
    ["", []],
    [
      "a,b\r\n1,2",
      [
        [1, "a", "b"],
        [2, "1", "2"],
      ],
    ],
    [
      "a\n1\n",
      [
        [1, "a"],
        [2, "1"],
      ],
    ],
    [
      "a,b\n\n , \n1,\n",
      [
        [1, "a", "b"],
        [4, "1", ""],
      ],
    ],
    [
      'a\n"x, y"\n"say ""hi"""\n',
      [
        [1, "a"],
        [2, "x, y"],
        [3, 'say "hi"'],
      ],
    ],
    [
      'a\n"two\nlines"\nlast\n',
      [
        [1, "a"],
        [2, "two\nlines"],
        [4, "last"],
      ],
    ],
    [
      "a;b\n1,5;2\n",
      [
        [1, "a", "b"],
        [2, "1,5", "2"],
      ],
    ],
    [
      "\uFEFFa\r1\r2",
      [
        [1, "a"],
        [2, "1"],
        [3, "2"],
      ],
    ],
    ['a\n"open', { line: 2, reason: "unclosed_quote" }],
    ['a\n"x"y\n', { line: 2, reason: "text_after_quote" }],
  ])("is read from %j", (text, rows) => {
    expect(cells(text)).toEqual(rows);
  });
});
