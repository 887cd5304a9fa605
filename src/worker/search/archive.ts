/** Search in the archive: a user's mailbox or an administrator's domain, merged over the shards. */
import type { Query } from "../../core/query/query.ts";
import type { Env } from "../env.ts";
import { shardsOfDomain } from "../store/mailboxes.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "../store/messages.ts";
import { type Shard, shards, shardsInUse } from "../store/shard.ts";
import { type Found, searchShard, windowOf } from "./shard.ts";
import { searchMessages } from "./statement.ts";

export type SearchScope =
  | { readonly kind: "account"; readonly account: number; readonly shard: number }
  | { readonly kind: "domain"; readonly domainId: number };

export interface ArchiveItem extends Omit<MessageRow, "id"> {
  /** `shard-number`. */
  readonly id: string;
}

/** What was asked for lies on this shard too, and it did not answer. */
export class ShardError extends Error {
  override readonly name = "ShardError";
  readonly shard: number;
  constructor(shard: number, cause: unknown) {
    super(`shard ${shard} does not answer`, { cause });
    this.shard = shard;
  }
}

/**
 * Where each shard goes on: below this row. Mail that arrives meanwhile stands before the first page, and no page changes.
 */
type Position = ReadonlyMap<number, number>;

/**
 * Newest first. A page may be short, even empty, and have a next one: then so many rows were looked at without a match.
 * @param query in its simplest form (core/query/prepare.ts)
 * @param cursor `next` of the page before
 * @returns null where the cursor is none of ours
 * @throws ShardError where one of the shards does not answer: a page without its mail would look complete
 */
export async function searchArchive(
  env: Env,
  scope: SearchScope,
  query: Query,
  cursor: string | null,
  limit: number,
): Promise<{ readonly items: readonly ArchiveItem[]; readonly next: string | null } | null> {
  const position = cursor === null ? new Map<number, number>() : readCursor(cursor);
  if (!position) return null;
  if (query.kind === "none") return { items: [], next: null };
  const wanted = (await searchable(env, scope)).filter(
    ({ number }) => scope.kind === "domain" || number === scope.shard,
  );
  const found = await Promise.all(wanted.map((shard) => searchWhole(shard, scope, query, position, limit + 1)));
  return merge(found, position, limit);
}

/**
 * A shard without tables has nobody's mail, unless mailboxes live there: then it was lost, and a page would look complete.
 * @throws ShardError then
 */
async function searchable(env: Env, scope: SearchScope): Promise<Shard[]> {
  const usable = await shardsInUse(env);
  const missing = shards(env).filter(({ number }) => !usable.some((one) => one.number === number));
  if (missing.length === 0) return usable;
  const needed = scope.kind === "domain" ? await shardsOfDomain(env.DIRECTORY, scope.domainId) : [scope.shard];
  const lost = missing.find(({ number }) => needed.includes(number));
  if (lost) throw new ShardError(lost.number, new Error("its tables are missing: apply migrations/shard to it"));
  return usable;
}

type FoundOn = Found<MessageRow> & { readonly shard: number };

async function searchWhole(
  { db, number }: Shard,
  scope: SearchScope,
  query: Query,
  position: Position,
  limit: number,
): Promise<FoundOn> {
  try {
    const window = await windowOf(db, query, position.get(number) ?? Number.MAX_SAFE_INTEGER);
    const { rows, stoppedAt } = await searchShard<StoredRow>(db, window, limit, (some, look) =>
      searchMessages(scope, query, some, { columns: MESSAGE_COLUMNS, limit, look }),
    );
    return { shard: number, rows: rows.map(messageRow), stoppedAt };
  } catch (error) {
    throw new ShardError(number, error);
  }
}

/**
 * Each shard's rows keep their order, so that "below this row" says all of where a shard goes on; among the shards' first
 * ones the newest goes next. Where a shard stopped looking, what is older than that waits for the next page.
 */
function merge(found: readonly FoundOn[], from: Position, limit: number) {
  const next = new Map(from);
  const items: ArchiveItem[] = [];
  const taken = new Map<number, number>();
  const head = ({ shard, rows }: FoundOn) => rows[taken.get(shard) ?? 0];
  while (items.length < limit) {
    let best: { shard: number; row: MessageRow } | null = null;
    for (const each of found) {
      const row = head(each);
      if (row && (best === null || row.at > best.row.at)) best = { shard: each.shard, row };
    }
    if (!best) break;
    const { shard, row } = best;
    // Numbers grow with the time of arrival on all shards alike.
    if (found.some((each) => !head(each) && (each.stoppedAt ?? 0) > row.id)) break;
    items.push({ ...row, id: `${shard}-${row.id}` });
    taken.set(shard, (taken.get(shard) ?? 0) + 1);
    next.set(shard, row.id);
  }
  let more = false;
  for (const each of found) {
    if (head(each)) more = true;
    else if (each.stoppedAt !== null) {
      more = true;
      next.set(each.shard, each.stoppedAt);
    }
  }
  return { items, next: more ? writeCursor(next) : null };
}

/** `0.1234_1.77` */
const writeCursor = (position: Position): string => [...position].map(([shard, row]) => `${shard}.${row}`).join("_");

function readCursor(text: string): Position | null {
  if (!/^\d{1,4}\.\d{1,16}(?:_\d{1,4}\.\d{1,16})*$/.test(text)) return null;
  const position = new Map(text.split("_").map((part) => part.split(".").map(Number) as [number, number]));
  return [...position.values()].every(Number.isSafeInteger) ? position : null;
}
