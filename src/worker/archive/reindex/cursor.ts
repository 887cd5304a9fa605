/** Where a reindex stands, as text that a command keeps in a file. */
import { ARCHIVE, KEPT } from "../raw.ts";
import type { MailboxesAfter } from "./mailboxes.ts";

export interface Position {
  /** When the run began, unix milliseconds: what came later is in the index without it. */
  readonly startedAt: number;
  /** Null: at the beginning. */
  readonly at:
    | null
    | ({ readonly phase: "mailboxes" } & MailboxesAfter)
    /** After this R2 key, or what keys begin with. */
    | { readonly phase: "objects"; readonly after: string };
}

const MAILBOXES = "mailboxes";

export function cursorOf({ startedAt, at }: Position): string {
  if (at === null) return `${startedAt}`;
  return at.phase === "objects"
    ? `${startedAt} ${at.after}`
    : `${startedAt} ${MAILBOXES} ${at.domain} ${at.address}`.trimEnd();
}

/** @returns null where it is none */
export function positionOf(cursor: string): Position | null {
  const match = /^(\d{13})(?: (.+))?$/s.exec(cursor);
  if (!match) return null;
  const startedAt = Number(match[1]);
  const rest = match[2];
  if (rest === undefined) return { startedAt, at: null };
  if (rest.startsWith(ARCHIVE) || rest.startsWith(KEPT)) return { startedAt, at: { phase: "objects", after: rest } };
  const [kind, domain, ...address] = rest.split(" ");
  if (kind !== MAILBOXES || !domain) return null;
  return { startedAt, at: { phase: "mailboxes", domain, address: address.join(" ") } };
}
