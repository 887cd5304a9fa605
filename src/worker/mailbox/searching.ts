/** A search through one folder of a mailbox, the archive too. */
import { and, not, type Query } from "../../core/query/query.ts";
import { simplify } from "../../core/query/simplify.ts";
import type { SortKey } from "../../core/query/sort.ts";
import { type Every, everyHit } from "../search/every.ts";
import { type FolderPage, searchArchiveFolder, searchFolder } from "../search/folder.ts";
import type { Folder } from "../store/folders.ts";
import type { Mailbox } from "./contract.ts";
import { inArchive } from "./reading.ts";

const DELETED: Query = { kind: "flag", flag: "deleted" };

/**
 * Newest first, without what is flagged \Deleted, as people see a folder.
 * @param query in its simplest form (core/query/prepare.ts)
 * @param before of the page before; null begins
 */
export async function searchInFolder(
  { db, account }: Mailbox,
  { id, role }: Pick<Folder, "id" | "role">,
  query: Query,
  before: number | null,
  limit: number,
): Promise<FolderPage> {
  if (role !== "archive")
    return searchFolder(db, { account, folder: id }, simplify(and(query, not(DELETED))), before, limit);
  const page = await searchArchiveFolder(db, account, query, before, limit);
  return { ...page, items: page.items.map((row) => inArchive(row, id)) };
}

/**
 * All of a folder's, those that are flagged \Deleted too, as IMAP's SEARCH and SORT have it. Numbers are those that lists of the
 * folder show, of the archive too.
 * @param keys empty: the highest UID first
 */
export const everyHitInFolder = (
  { db, account }: Mailbox,
  { id, role }: Pick<Folder, "id" | "role">,
  query: Query,
  keys: readonly SortKey[] = [],
): Promise<Every> =>
  everyHit(db, { kind: role === "archive" ? "archive" : "folder", account, folder: id }, query, keys);
