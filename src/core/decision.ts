/** "What happens to a message", as data. The mail's way looks its row up here and does what it says. */
import type { Outcome } from "./outcome.ts";

export interface Row {
  readonly name: string;
  readonly mode: "normal" | "emergency";
  readonly recipient: readonly ("covered" | "registered" | "unknown")[];
  /** What the origin said; `not_asked` in emergency mode. */
  readonly origin: Outcome["kind"] | "not_asked";
  /** `as_origin`: the origin's own code, enhanced code and text. */
  readonly sender: "accepted" | "as_origin" | "temporary_failure" | "unknown_user";
  readonly archive: boolean;
  readonly goesTo: "origin" | "portal" | "nowhere";
}

export const TABLE = [
  {
    name: "normal, covered, origin accepts",
    mode: "normal",
    recipient: ["covered"],
    origin: "delivered",
    sender: "accepted",
    archive: true,
    goesTo: "origin",
  },
  {
    name: "normal, covered, origin refuses",
    mode: "normal",
    recipient: ["covered"],
    origin: "refused",
    sender: "as_origin",
    archive: false,
    goesTo: "nowhere",
  },
  {
    name: "normal, covered, origin unavailable",
    mode: "normal",
    recipient: ["covered"],
    origin: "unavailable",
    sender: "accepted",
    archive: true,
    goesTo: "portal",
  },
  {
    name: "normal, not covered, origin accepts",
    mode: "normal",
    recipient: ["registered", "unknown"],
    origin: "delivered",
    sender: "accepted",
    archive: false,
    goesTo: "origin",
  },
  {
    name: "normal, not covered, origin refuses",
    mode: "normal",
    recipient: ["registered", "unknown"],
    origin: "refused",
    sender: "as_origin",
    archive: false,
    goesTo: "nowhere",
  },
  {
    name: "normal, not covered, origin unavailable",
    mode: "normal",
    recipient: ["registered", "unknown"],
    origin: "unavailable",
    sender: "temporary_failure",
    archive: false,
    goesTo: "nowhere",
  },
  {
    name: "emergency, covered",
    mode: "emergency",
    recipient: ["covered"],
    origin: "not_asked",
    sender: "accepted",
    archive: true,
    goesTo: "portal",
  },
  {
    name: "emergency, registered but not covered",
    mode: "emergency",
    recipient: ["registered"],
    origin: "not_asked",
    sender: "temporary_failure",
    archive: false,
    goesTo: "nowhere",
  },
  {
    name: "emergency, unknown",
    mode: "emergency",
    recipient: ["unknown"],
    origin: "not_asked",
    sender: "unknown_user",
    archive: false,
    goesTo: "nowhere",
  },
] as const satisfies readonly Row[];

export type RowName = (typeof TABLE)[number]["name"];

/** @param origin what the origin said, or `not_asked` in emergency mode */
export function rowFor(mode: Row["mode"], recipient: Row["recipient"][number], origin: Row["origin"]): Row {
  const row = (TABLE as readonly Row[]).find(
    (row) => row.mode === mode && row.recipient.includes(recipient) && row.origin === origin,
  );
  if (!row) throw new Error(`the table has no row for ${mode}, ${recipient}, ${origin}`);
  return row;
}
