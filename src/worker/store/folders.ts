/** Folders of a portal mailbox, read. What is in them stands on their rows, kept by triggers. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { archiveTotals, type Totals, totalsStatement } from "./archive-folder.ts";
import { within } from "./deadline.ts";
import type { folder } from "./shard.schema.ts";

export type FolderRole = NonNullable<(typeof folder.$inferSelect)["role"]>;

/** What every mailbox has. The inbox is INBOX in any case (RFC 9051 §5.1). `archive` is virtual, see archive-folder.ts. */
export const STANDARD_FOLDERS: readonly { readonly name: string; readonly role: FolderRole }[] = [
  { name: "INBOX", role: "inbox" },
  { name: "Sent", role: "sent" },
  { name: "Drafts", role: "drafts" },
  { name: "Trash", role: "trash" },
  { name: "Junk", role: "junk" },
  { name: "Archive", role: "archive" },
];

export interface Folder {
  readonly id: number;
  /** 0 at the top. */
  readonly parent: number;
  readonly name: string;
  readonly role: FolderRole | null;
  readonly uidvalidity: number;
  readonly subscribed: boolean;
  /** MODSEQ of its own last change, and of its making. */
  readonly modseq: number;
  readonly created: number;
  /** With those that are flagged \Deleted. */
  readonly messages: number;
  /** Not \Seen. */
  readonly unseen: number;
  /** Neither \Seen nor \Draft nor \Deleted. */
  readonly unread: number;
  /** Flagged \Deleted. */
  readonly deleted: number;
  /** Octets of all messages. */
  readonly size: number;
  readonly uidnext: number;
  /** HIGHESTMODSEQ; of the archive, whose messages never change, the highest UID. */
  readonly highest: number;
}

type Stored = Omit<Folder, "subscribed"> & { readonly subscribed: 0 | 1 };

/** 2^32: a placement's number is its folder's number times this, plus the UID. */
export const FOLDER_STRIDE = 4_294_967_296;

const COLUMNS = `id, parent, name, role, uidvalidity, subscribed, modseq, created, messages, unseen, unread, deleted, size,
  uidnext, highest`;

/** The account's folders with what is in them, the standard ones first. Reads the folders' rows and nothing of the mail. */
export async function listFolders(db: D1Database, account: number): Promise<Folder[]> {
  const [folders, totals] = await within(
    db.batch([
      db
        .prepare(
          `SELECT ${COLUMNS} FROM folder WHERE account = ?1 AND gone IS NULL ORDER BY role IS NULL, iif(role IS NULL, name, id)`,
        )
        .bind(account),
      totalsStatement(db, account),
    ]),
    INDEX_TIMEOUT,
    "D1 read of folders",
  );
  const archive = await archiveTotals(db, account, totals?.results ?? []);
  return ((folders?.results ?? []) as unknown as Stored[]).map((row) => withTotals(row, archive));
}

export async function folderById(db: D1Database, account: number, id: number): Promise<Folder | null> {
  const [found, totals] = await within(
    db.batch([
      db.prepare(`SELECT ${COLUMNS} FROM folder WHERE id = ?2 AND account = ?1 AND gone IS NULL`).bind(account, id),
      totalsStatement(db, account),
    ]),
    INDEX_TIMEOUT,
    "D1 read of a folder",
  );
  const [row] = (found?.results ?? []) as unknown as Stored[];
  if (!row) return null;
  return withTotals(row, row.role === "archive" ? await archiveTotals(db, account, totals?.results ?? []) : null);
}

function withTotals(row: Stored, archive: Totals | null): Folder {
  const folder = { ...row, subscribed: row.subscribed === 1 };
  if (row.role !== "archive" || !archive) return folder;
  const { messages, size, last } = archive;
  return { ...folder, messages, size, unseen: 0, unread: 0, deleted: 0, uidnext: last + 1, highest: last };
}

export interface FolderName {
  readonly id: number;
  readonly role: FolderRole | null;
}

/**
 * A folder by what the outside calls it: a role (`inbox`), its number, or the name of one of the user's own at the top, in this order.
 * Null where the account has none such.
 */
export async function findFolder(db: D1Database, account: number, name: string): Promise<FolderName | null> {
  const id = /^[1-9]\d{0,14}$/.test(name) ? Number(name) : 0;
  return await within(
    db
      .prepare(
        `SELECT id, role FROM folder
         WHERE account = ?1 AND gone IS NULL AND (role = lower(?2) OR (parent = 0 AND name = ?2) OR id = ?3)
         ORDER BY role IS NULL, id <> ?3 LIMIT 1`,
      )
      .bind(account, name.normalize("NFC"), id)
      .first<FolderName>(),
    INDEX_TIMEOUT,
    "D1 read of a folder",
  );
}
