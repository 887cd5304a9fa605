/** Messages as they lie in folders, read; those of the archive look like all others and never change. */
import { ARCHIVE_MODSEQ } from "../../core/query/archive-folder.ts";
import { type ArchivedRow, archivedByNumber, listArchive } from "../store/archive-folder.ts";
import { SEEN } from "../store/flags.ts";
import { FOLDER_STRIDE, type Folder, findFolder } from "../store/folders.ts";
import {
  type FolderPage,
  findPlacement,
  type PlacedMessage,
  pageOfFolder,
  placementsById,
  placementsOfThread,
  whereIs,
} from "../store/placements.ts";
import type { Mailbox } from "./contract.ts";

/** A page of a folder, by UIDs. */
export async function readFolder(
  { db, account }: Mailbox,
  { id, role }: Pick<Folder, "id" | "role">,
  page: Omit<FolderPage, "folder">,
): Promise<PlacedMessage[]> {
  if (role !== "archive") return pageOfFolder(db, account, { ...page, folder: id });
  const { from = 1, to = FOLDER_STRIDE - 1, order, limit } = page;
  return (await listArchive(db, account, { from, to, order, limit })).map((row) => inArchive(row, id));
}

/** @param id `folder * 2^32 + uid`; of the archive too */
export async function readMessage({ db, account }: Mailbox, id: number): Promise<PlacedMessage | null> {
  if (!Number.isSafeInteger(id) || id < FOLDER_STRIDE) return null;
  const placed = await findPlacement(db, account, id);
  if (placed) return placed;
  const { folder, uid } = whereIs(id);
  const archive = await findFolder(db, account, "archive");
  if (archive?.id !== folder) return null;
  const [row] = await archivedByNumber(db, account, [uid]);
  return row ? inArchive(row, folder) : null;
}

/** In the order of `ids`; those that are not there are left out. */
export async function readMessages({ db, account }: Mailbox, ids: readonly number[]): Promise<PlacedMessage[]> {
  const archive = (await findFolder(db, account, "archive"))?.id ?? 0;
  const old = ids.filter((id) => whereIs(id).folder === archive);
  const placed = await placementsById(db, account, ids);
  const archived =
    old.length === 0
      ? []
      : await archivedByNumber(
          db,
          account,
          old.map((id) => whereIs(id).uid),
        );
  const byId = new Map([...placed, ...archived.map((row) => inArchive(row, archive))].map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

/** A conversation over all folders but the archive, oldest first. */
export const readThread = ({ db, account }: Mailbox, thread: number, limit: number): Promise<PlacedMessage[]> =>
  placementsOfThread(db, account, thread, limit);

/** Whether one of them lies in the archive, which nobody changes. */
export async function touchesArchive({ db, account }: Mailbox, ids: readonly number[]): Promise<boolean> {
  const archive = await findFolder(db, account, "archive");
  return ids.some((id) => whereIs(id).folder === archive?.id);
}

/** Read, and as it came: nothing was written for it. @param folder the number of the archive folder */
export function inArchive({ number, ...row }: ArchivedRow, folder: number): PlacedMessage {
  return {
    ...row,
    id: folder * FOLDER_STRIDE + number,
    folder,
    uid: number,
    message: row.id,
    modseq: ARCHIVE_MODSEQ,
    created: ARCHIVE_MODSEQ,
    flags: SEEN,
    keywords: null,
    waiting: null,
    refusal: null,
    internalAt: row.at,
  };
}
