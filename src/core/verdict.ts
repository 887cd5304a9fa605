/**
 * Where a message belongs whose row in the index is lost: from what lies beside its octets and what the domain's object
 * remembers. The order of safety: never lose what was accepted, then never send twice, then never show what was not accepted.
 */

/**
 * What the domain's object remembers of a message:
 * `waiting`: it went to the portal although the origin was to have it; `turned_away`: its sender heard 451, but the index may
 * have it; `rejected`: its sender heard 5xx; `accepted`: the origin has it, our own row was not written; `delivered`, `refused`:
 * redelivery's outcome; `kept`: a person keeps it in the portal; `removed`: a person took it out.
 */
export const FATES = [
  "waiting",
  "turned_away",
  "rejected",
  "accepted",
  "delivered",
  "refused",
  "kept",
  "removed",
] as const;
export type FateState = (typeof FATES)[number];

export interface Known {
  /** Where the octets were to go when they were stored; null: not known. */
  readonly goesTo: "portal" | "origin" | null;
  /** Of a copy that retention made for the portal: whether it was in the backlog then. Null: it is the archive's. */
  readonly copied: "waiting" | "placed" | "unknown" | null;
  readonly fate: FateState | null;
  /** One without never repeats: its sender's second try is another message. */
  readonly messageId: boolean;
}

export interface Verdict {
  /** `inbox`: there, and no part of the backlog. `nowhere`: it was never accepted. */
  readonly place: "archive" | "inbox" | "waiting" | "refused" | "nowhere";
  /** `known`: somebody has noted it; `stored`: it follows from where it was to go; `guess`: it is what is most likely. */
  readonly by: "known" | "stored" | "guess";
}

export function verdictOf({ goesTo, copied, fate, messageId }: Known): Verdict {
  switch (fate) {
    case "delivered":
    case "accepted":
    case "removed":
      return { place: "archive", by: "known" };
    case "refused":
      return { place: "refused", by: "known" };
    case "kept":
      return { place: "inbox", by: "known" };
    case "waiting":
      return { place: "waiting", by: "known" };
    case "rejected":
      return { place: "nowhere", by: "known" };
    case "turned_away":
      // With a Message-ID the sender's next try may have been taken for a repeat of this very object.
      return { place: messageId ? "waiting" : "nowhere", by: "guess" };
    case null:
      break;
  }
  if (copied === "waiting") return { place: "waiting", by: "stored" };
  // Some folder had it. It would expire at once in the archive alone.
  if (copied === "placed" || (copied === "unknown" && goesTo !== "portal")) return { place: "inbox", by: "stored" };
  // The origin that failed at the final dot was noted; so it took what is not.
  return goesTo === "portal" ? { place: "waiting", by: "stored" } : { place: "archive", by: "guess" };
}
