/** Search in a folder of the portal, and in the archive as a folder. */
import { inArchiveFolder } from "../../core/query/archive-folder.ts";
import { NONE, type Query } from "../../core/query/query.ts";
import type { ArchivedRow } from "../store/archive-folder.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { MESSAGE_COLUMNS, messageRow, type StoredRow } from "../store/messages.ts";
import { PLACED_COLUMNS, type PlacedMessage, placed, type StoredPlacement } from "../store/placements.ts";
import { searchShard, windowOf } from "./shard.ts";
import { searchMessages, searchPlaces } from "./statement.ts";

export interface FolderPage<Row = PlacedMessage> {
  /** Newest first: by UID, in the archive by arrival. */
  readonly items: readonly Row[];
  /** Of the next page; null: this is the last. A page may be short and have a next one, as in the archive. */
  readonly before: number | null;
}

/**
 * @param query in its simplest form (core/query/prepare.ts). What is marked for removal is found too, unless it says otherwise
 * @param before `before` of the page before; null begins
 */
export async function searchFolder(
  db: D1Database,
  { account, folder }: { readonly account: number; readonly folder: number },
  query: Query,
  before: number | null,
  limit: number,
): Promise<FolderPage> {
  if (query.kind === NONE.kind) return { items: [], before: null };
  const window = { from: folder * FOLDER_STRIDE, below: before ?? (folder + 1) * FOLDER_STRIDE };
  const target = { kind: "folder", account, folder } as const;
  const { rows, stoppedAt } = await searchShard<StoredPlacement>(db, window, limit + 1, (some, look) =>
    searchPlaces(target, query, some, { columns: PLACED_COLUMNS, limit: limit + 1, look }),
  );
  return pageOf(rows.map(placed), stoppedAt, limit);
}

/**
 * What lists of the archive folder show (store/archive-folder.ts), with the flags that they show.
 * @param before a message's number
 */
export async function searchArchiveFolder(
  db: D1Database,
  account: number,
  asked: Query,
  before: number | null,
  limit: number,
): Promise<FolderPage<ArchivedRow>> {
  const query = inArchiveFolder(asked);
  if (query.kind === NONE.kind) return { items: [], before: null };
  const window = await windowOf(db, query, before ?? Number.MAX_SAFE_INTEGER);
  const columns = `${MESSAGE_COLUMNS}, m.number, m.thread`;
  const { rows, stoppedAt } = await searchShard<StoredRow & Pick<ArchivedRow, "number" | "thread">>(
    db,
    window,
    limit + 1,
    (some, look) => searchMessages({ kind: "account", account }, query, some, { columns, limit: limit + 1, look }),
  );
  return pageOf(rows.map(messageRow), stoppedAt, limit);
}

function pageOf<Row extends { readonly id: number }>(
  rows: readonly Row[],
  stoppedAt: number | null,
  limit: number,
): FolderPage<Row> {
  const items = rows.slice(0, limit);
  return { items, before: rows.length > limit ? (items.at(-1)?.id ?? null) : stoppedAt };
}
