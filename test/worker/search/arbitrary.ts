/** Mail and searches by chance, of few words, so that much is found. */
import fc from "fast-check";
import type {
  Condition,
  Flag,
  FlagCondition,
  KeywordCondition,
  Query,
  TextField,
} from "../../../src/core/query/query.ts";

const WORDS = [
  "Budget",
  "budgets",
  "J\u00fcrgen",
  "jurgen",
  "\u00dcbung",
  "ubung",
  "stra\u00dfe",
  "\u6f22\u5b57",
  "a",
  "ab",
];
/** What is typed, beginnings and nonsense among it. */
const TYPED = [
  ...WORDS,
  "b",
  "JUR",
  "u\u0308b",
  "a ab",
  "budget a",
  "a-ab",
  "%",
  '"',
  "OR",
  "NEAR(a b)",
  "*",
  "x\0y",
  "scope:d1",
  "",
];
const FLAGS: readonly Flag[] = ["seen", "answered", "flagged", "draft", "deleted"];
const FIELDS: readonly TextField[] = ["from", "to", "cc", "bcc", "envelope", "subject", "body", "attachment"];
export const HEADERS = ["List-Id", "X-Loop"];
export const KEYWORDS = ["$Forwarded", "work"];
export const TIMES = [0, 1, 2, 3, 4, 5, 6, 7];

export const text = fc.array(fc.constantFrom(...WORDS), { maxLength: 4 }).map((words) => words.join(" "));

export const place = fc.record({
  folder: fc.nat(2),
  flags: fc.subarray([...FLAGS]).map((flags): ReadonlySet<Flag> => new Set(flags)),
  keywords: fc.subarray(KEYWORDS),
  gone: fc.boolean(),
  internal: fc.option(fc.constantFrom(...TIMES)),
});

export const message = fc.record({
  owner: fc.nat(3),
  from: text,
  to: text,
  cc: text,
  bcc: text,
  envelope: fc.constantFrom("a@example.org", "jurgen@example.org", "budget.ab@example.org"),
  subject: text,
  body: text,
  attachments: fc.array(text, { maxLength: 2 }),
  headers: fc.array(fc.tuple(fc.constantFrom(...HEADERS), text), { maxLength: 3 }),
  time: fc.constantFrom(...TIMES),
  date: fc.option(fc.constantFrom(...TIMES)),
  size: fc.nat(5),
  direction: fc.constantFrom("in" as const, "out" as const),
  thread: fc.nat(9),
  own: fc.nat(4).map((n) => n === 0),
  places: fc.array(place, { maxLength: 3 }),
});

export interface Known {
  /** Unix milliseconds of TIMES. */
  readonly times: readonly number[];
  readonly folders: readonly number[];
  readonly messageIds: readonly string[];
  /** Of messages and of UIDs. */
  readonly numbers: readonly number[];
  readonly modseqs: readonly number[];
}

export function query({ times, folders, messageIds, numbers, modseqs }: Known): fc.Arbitrary<Query> {
  const typed = fc.constantFrom(...TYPED);
  const span = fc.record({ since: fc.constantFrom(...times), before: fc.constantFrom(...times) }, { requiredKeys: [] });
  const condition = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("text" as const),
        fields: fc.subarray([...FIELDS]),
        text: typed,
        open: fc.boolean(),
      }),
    },
    fc.record({
      kind: fc.constant("header" as const),
      name: fc.constantFrom(...HEADERS, "x-loop"),
      text: fc.option(typed),
      open: fc.boolean(),
    }),
    fc.constant<Condition>({ kind: "attachment" }),
    fc.constant<Condition>({ kind: "archived" }),
    span.map((each): Condition => ({ kind: "arrived", ...each })),
    span.map((each): Condition => ({ kind: "sent", ...each })),
    fc.record({ kind: fc.constant("size" as const), atLeast: fc.nat(5), below: fc.nat(7) }, { requiredKeys: ["kind"] }),
    fc.constantFrom(...FLAGS).map((flag): Condition => ({ kind: "flag", flag })),
    fc.constantFrom(...KEYWORDS, "WORK").map((keyword): Condition => ({ kind: "keyword", keyword })),
    fc.subarray([...folders]).map((among): Condition => ({ kind: "folder", among })),
    fc.subarray([...folders]).map((except): Condition => ({ kind: "folder", except })),
    fc.constantFrom("inbox", "Sent", "drafts", "nowhere").map((called): Condition => ({ kind: "folder", called })),
    fc.constantFrom("in" as const, "out" as const).map((direction): Condition => ({ kind: "direction", direction })),
    fc.nat(2).map((thread): Condition => ({ kind: "thread", thread })),
    fc.record({
      kind: fc.constant("conversation" as const),
      of: fc.constantFrom("some" as const, "every" as const),
      is: fc.constantFrom<FlagCondition | KeywordCondition>(
        { kind: "flag", flag: "seen" },
        { kind: "flag", flag: "flagged" },
        { kind: "keyword", keyword: "work" },
      ),
    }),
    fc.constantFrom(...messageIds, "none").map((id): Condition => ({ kind: "messageId", id })),
    fc
      .array(fc.tuple(fc.constantFrom(...numbers), fc.constantFrom(...numbers)), { maxLength: 6 })
      .map((ranges): Condition => ({ kind: "uids", ranges })),
    fc.constantFrom(...modseqs).map((atLeast): Condition => ({ kind: "modseq", atLeast })),
  );
  return fc.letrec<{ query: Query }>((tie) => ({
    query: fc.oneof(
      { maxDepth: 4 },
      condition,
      fc.array(tie("query"), { minLength: 1, maxLength: 4 }).map((of): Query => ({ kind: "and", of })),
      fc.array(tie("query"), { minLength: 1, maxLength: 4 }).map((of): Query => ({ kind: "or", of })),
      tie("query").map((of): Query => ({ kind: "not", of })),
    ),
  })).query;
}
