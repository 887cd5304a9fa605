/** What a mail client that keeps a copy of a folder asks for: what it has to show, what has changed, what is to be expunged. */
import { EMPTY_BATCHES, MAX_ACT } from "../../core/limits.ts";
import { ok, type Result } from "../../core/result.ts";
import { accountState, changedInFolder, vanishedUids } from "../store/changes.ts";
import { deletedIn, type Facts, type FolderPage, factsOfFolder } from "../store/placements.ts";
import type { Mailbox, Refusal } from "./contract.ts";
import { removeMessages } from "./messages.ts";

/** UIDs, flags, sizes and dates of a folder, without what the messages say: for lists of sizes, and for FETCH of flags. */
export const folderFacts = ({ db, account }: Mailbox, page: FolderPage): Promise<Facts[]> =>
  factsOfFolder(db, account, page);

export interface FolderChanges {
  /** Numbers of placements that came or are different, in the order of their change; `limit` of them at the most. */
  readonly changed: readonly number[];
  /** UIDs that have left, ascending (RFC 7162 §3.2.10). */
  readonly vanished: readonly number[];
}

/**
 * For CHANGEDSINCE, QRESYNC and VANISHED.
 * @returns null where records of that time are forgotten: whoever asks has to compare all UIDs (RFC 7162 §3.2.5.1)
 */
export async function folderChanges(
  { db, account }: Mailbox,
  folder: number,
  since: number,
  limit: number,
): Promise<FolderChanges | null> {
  const changed = await changedInFolder(db, account, folder, since, limit);
  const vanished = await vanishedUids(db, account, folder, since);
  // Asked last: what is forgotten while it is read is missing above.
  const state = await accountState(db, account);
  return state && since >= state.purged ? { changed, vanished } : null;
}

export interface Expunged {
  /** Numbers of placements that are gone, ascending. */
  readonly removed: readonly number[];
  /** Being delivered to the origin right now: they stay, marked. */
  readonly busy: readonly number[];
  /** There is more, where it was too much for one request. */
  readonly hasMore: boolean;
}

/** EXPUNGE and CLOSE (RFC 9051 §6.4.3): all that is flagged \Deleted; the archive keeps its copies. */
export async function expungeFolder(mailbox: Mailbox, folder: number): Promise<Result<Expunged, Refusal>> {
  const removed: number[] = [];
  for (let batch = 0; batch < EMPTY_BATCHES; batch++) {
    const marked = await deletedIn(mailbox.db, mailbox.account, folder, MAX_ACT);
    if (marked.length === 0) return ok({ removed, busy: [], hasMore: false });
    const done = await removeMessages(mailbox, marked, { marked: true });
    if (!done.ok) return done;
    removed.push(...done.value.removed);
    const { busy } = done.value;
    if (busy.length > 0 || marked.length < MAX_ACT) return ok({ removed, busy, hasMore: marked.length === MAX_ACT });
  }
  return ok({ removed, busy: [], hasMore: true });
}
