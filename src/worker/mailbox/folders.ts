/** Folders: made, called otherwise, put elsewhere, emptied, deleted. */
import { readFolderName } from "../../core/folder-name.ts";
import { EMPTY_BATCHES, MAX_ACT } from "../../core/limits.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { changeFolder, createFolder, deleteFolder, type FolderChange } from "../store/folder-changes.ts";
import { type Folder, findFolder, folderById, listFolders } from "../store/folders.ts";
import { entriesOfFolder } from "../store/placements.ts";
import { type Mailbox, type Refusal, refusal, writing } from "./contract.ts";
import { moveMessages } from "./messages.ts";

export const folders = ({ db, account }: Mailbox): Promise<Folder[]> => listFolders(db, account);

/** @param called a role, the name of a folder at the top, or its number */
export async function folderCalled({ db, account }: Mailbox, called: string): Promise<Folder | null> {
  const found = await findFolder(db, account, called);
  return found && folderById(db, account, found.id);
}

/**
 * @param request what the caller calls this request: its repeat finds the folder that it made; null: it finds that it exists
 * @param now unix milliseconds
 */
export async function makeFolder(
  mailbox: Mailbox,
  wanted: { readonly name: string; readonly parent: number; readonly request: string | null },
  now: number,
): Promise<Result<Folder, Refusal>> {
  const { db, account } = mailbox;
  const name = readFolderName(wanted.name, wanted.parent === 0);
  if (!name.ok) return err(refusal("bad_name", `name: ${name.error}`));
  const folderNamed = { ...wanted, name: name.value };
  const made = await writing(mailbox, () => createFolder(db, account, folderNamed, now));
  if (!made.ok) return err(refusal(made.error));
  const folder = await folderById(db, account, made.value);
  // Deleted by another client at once.
  return folder ? ok(folder) : err(refusal("no_folder"));
}

/** Another name, another place, a subscription: all of it or nothing; done already is done. */
export async function alterFolder(
  mailbox: Mailbox,
  id: number,
  change: FolderChange,
): Promise<Result<Folder, Refusal>> {
  const { db, account } = mailbox;
  const before = await folderById(db, account, id);
  if (!before) return err(refusal("no_folder"));
  const top = (change.parent ?? before.parent) === 0;
  const name = change.name === undefined ? null : readFolderName(change.name, top);
  if (name && !name.ok) return err(refusal("bad_name", `name: ${name.error}`));
  const wanted = { ...change, ...(name ? { name: name.value } : {}) };
  const altered = await writing(mailbox, () => changeFolder(db, account, id, wanted));
  if (!altered.ok) return err(refusal(altered.error));
  const folder = await folderById(db, account, id);
  return folder ? ok(folder) : err(refusal("no_folder"));
}

export interface Deletion {
  /** Messages that were moved to the trash. */
  readonly moved: number;
  /** Messages that are still there, where it was too much for one request: ask again. 0: the folder is gone. */
  readonly left: number;
}

/**
 * One that is gone already is done.
 * @param content what becomes of its messages: where there are some it is refused, or they go to the trash
 */
export async function removeFolder(
  mailbox: Mailbox,
  id: number,
  content: "refuse" | "trash",
): Promise<Result<Deletion, Refusal>> {
  const { db, account } = mailbox;
  let moved = 0;
  for (let batch = 0; ; batch++) {
    const deleted = await writing(mailbox, () => deleteFolder(db, account, id));
    if (deleted.ok) return ok({ moved, left: 0 });
    if (deleted.error !== "has_messages" || content === "refuse") return err(refusal(deleted.error));
    const folder = await folderById(db, account, id);
    if (!folder) return ok({ moved, left: 0 });
    if (batch === EMPTY_BATCHES) return ok({ moved, left: folder.messages });
    const emptied = await toTrash(mailbox, folder);
    if (!emptied.ok) return emptied;
    moved += emptied.value;
  }
}

/** @returns how many went; none of them where each is being delivered right now */
async function toTrash(mailbox: Mailbox, { id }: Folder): Promise<Result<number, Refusal>> {
  const { db, account } = mailbox;
  const trash = await findFolder(db, account, "trash");
  if (!trash) return err(refusal("has_messages"));
  const page = await entriesOfFolder(db, account, { folder: id, order: "oldest", deleted: true, limit: MAX_ACT });
  const moved = await moveMessages(
    mailbox,
    page.map((entry) => entry.id),
    trash.id,
  );
  if (!moved.ok) return moved;
  const { moved: went, busy } = moved.value;
  return went.length === 0 && busy.length > 0 ? err(refusal("being_delivered")) : ok(went.length);
}
