/** Where a reindex stands, as text that a command keeps in a file. */
import { ARCHIVE, KEPT } from "../raw.ts";
import type { MailboxesAfter } from "./mailboxes.ts";
import type { RowsAfter } from "./renew.ts";

export interface Position {
  /** When the run began, unix milliseconds: what came later is in the index without it. */
  readonly startedAt: number;
  /** Null: at the beginning. */
  readonly at:
    | null
    | ({ readonly phase: "mailboxes" } & MailboxesAfter)
    /** After this R2 key, or what keys begin with. */
    | { readonly phase: "objects"; readonly after: string }
    /** Null: at the first row. */
    | { readonly phase: "rows"; readonly after: RowsAfter | null };
}

const MAILBOXES = "mailboxes";
const ROWS = "rows";

export function cursorOf({ startedAt, at }: Position): string {
  if (at === null) return `${startedAt}`;
  if (at.phase === "objects") return `${startedAt} ${at.after}`;
  if (at.phase === "rows") return `${startedAt} ${ROWS} ${at.after?.shard ?? 0} ${at.after?.row ?? 0}`;
  return `${startedAt} ${MAILBOXES} ${at.domain} ${at.address}`.trimEnd();
}

/** @returns null where it is none */
export function positionOf(cursor: string): Position | null {
  const match = /^(\d{13})(?: (.+))?$/s.exec(cursor);
  if (!match) return null;
  const startedAt = Number(match[1]);
  const rest = match[2];
  if (rest === undefined) return { startedAt, at: null };
  if (rest.startsWith(ARCHIVE) || rest.startsWith(KEPT)) return { startedAt, at: { phase: "objects", after: rest } };
  const rows = /^rows (\d{1,4}) (\d{1,16})$/.exec(rest);
  if (rows) return { startedAt, at: { phase: "rows", after: { shard: Number(rows[1]), row: Number(rows[2]) } } };
  const [kind, domain, ...address] = rest.split(" ");
  if (kind !== MAILBOXES || !domain) return null;
  return { startedAt, at: { phase: "mailboxes", domain, address: address.join(" ") } };
}
