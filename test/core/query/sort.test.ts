import { describe, expect, it } from "vitest";
import { type Sortable, type SortKey, sorted } from "../../../src/core/query/sort.ts";

const row = (id: number, facts: Partial<Sortable> = {}): Sortable => ({
  id,
  arrival: id,
  date: id,
  size: 0,
  subject: "",
  from: null,
  to: null,
  cc: null,
  ...facts,
});
const person = (name: string, address: string) => ({ name, address });
const order = (rows: readonly Sortable[], ...keys: SortKey[]) => sorted(rows, keys).map(({ id }) => id);

describe("messages in order", () => {
  it("stand newest first where nothing is said", () => {
    expect(order([row(1), row(3), row(2)])).toEqual([3, 2, 1]);
  });

  it("by size, and of the same size by the next key, else by their numbers", () => {
    const rows = [row(1, { size: 2 }), row(2, { size: 1, date: 9 }), row(3, { size: 1, date: 8 }), row(4, { size: 2 })];
    expect(order(rows, { by: "size" })).toEqual([2, 3, 1, 4]);
    expect(order(rows, { by: "size" }, { by: "date" })).toEqual([3, 2, 1, 4]);
    expect(order(rows, { by: "size", descending: true })).toEqual([1, 4, 2, 3]);
    expect(order(rows, { by: "arrival", descending: true })).toEqual([4, 3, 2, 1]);
  });

  it("by subject without Re: and case", () => {
    const rows = [
      row(1, { subject: "Re: beta" }),
      row(2, { subject: "Alpha" }),
      row(3, { subject: "BETA" }),
      row(4, { subject: "[List] gamma" }),
    ];
    expect(order(rows, { by: "subject" })).toEqual([2, 1, 3, 4]);
  });

  it("by sender: the name, else the address; or what stands before the @", () => {
    const rows = [
      row(1, { from: person("Zoe", "a@example.org") }),
      row(2, { from: person("", "m@example.org") }),
      row(3),
      row(4, { from: person("ann", "z@example.org") }),
    ];
    expect(order(rows, { by: "from" })).toEqual([3, 4, 2, 1]);
    expect(order(rows, { by: "from", as: "local" })).toEqual([3, 1, 2, 4]);
    expect(order(rows, { by: "from", descending: true })).toEqual([1, 2, 4, 3]);
  });
});
