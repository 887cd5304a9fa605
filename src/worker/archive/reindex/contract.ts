/** What a reindex is asked, and what a step of it answers. */
import type { FateState, Verdict } from "../../../core/verdict.ts";
import type { Receipt } from "../meta.ts";
import type { RawMetadata } from "../raw.ts";

export interface ReindexOptions {
  /** Of the step before; null begins. */
  readonly cursor: string | null;
  /** Unix milliseconds; only what came since. */
  readonly since: number | null;
  /** Only what belongs on this one. */
  readonly shard: number | null;
  /** Nothing is written: what would be is counted. */
  readonly dryRun: boolean;
}

export interface ReindexProblem {
  /** `nobody`: it is kept in the domain's own account. The others are not in the index. */
  readonly kind: "nobody" | "no_envelope" | "unknown_domain" | "unreadable" | "not_indexed";
  readonly key: string;
  /** In words, with what to do. */
  readonly detail: string;
}

/** Counts of copies: a message has one for each mailbox that it came for. */
export interface ReindexCounts {
  /** Objects looked at. */
  seen: number;
  /** Copies that have a row now and had none; of these, `waiting` wait for the origin, `refused` the origin refused. */
  indexed: number;
  waiting: number;
  refused: number;
  /** Copies that had a row; of these, rows that said that a message waits which is settled. */
  present: number;
  settled: number;
  /** Octets of a message that the index has from another time. */
  repeats: number;
  /** Objects whose message was never accepted, or is past its time. */
  skipped: number;
  /** Copies for an address that is nobody's now. */
  nobody: number;
  /** Mailboxes whose folders were looked after. */
  mailboxes: number;
  /** Rows that no words found, and that have their full text now. */
  renewed: number;
}

export interface ReindexStep {
  /** Null: that was all. */
  readonly cursor: string | null;
  readonly counts: ReindexCounts;
  /** How far it is, unix milliseconds of arrival; null outside the archive. */
  readonly at: number | null;
  /** Milliseconds to wait before the next step: mail may be under way. */
  readonly wait: number;
  /** The first ones; `problemCount` is how many there were. */
  readonly problems: readonly ReindexProblem[];
  readonly problemCount: number;
}

/** One copy that there has to be. */
export interface Copy {
  readonly key: string;
  readonly metadata: RawMetadata;
  readonly receipt: Receipt;
  /** The envelope recipient as received. */
  readonly to: string;
  readonly account: number;
  /** The domain's number. */
  readonly domain: number;
  readonly shard: number;
  readonly nobody: boolean;
  /** Where it belongs, for a message with a Message-ID and for one without. */
  readonly verdict: (messageId: boolean) => Verdict;
  /** What the domain's object remembers of it. */
  readonly fate: FateState | null;
  /** JSON of the origin's reply, where it refused the message. */
  readonly reply: string | null;
}

export const noCounts = (): ReindexCounts => ({
  seen: 0,
  indexed: 0,
  waiting: 0,
  refused: 0,
  present: 0,
  settled: 0,
  repeats: 0,
  skipped: 0,
  nobody: 0,
  mailboxes: 0,
  renewed: 0,
});
