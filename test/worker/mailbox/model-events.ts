/** What happens to a mailbox in the test by a model. */
import * as fc from "fast-check";

export interface Fault {
  /** `before`, `after`: a batch fails before or after it took effect. `object`: the domain's object does not answer once. */
  readonly kind: "none" | "before" | "after" | "object";
  /** Batches that go well before. */
  readonly skip: number;
}

interface Words {
  readonly add: readonly string[];
  readonly remove: readonly string[] | "all";
}

/** Folders and messages by any number, taken modulo what there is. */
export type Event = { readonly fault: Fault } & (
  | { readonly kind: "arrive"; readonly count: number }
  | {
      readonly kind: "mark";
      readonly which: readonly number[];
      readonly add: number;
      readonly remove: number;
      readonly words: Words | null;
    }
  | { readonly kind: "move"; readonly which: readonly number[]; readonly folder: number }
  | { readonly kind: "copy"; readonly which: readonly number[]; readonly folder: number }
  | { readonly kind: "remove"; readonly which: readonly number[]; readonly marked: boolean }
  | { readonly kind: "expunge"; readonly folder: number }
  | { readonly kind: "drop"; readonly folder: number }
  | {
      readonly kind: "append";
      readonly folder: number;
      readonly flags: number;
      readonly keywords: readonly string[];
      readonly length: number;
    }
  | { readonly kind: "make"; readonly name: string; readonly parent: number }
  | { readonly kind: "alter"; readonly folder: number; readonly name: string | null; readonly parent: number | null }
  | { readonly kind: "claim"; readonly count: number }
  | { readonly kind: "deliver"; readonly count: number }
  | { readonly kind: "refuse"; readonly count: number }
  | { readonly kind: "sync"; readonly client: number; readonly limit: number }
);

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Fault>({ kind: "none", skip: 0 }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("before", "after", "object"),
      skip: fc.nat(2),
    }) as fc.Arbitrary<Fault>,
  },
);
const number = fc.nat(60);
const which = fc.array(number, { minLength: 1, maxLength: 5 });
const flags = fc.nat(31);
const word = fc.constantFrom("$forwarded", "later", "red");
const words = fc.option(
  fc.record({
    add: fc.uniqueArray(word, { maxLength: 2 }),
    remove: fc.oneof(fc.uniqueArray(word, { maxLength: 2 }), fc.constant("all" as const)),
  }),
);
const name = fc.constantFrom("A", "B", "C", "Trash");

const of = <K extends Event["kind"], T extends object>(kind: K, rest: { [P in keyof T]: fc.Arbitrary<T[P]> }) =>
  fc.record({ kind: fc.constant(kind), fault, ...rest }) as unknown as fc.Arbitrary<Event>;

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: of("arrive", { count: fc.integer({ min: 1, max: 3 }) }) },
  // Never to set and to clear the same: that is no change that anybody asks for.
  {
    weight: 4,
    arbitrary: fc.tuple(fault, which, flags, flags, words).map(
      ([one, which, add, remove, words]): Event => ({
        kind: "mark",
        fault: one,
        which,
        add,
        remove: remove & ~add,
        words,
      }),
    ),
  },
  { weight: 4, arbitrary: of("move", { which, folder: number }) },
  { weight: 2, arbitrary: of("copy", { which, folder: number }) },
  { weight: 2, arbitrary: of("remove", { which, marked: fc.boolean() }) },
  { weight: 1, arbitrary: of("expunge", { folder: number }) },
  {
    weight: 2,
    arbitrary: of("append", {
      folder: number,
      flags,
      keywords: fc.uniqueArray(word, { maxLength: 2 }),
      length: fc.nat(50),
    }),
  },
  { weight: 2, arbitrary: of("make", { name, parent: number }) },
  { weight: 2, arbitrary: of("alter", { folder: number, name: fc.option(name), parent: fc.option(number) }) },
  { weight: 1, arbitrary: of("drop", { folder: number }) },
  { weight: 2, arbitrary: of("claim", { count: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 2, arbitrary: of("deliver", { count: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: of("refuse", { count: fc.integer({ min: 1, max: 2 }) }) },
  { weight: 3, arbitrary: of("sync", { client: number, limit: fc.integer({ min: 1, max: 5 }) }) },
);

export const events = (most: number): fc.Arbitrary<Event[]> => fc.array(event, { minLength: 5, maxLength: most });
