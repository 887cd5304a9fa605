/** Search in a folder of the portal, and in the archive as a folder. */

import { inArchiveFolder } from "../../core/query/archive-folder.ts";
import { SEARCH_LOOKED_AT } from "../../core/query/limits.ts";
import { NONE, type Query } from "../../core/query/query.ts";
import type { ArchivedRow } from "../store/archive-folder.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { MESSAGE_COLUMNS, messageRow, type StoredRow } from "../store/messages.ts";
import { PLACED_COLUMNS, type PlacedMessage, placed, type StoredPlacement } from "../store/placements.ts";
import { type Found, firstRow, searchShard, windowOf } from "./shard.ts";
import {
  countByWords,
  newestPlaces,
  searchMessages,
  searchPlaces,
  searchPlacesByWords,
  split,
  type Window,
} from "./statement.ts";

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
  const one = { columns: PLACED_COLUMNS, limit: limit + 1 };
  const { rows, stoppedAt } =
    split(query).textual.kind === "all"
      ? await searchShard<StoredPlacement>(db, window, one.limit, (some, look) =>
          searchPlaces(target, query, some, { ...one, look }),
        )
      : await byWords(db, target, query, window, one);
  return pageOf(rows.map(placed), stoppedAt, limit);
}

/** Words that so many of an account's messages have are looked for among the folder's newest places first, so many of them. */
const COMMON = 1_000;
/** Where that was not enough, each further batch is so many times as large. */
const GROWTH = 8;

type Newest = { readonly from: number; readonly oldest: number; readonly newest: number } | { readonly from: null };

/**
 * Words find messages in the order of the archive, and all of them are read to put them in the folder's. What many messages have
 * is in the newest places already: they are mostly those of the newest messages. Where there are few, all are read, unless
 * more is asked of them than words tell: then batch by batch, as without words.
 */
async function byWords(
  db: D1Database,
  target: { readonly kind: "folder"; readonly account: number; readonly folder: number },
  query: Query,
  window: Window,
  one: { readonly columns: string; readonly limit: number },
): Promise<Found<StoredPlacement>> {
  const search = (some: Window, messages?: readonly [number, number]) =>
    searchShard<StoredPlacement>(db, some, one.limit, () =>
      searchPlacesByWords(target, query, some, { ...one, messages }),
    );
  const counted = await firstRow<{ hits: number }>(db, countByWords(target, query, COMMON));
  if (counted?.hits !== COMMON) return search(window);
  const rows: StoredPlacement[] = [];
  let { below } = window;
  let look = COMMON;
  for (let lookedAt = 0; ; look = Math.min(look * GROWTH, SEARCH_LOOKED_AT - lookedAt)) {
    const newest = await firstRow<Newest>(db, newestPlaces(target, { ...window, below }, look));
    if (!newest || newest.from === null) return { rows, stoppedAt: null };
    rows.push(...(await search({ from: newest.from, below }, [newest.oldest, newest.newest])).rows);
    if (rows.length >= one.limit) return { rows: rows.slice(0, one.limit), stoppedAt: null };
    below = newest.from;
    lookedAt += look;
    if (split(query).rest.kind === "all") {
      const { rows: older } = await search({ ...window, below });
      return { rows: [...rows, ...older].slice(0, one.limit), stoppedAt: null };
    }
    if (lookedAt >= SEARCH_LOOKED_AT) return { rows, stoppedAt: below };
  }
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
