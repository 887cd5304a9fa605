/** What has changed since a state, for any consumer: what came, what is different, what went (RFC 8620 §5.2, RFC 7162). */
import { accountState, type ChangedPlacement, changedFolders, changedPlacements, historyOf } from "../store/changes.ts";
import type { Mailbox } from "./contract.ts";

export interface ChangeSet<T> {
  readonly created: readonly T[];
  readonly updated: readonly T[];
  readonly destroyed: readonly T[];
}

export interface Changes {
  readonly oldState: number;
  /** What came up to here is told; the consumer asks with it the next time. */
  readonly newState: number;
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

/** The state of now. */
export async function currentState({ db, account }: Mailbox): Promise<number> {
  return (await accountState(db, account))?.seq ?? 0;
}

/**
 * @param since a state that this account had
 * @param limit changes of placements, about: a page ends between two steps of the counter
 * @returns null where that cannot be calculated: change records of that time are forgotten, or the state is of another mailbox
 */
export async function changesSince(mailbox: Mailbox, since: number, limit: number): Promise<Changes | null> {
  const { db, account } = mailbox;
  const before = await accountState(db, account);
  if (!before || since < before.purged || since > before.seq || since < 0) return null;
  const rows = await changedPlacements(db, account, since, limit);
  const folders = await changedFolders(db, account, since);
  const { newState, hasMore } = end(rows, limit, before.seq);
  const messages = [...new Set(rows.map(({ message }) => message))];
  const history = await historyOf(db, account, messages);
  // Forgotten while it was read: what is missing would look as if it had never been.
  const after = await accountState(db, account);
  if (!after || since < after.purged) return null;
  // What has changed again since is told when its turn comes.
  const told = folders.filter(
    ({ modseq, highest }) => Math.min(first(modseq, since), first(highest, since)) <= newState,
  );
  const there = told.filter(({ gone }) => gone === null);
  return {
    oldState: since,
    newState,
    hasMore,
    folders: {
      created: there.filter(({ created }) => created > since).map(({ id }) => id),
      updated: there.filter(({ created }) => created <= since).map(({ id }) => id),
      destroyed: told.filter(({ gone, created }) => gone !== null && created <= since).map(({ id }) => id),
    },
    countsOnly: there.filter(({ created, modseq }) => created <= since && modseq <= since).map(({ id }) => id),
    placements: {
      created: rows.filter(({ created, gone }) => created > since && gone === null),
      updated: rows.filter(({ created, gone }) => created <= since && gone === null),
      destroyed: rows.filter(({ created, gone }) => created <= since && gone !== null),
    },
    messages: byMessage(messages, history, since),
  };
}

/** A page that is not full was all: then the state is that of before it was read. What came meanwhile is told the next time. */
function end(rows: readonly ChangedPlacement[], limit: number, seq: number) {
  const last = rows.at(-1)?.modseq ?? 0;
  return rows.length < limit
    ? { newState: Math.max(seq, last), hasMore: false }
    : { newState: last, hasMore: last < seq };
}

const first = (modseq: number, since: number): number => (modseq > since ? modseq : Number.MAX_SAFE_INTEGER);

/** A message is there as long as one of its placements is. */
function byMessage(
  messages: readonly number[],
  history: Awaited<ReturnType<typeof historyOf>>,
  since: number,
): ChangeSet<number> {
  const placements = Map.groupBy(history, ({ message }) => message);
  const set = { created: [] as number[], updated: [] as number[], destroyed: [] as number[] };
  for (const id of messages) {
    const all = placements.get(id) ?? [];
    const was = all.some(({ created, gone }) => created <= since && (gone === null || gone > since));
    const is = all.some(({ gone }) => gone === null);
    if (is) set[was ? "updated" : "created"].push(id);
    else if (was) set.destroyed.push(id);
  }
  return set;
}
