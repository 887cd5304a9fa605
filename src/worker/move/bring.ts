/** Rows from one shard to the other, a page at a time: first everything, then what changed meanwhile. */
import { MOVE_PAGE, MOVE_ROWS } from "../../core/limits.ts";
import { textsOf } from "../archive/row-text.ts";
import type { MessageRow } from "./contract.ts";
import type { Source } from "./source.ts";
import type { Target } from "./target.ts";

export interface Pair {
  readonly source: Source;
  readonly target: Target;
  readonly bucket: R2Bucket;
  /** The number of the mailbox's domain. */
  readonly domain: number;
}

/** @returns the messages of the page, and where the next one begins; null after the last */
export async function bringMessagePage(
  pair: Pair,
  after: readonly [number, number],
): Promise<{ readonly messages: number; readonly next: readonly [number, number] | null }> {
  const rows = await pair.source.messages(after, MOVE_PAGE);
  await bringMessages(pair, rows);
  const last = rows.at(-1);
  return { messages: rows.length, next: last && rows.length === MOVE_PAGE ? [last.number, last.id] : null };
}

/** The placements' messages come first where they are younger than the copy. @returns as above */
export async function bringPlacementPage(
  pair: Pair,
  after: readonly [number, number],
): Promise<readonly [number, number] | null> {
  const rows = await pair.source.placements(after, MOVE_ROWS);
  await bringMissing(
    pair,
    rows.map(({ message }) => message),
  );
  await pair.target.bringPlacements(rows);
  const last = rows.at(-1);
  return last && rows.length === MOVE_ROWS ? [last.modseq, last.id] : null;
}

/** What changed meanwhile, oldest first: each row as it is by now. @returns how many entries of the journal were settled */
export async function bringChanges(pair: Pair): Promise<number> {
  const { source, target } = pair;
  const entries = await source.journal(MOVE_PAGE);
  if (entries.length === 0) return 0;
  const rowsOf = (kind: string) => [...new Set(entries.flatMap((entry) => (entry.kind === kind ? [entry.row] : [])))];
  if (rowsOf("folder").length > 0) await target.bringFolders(await source.folders());
  const placementIds = rowsOf("placement");
  const placements = await source.placementsOf(placementIds);
  const messageIds = rowsOf("message");
  const messages = await source.messagesOf(messageIds);
  await bringMessages(pair, messages);
  await bringMissing(
    pair,
    placements.map(({ message }) => message),
  );
  await target.bringPlacements(placements);
  await target.removePlacements(without(placementIds, placements));
  await target.removeMessages(without(messageIds, messages));
  await source.forget(entries);
  return entries.length;
}

function bringMessages({ target, bucket, domain }: Pair, rows: readonly MessageRow[]): Promise<void> {
  const { account } = target;
  return target.bringMessages(rows, (fresh) => textsOf(bucket, () => ({ account, domain }), fresh));
}

async function bringMissing(pair: Pair, ids: readonly number[]): Promise<void> {
  const wanted = [...new Set(ids)];
  const known = await pair.target.numbers("message", wanted);
  const missing = wanted.filter((id) => !known.has(id));
  for (let at = 0; at < missing.length; at += MOVE_PAGE) {
    await bringMessages(pair, await pair.source.messagesOf(missing.slice(at, at + MOVE_PAGE)));
  }
}

function without(ids: readonly number[], rows: readonly { readonly id: number }[]): number[] {
  const there = new Set(rows.map(({ id }) => id));
  return ids.filter((id) => !there.has(id));
}
