/** What may be asked at most is answered, and nothing that is typed breaks a statement. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { MAX_QUERY_CONDITIONS, MAX_QUERY_DEPTH } from "../../../src/core/query/limits.ts";
import { parseQuery, parseWords } from "../../../src/core/query/parse.ts";
import { prepare } from "../../../src/core/query/prepare.ts";
import { ANYWHERE, and, not, or, phrase, type Query } from "../../../src/core/query/query.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { searchFolder } from "../../../src/worker/search/folder.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { arrive, entryOf, folderOf, NOON } from "../store/stored.ts";

const ANN = { kind: "account", account: 1, shard: 0 } as const;

beforeAll(async () => {
  await createAccount(env.SHARD_0, 1, 1, NOON);
  await arrive(entryOf(1, { extracted: { subject: "word0 word1", text: "a b c" } }));
});

async function found(query: Query): Promise<number | string> {
  const simple = prepare(query);
  if (!simple.ok) return simple.error.message;
  const page = await searchArchive(env, ANN, simple.value, null, 10);
  const inbox = await searchFolder(
    env.SHARD_0,
    { account: 1, folder: await folderOf(1, "inbox") },
    simple.value,
    null,
    10,
  );
  expect(inbox.items.length).toBe(page?.items.length);
  return page?.items.length ?? -1;
}

const word = (n: number): Query => phrase(ANYWHERE, `word${n}`);
const size = (n: number): Query => ({ kind: "size", atLeast: 1_000 + n });
const some = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe("the largest searches there may be", () => {
  it.each<[string, number, Query]>([
    ["words that all must occur", 0, and(...some(MAX_QUERY_CONDITIONS, word))],
    ["words of which one must occur", 1, or(...some(MAX_QUERY_CONDITIONS, word))],
    ["words that must not occur", 0, and(...some(MAX_QUERY_CONDITIONS, (n) => not(word(n))))],
    ["words, each with a column's condition", 1, or(...some(MAX_QUERY_CONDITIONS / 2, (n) => or(word(n), size(n))))],
    [
      "pairs of a word and a column's condition, each with a statement's parameter of its own",
      1,
      or(size(0), ...some(MAX_QUERY_CONDITIONS / 2 - 1, (n) => and(word(n), not(size(n))))),
    ],
    [
      "keywords and folders by name",
      0,
      or(
        ...some(MAX_QUERY_CONDITIONS / 2, (n): Query => ({ kind: "keyword", keyword: `k${n}` })),
        ...some(MAX_QUERY_CONDITIONS / 2, (n): Query => ({ kind: "folder", called: `f${n}` })),
      ),
    ],
  ])("%s", async (_name, expected, query) => {
    expect(await found(query)).toBe(expected);
  });

  it.each<[string, (n: number) => Query]>([
    ["words", word],
    ["denied words", (n) => not(word(n + 10))],
    ["words and columns", (n) => (n % 2 ? word(n) : not(size(n)))],
    ["columns", size],
  ])("as deep as they may be, of %s", async (_name, leaf) => {
    const nested = (levels: number): Query =>
      levels === 1 ? leaf(0) : (levels % 2 ? and : or)(leaf(2 * levels), leaf(2 * levels + 1), nested(levels - 1));
    expect(typeof (await found(nested(MAX_QUERY_DEPTH - 1)))).toBe("number");
    expect(await found(nested(MAX_QUERY_DEPTH + 1))).toMatch(/nested too deeply/);
  });
});

it("whatever is typed, into whichever box, is searched for", async () => {
  const pieces = fc.constantFrom(
    ..."( ) \" ' ; -- - \\ * ^ + : { } [ ] NEAR( OR AND NOT or scope: from: subject: header:x: in: keyword: \u0000 \ud800 \ue000 \ue001 % _ ? ?1 a b word1".split(
      " ",
    ),
    " ",
  );
  const typed = fc.oneof(
    fc.array(pieces, { maxLength: 30 }).map((list) => list.join("")),
    fc.array(pieces, { maxLength: 30 }).map((list) => list.join(" ")),
    fc.array(fc.nat(0xffff), { maxLength: 20 }).map((units) => String.fromCharCode(...units)),
  );
  await fc.assert(
    fc.asyncProperty(typed, async (text) => {
      const query = parseQuery(text, { now: NOON });
      for (const one of [query.ok ? query.value : null, parseWords(text, ["subject"])]) {
        if (one) expect(["number", "string"]).toContain(typeof (await found(one)));
      }
    }),
    { numRuns: 300 },
  );
});
