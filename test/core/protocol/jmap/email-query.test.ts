import { describe, expect, it } from "vitest";
import { filterQuery, sortKeys } from "../../../../src/core/protocol/jmap/email-query.ts";
import { prepare } from "../../../../src/core/query/prepare.ts";
import { ALL, and, NONE, not, or, phrase, type Query } from "../../../../src/core/query/query.ts";

const folders: Readonly<Record<string, number | "archive">> = { F7: 7, F8: 8, F1: "archive" };
const read = (filter: unknown) => filterQuery(filter, (id) => folders[id] ?? null);

/** In its simplest form. */
function meaning(filter: unknown): unknown {
  const query = read(filter);
  if (!query.ok) return query.error;
  const simple = prepare(query.value);
  return simple.ok ? simple.value : simple.error;
}

const archived: Query = { kind: "archived" };
const flagged: Query = { kind: "flag", flag: "flagged" };

describe("a filter of Email/query", () => {
  it.each<[string, unknown, Query]>([
    ["none", null, ALL],
    ["without a property", {}, ALL],
    ["a folder", { inMailbox: "F7" }, { kind: "folder", among: [7] }],
    ["a folder that is not there", { inMailbox: "F9" }, NONE],
    ["the archive", { inMailbox: "F1" }, archived],
    [
      "other folders, the archive too",
      { inMailboxOtherThan: ["F7", "F9"] },
      or(archived, { kind: "folder", except: [7] }),
    ],
    ["other folders, not the archive", { inMailboxOtherThan: ["F7", "F1"] }, { kind: "folder", except: [7] }],
    ["time of arrival", { before: "2026-11-24T10:00:00Z" }, { kind: "arrived", before: Date.UTC(2026, 10, 24, 10) }],
    [
      "several properties: all of them",
      { after: "2026-11-24T10:00:00Z", minSize: 5, maxSize: 9 },
      and(
        { kind: "arrived", since: Date.UTC(2026, 10, 24, 10) },
        { kind: "size", atLeast: 5 },
        { kind: "size", below: 9 },
      ),
    ],
    ["a keyword that is a flag", { hasKeyword: "$Flagged" }, flagged],
    ["a keyword that is none", { notKeyword: "$forwarded" }, not({ kind: "keyword", keyword: "$forwarded" })],
    [
      "keywords of the thread",
      { someInThreadHaveKeyword: "$flagged" },
      { kind: "conversation", of: "some", is: { kind: "flag", flag: "flagged" } },
    ],
    [
      "no keyword in the thread",
      { noneInThreadHaveKeyword: "work" },
      not({ kind: "conversation", of: "some", is: { kind: "keyword", keyword: "work" } }),
    ],
    ["no attachment", { hasAttachment: false }, not({ kind: "attachment" })],
    [
      "words of a field",
      { subject: '"annual report" bud' },
      and(phrase(["subject"], "annual report"), phrase(["subject"], "bud", true)),
    ],
    ["a header field", { header: ["List-Id"] }, { kind: "header", name: "list-id", text: null, open: false }],
    [
      "words of a header field",
      { header: ["List-Id", "news"] },
      { kind: "header", name: "list-id", text: "news", open: false },
    ],
    [
      "operators",
      {
        operator: "OR",
        conditions: [
          { hasKeyword: "$flagged" },
          { operator: "NOT", conditions: [{ minSize: 5 }, { hasAttachment: true }] },
        ],
      },
      or(flagged, and(not({ kind: "size", atLeast: 5 }), not({ kind: "attachment" }))),
    ],
  ])("%s", (_name, filter, expected) => {
    expect(meaning(filter)).toEqual(expected);
  });

  it.each([
    [{ fromAnyContact: true }, "unsupportedFilter"],
    [{ minSize: -1 }, "invalidArguments"],
    [{ before: "yesterday" }, "invalidArguments"],
    [{ operator: "XOR", conditions: [] }, "invalidArguments"],
    [{ operator: "AND", conditions: [7] }, "invalidArguments"],
    [{ header: [] }, "invalidArguments"],
    ["words", "invalidArguments"],
  ])("%j is refused as %s", (filter, type) => {
    expect(meaning(filter)).toMatchObject({ type });
  });

  it("is refused, and read no further, where it is nested without end", () => {
    let filter: unknown = { minSize: 1 };
    for (let n = 0; n < 10_000; n++) filter = { operator: "AND", conditions: [filter] };
    expect(meaning(filter)).toMatchObject({ type: "unsupportedFilter" });
  });
});

describe("an order of Email/query", () => {
  it("is ascending unless it says otherwise", () => {
    expect(sortKeys([{ property: "from" }, { property: "receivedAt", isAscending: false }])).toEqual({
      ok: true,
      value: [
        { by: "from", as: "name", descending: false },
        { by: "arrival", descending: true },
      ],
    });
    expect(sortKeys(null)).toEqual({ ok: true, value: [] });
  });

  it.each([
    [[{ property: "hasKeyword", keyword: "$seen" }], "unsupportedSort"],
    [[{ property: "constructor" }], "unsupportedSort"],
    [[{}], "invalidArguments"],
    ["receivedAt", "invalidArguments"],
  ])("%j is refused as %s", (sort, type) => {
    expect(sortKeys(sort)).toMatchObject({ ok: false, error: { type } });
  });
});
