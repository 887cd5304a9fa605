/** What a move of a mailbox from one shard to another is made of. */
import type { mailboxMove } from "../store/directory.schema.ts";
import { OWN } from "../store/numbers.ts";

export type MovePhase = (typeof mailboxMove.$inferSelect)["phase"];

export interface Progress {
  /** Of copying: `clean` throws away a copy that turned out wrong; then what is brought next; `drain`: only changes are left. */
  readonly stage: "clean" | "begin" | "messages" | "placements" | "drain";
  /** The last row that was brought, by the order of its stage. */
  readonly after: readonly [number, number];
  /** Messages in the mailbox when the move began, and those brought over or found there. */
  readonly total: number;
  readonly copied: number;
  /** Changes that were made meanwhile and brought after. */
  readonly changes: number;
  /** Messages cleared away from the old shard. */
  readonly cleared: number;
  /** Copies that differed from the original. */
  readonly wrong: number;
}

/** Before every row of every order: numbers in the archive begin at `OWN`, the others at 1. */
export const BEGINNING = [OWN - 1, 0] as const;

export const AT_FIRST: Progress = {
  stage: "begin",
  after: BEGINNING,
  total: 0,
  copied: 0,
  changes: 0,
  cleared: 0,
  wrong: 0,
};

/** Times in unix milliseconds. */
export interface Move {
  /** Also the account's number. */
  readonly mailbox: number;
  readonly domain: number;
  readonly source: number;
  readonly target: number;
  readonly phase: MovePhase;
  readonly progress: Progress;
  readonly actor: string;
  readonly attempt: number;
  readonly dueAt: number;
  readonly startedAt: number;
  readonly switchedAt: number | null;
  readonly endedAt: number | null;
  readonly problem: string | null;
}

/** What a step has changed. */
export type MoveChange = Partial<Pick<Move, "phase" | "progress" | "dueAt" | "endedAt" | "problem">>;

/** Rows of the shard as they stand; names are the columns'. */
export interface FolderRow {
  readonly id: number;
  readonly parent: number;
  readonly name: string;
  readonly role: string | null;
  readonly uidvalidity: number;
  readonly subscribed: number;
  readonly modseq: number;
  readonly created: number;
  readonly gone: number | null;
  readonly request: string | null;
  /** What is in it is counted on each shard by itself; these two only grow. */
  readonly uidnext: number;
  readonly highest: number;
}

/** What of an account goes along beside its rows, as it stands behind the fence. */
export interface AccountRow {
  readonly seq: number;
  readonly purged: number;
  readonly marked: number;
  readonly marked_at: number;
  readonly archive_last: number;
}

/** What the owner of an account has set, and whom they have told: little, and so brought at once, behind the fence. */
export interface PersonRows {
  readonly identity: readonly Row[];
  readonly on_arrival: readonly Row[];
  readonly told: readonly Row[];
}
export type PersonTable = keyof PersonRows;
export type Row = Readonly<Record<string, string | number | null>>;

/** Their columns, without the account. */
export const PERSON_COLUMNS: Readonly<Record<PersonTable, readonly string[]>> = {
  identity: ["id", "email", "name", "reply_to", "bcc", "text_signature", "html_signature", "chosen"],
  on_arrival: [
    "answers",
    "from_at",
    "to_at",
    "subject",
    "text",
    "html",
    "forward_to",
    "asked_address",
    "asked_code",
    "asked_at",
    "asked_wrong",
  ],
  told: ["sender", "at"],
};
export const PERSON_TABLES = ["identity", "on_arrival", "told"] as const satisfies readonly PersonTable[];

export interface MessageRow {
  readonly id: number;
  /** In the archive folder; `OWN`: its owner put it into a folder. */
  readonly number: number;
  readonly mid: string;
  readonly once: string;
  readonly thread: number;
  readonly direction: "in" | "out";
  readonly at: number;
  readonly size: number;
  readonly key: string;
  readonly sender: string;
  readonly subject: string;
  readonly preview: string;
  /** JSON. */
  readonly meta: string;
  readonly structure: string | null;
}

export interface PlacementRow {
  /** `folder * 2^32 + uid` */
  readonly id: number;
  readonly message: number;
  readonly modseq: number;
  readonly created: number;
  readonly flags: number;
  readonly keywords: string | null;
  readonly gone: number | null;
  readonly waiting: number | null;
  readonly refusal: string | null;
  readonly internal_at: number | null;
  readonly request: string | null;
  /** `folder * 2^32 + uid` where a move took it. */
  readonly went: number | null;
}
