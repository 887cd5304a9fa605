/** Orders of what was found: IMAP's SORT (RFC 5256), JMAP's sort (RFC 8621 §4.4.2). */
import { baseSubject } from "../mime/base-subject.ts";

/**
 * `name`: as people read it, the name, else the address (RFC 8621 §4.4.2; DISPLAYFROM of RFC 5957); `local`: the part before the @
 * (FROM of RFC 5256 §3).
 */
export type SortKey = { readonly descending?: boolean } & (
  | { readonly by: "arrival" | "date" | "size" | "subject" }
  | { readonly by: "from" | "to" | "cc"; readonly as?: "name" | "local" }
);

/** What a message is sorted by; times in unix milliseconds. */
export interface Sortable {
  readonly id: number;
  readonly arrival: number;
  /** The header's Date; without one, the arrival (RFC 5256 §3). */
  readonly date: number;
  readonly size: number;
  readonly subject: string;
  readonly from: Correspondent | null;
  readonly to: Correspondent | null;
  readonly cc: Correspondent | null;
}

/** The first of them. */
export interface Correspondent {
  readonly name: string;
  readonly address: string;
}

/**
 * The first key decides, then the next …; what is alike in all of them stands in the order of its numbers (RFC 5256 §3).
 * @param keys empty: highest number first
 */
export function sorted<T extends Sortable>(rows: readonly T[], keys: readonly SortKey[]): T[] {
  if (keys.length === 0) return [...rows].sort((a, b) => b.id - a.id);
  const keyed = rows.map((row) => ({ row, values: keys.map((key) => sortValue(row, key)) }));
  keyed.sort((a, b) => {
    for (const [index, key] of keys.entries()) {
      const [left = 0, right = 0] = [a.values[index], b.values[index]];
      if (left !== right) return left < right === (key.descending === true) ? 1 : -1;
    }
    return a.row.id - b.row.id;
  });
  return keyed.map(({ row }) => row);
}

function sortValue(row: Sortable, key: SortKey): string | number {
  switch (key.by) {
    case "subject":
      return collated(baseSubject(row.subject));
    case "from":
    case "to":
    case "cc": {
      const one = row[key.by];
      if (!one) return "";
      return collated(key.as === "local" ? one.address.replace(/@[^@]*$/, "") : one.name || one.address);
    }
    default:
      return row[key.by];
  }
}

/** Without regard to case (i;unicode-casemap, RFC 5051), in the order of code points. */
const collated = (text: string): string => text.normalize("NFKD").toUpperCase();
