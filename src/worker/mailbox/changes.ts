/** What has changed since a state, for any consumer: what came, what is different, what went (RFC 8620 §5.2, RFC 7162). */
import { accountState, type ChangedPlacement, changedFolders, changedPlacements, historyOf } from "../store/changes.ts";
import type { Mailbox } from "./contract.ts";

/**
 * What somebody knows of an account: everything at `base`, and what has changed then up to `seq`. The two are the same but in the
 * middle of changes that are told in pages: what came after `base` is new to whoever reads them, although it may have been there
 * at `seq`, when its change was not told yet.
 */
export interface State {
  readonly seq: number;
  readonly base: number;
}

/** Everything at that MODSEQ. */
export const stateAt = (seq: number): State => ({ seq, base: seq });

/** `123`; in the middle of pages `123-100`. */
export const formatState = ({ seq, base }: State): string => (base === seq ? String(seq) : `${seq}-${base}`);

/** @returns null where it is none */
export function readState(text: string): State | null {
  const match = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(text);
  if (!match) return null;
  const seq = Number(match[1]);
  const base = match[2] === undefined ? seq : Number(match[2]);
  return base <= seq ? { seq, base } : null;
}

export interface ChangeSet<T> {
  readonly created: readonly T[];
  readonly updated: readonly T[];
  readonly destroyed: readonly T[];
}

/**
 * What was created may be known already where it changed while pages were read, and what was destroyed may never have been told;
 * what was updated is known.
 */
export interface Changes {
  readonly oldState: State;
  /** What came up to here is told; the consumer asks with it the next time. */
  readonly newState: State;
  /** There is more after `newState`. */
  readonly hasMore: boolean;
  /** By number. `updated`: the folder itself, or what is in it. */
  readonly folders: ChangeSet<number>;
  /** Folders of `updated` of which only the counts are different (RFC 8621 §2.2, `updatedProperties`). */
  readonly countsOnly: readonly number[];
  /** Messages in folders: numbers of placements, `folder * 2^32 + uid`. What IMAP, POP3 and lists of folders show. */
  readonly placements: ChangeSet<ChangedPlacement>;
  /** Messages by their own number, wherever they lie: JMAP's Emails. */
  readonly messages: ChangeSet<number>;
}

/** The MODSEQ of now: a state of everything. */
export async function currentState({ db, account }: Mailbox): Promise<number> {
  return (await accountState(db, account))?.seq ?? 0;
}

/**
 * @param since a state that this account had
 * @param limit changes of placements, about: a page ends between two steps of the counter
 * @returns null where that cannot be calculated: change records of that time are forgotten, or the state is of another mailbox
 */
export async function changesSince(mailbox: Mailbox, since: State, limit: number): Promise<Changes | null> {
  const { db, account } = mailbox;
  const { seq, base } = since;
  const before = await accountState(db, account);
  if (!before || seq < before.purged || seq > before.seq) return null;
  const rows = await changedPlacements(db, account, seq, limit);
  const folders = await changedFolders(db, account, seq);
  const hasMore = rows.length >= limit && (rows.at(-1)?.modseq ?? 0) < before.seq;
  // A page that is not full was all. What came meanwhile is told the next time.
  const until = hasMore ? (rows.at(-1)?.modseq ?? seq) : Math.max(before.seq, rows.at(-1)?.modseq ?? 0);
  const history = await historyOf(db, account, [...new Set(rows.map(({ message }) => message))]);
  // Forgotten while it was read: what is missing would look as if it had never been.
  const after = await accountState(db, account);
  if (!after || seq < after.purged) return null;
  const within = (modseq: number | null) => modseq !== null && modseq > seq && modseq <= until;
  // A folder is told of when it is made, whatever has become of it since.
  const told = folders.filter(({ created, modseq, highest }) => [created, modseq, highest].some(within));
  const there = told.filter(({ gone }) => gone === null || gone > until);
  return {
    oldState: since,
    newState: hasMore ? { seq: until, base } : stateAt(until),
    hasMore,
    folders: {
      created: there.filter(({ created }) => created > seq).map(({ id }) => id),
      updated: there.filter(({ created }) => created <= seq).map(({ id }) => id),
      destroyed: told.filter(({ gone, created }) => within(gone) && created <= seq).map(({ id }) => id),
    },
    countsOnly: there.filter(({ created, modseq }) => created <= seq && modseq <= seq).map(({ id }) => id),
    placements: {
      created: rows.filter(({ created, gone }) => created > base && gone === null),
      updated: rows.filter(({ created, gone }) => created <= base && gone === null),
      destroyed: rows.filter(({ created, gone }) => created <= seq && gone !== null),
    },
    messages: byMessage(history, since, until),
  };
}

type History = Awaited<ReturnType<typeof historyOf>>;

/** A message is there as long as one of its placements is: before, and at the end of the page, whatever came later. */
function byMessage(history: History, { seq, base }: State, until: number): ChangeSet<number> {
  const set = { created: [] as number[], updated: [] as number[], destroyed: [] as number[] };
  for (const [id, all] of Map.groupBy(history, ({ message }) => message)) {
    const before = all.filter(thereAt(seq));
    // There from the beginning; or it was on an earlier page, and one of its placements has been there ever since.
    const told = all.filter(({ modseq }) => modseq > base && modseq <= seq).map(({ modseq }) => modseq);
    const known = before.some(({ created }) => created <= base || told.some((page) => created <= page));
    if (all.some(thereAt(until))) set[known ? "updated" : "created"].push(id);
    else if (before.length > 0) set.destroyed.push(id);
  }
  return set;
}

const thereAt =
  (state: number) =>
  ({ created, gone }: History[number]): boolean =>
    created <= state && (gone === null || gone > state);
