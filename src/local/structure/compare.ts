/** Where two readings of a message differ, and of what kind each difference is. */
import { kindOf } from "./kinds.ts";
import type { OurReading, Reading, ReadLeaf } from "./reading.ts";

export const ASPECTS = [
  "subject",
  "messageId",
  "date",
  "from",
  "to",
  "cc",
  "tree",
  "text",
  "names",
  "sizes",
  "bodies",
] as const;
export type Aspect = (typeof ASPECTS)[number];

export interface Difference {
  readonly aspect: Aspect;
  readonly kind: string;
  readonly ours: string;
  readonly theirs: string;
}

/** @returns for each aspect that both have, what differs; null where it agrees */
export function compare(octets: Uint8Array, ours: OurReading, theirs: Reading): Map<Aspect, Difference | null> {
  const found = new Map<Aspect, Difference | null>();
  for (const aspect of ASPECTS) {
    const mine = asText(aspect, ours, theirs);
    const other = asText(aspect, theirs, ours);
    if (mine === null || other === null) continue;
    const agree = mine === other;
    const kind = agree ? "" : kindOf({ aspect, octets, ours, theirs });
    found.set(aspect, agree ? null : { aspect, kind, ours: mine, theirs: other });
  }
  return found;
}

/** As text; null where this reading does not say, or its parts are not the other's. */
function asText(aspect: Aspect, of: Reading, other: Reading): string | null {
  switch (aspect) {
    case "subject":
    case "messageId":
      return of[aspect]?.replace(/\s+/g, " ").trim() ?? null;
    case "date":
      return of.date === null ? null : String(of.date);
    case "from":
    case "to":
    case "cc":
      return of[aspect] && JSON.stringify(of[aspect]);
    case "tree":
      return of.tree;
    case "bodies":
      return of.bodies && of.tree === other.tree ? JSON.stringify(of.bodies) : null;
    default:
      return of.tree === other.tree ? leafValues(aspect, of.leaves, other.leaves) : null;
  }
}

function leafValues(
  aspect: "text" | "names" | "sizes",
  leaves: readonly ReadLeaf[],
  others: readonly ReadLeaf[],
): string | null {
  const values = leaves.flatMap((leaf, index): (string | number | null)[] => {
    const other = others[index];
    if (aspect === "names") return [leaf.name];
    // Where the other does not say, there is nothing to compare.
    if (aspect === "sizes") return leaf.size === null || other?.size === null ? [] : [leaf.size];
    return leaf.text === null || other?.text === null ? [] : [leaf.text];
  });
  return values.length === 0 ? null : JSON.stringify(values);
}
