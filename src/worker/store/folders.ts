/** Folders of a portal mailbox. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { DELETED, SEEN } from "./flags.ts";
import type { folder } from "./shard.schema.ts";

export type FolderRole = NonNullable<(typeof folder.$inferSelect)["role"]>;

/** What every mailbox has. The inbox is INBOX in any case (RFC 9051 §5.1). `archive` is virtual, see `listFolders`. */
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
  readonly parent: number;
  readonly name: string;
  readonly role: FolderRole | null;
  readonly uidvalidity: number;
  readonly messages: number;
  readonly unseen: number;
}

/** 2^32: a placement's number is its folder's number times this, plus the UID. */
export const FOLDER_STRIDE = 4_294_967_296;

/**
 * The account's folders with what is in them, the standard ones first. The archive is virtual: all that the index has of
 * the account, and nothing in it is unseen.
 */
export async function listFolders(db: D1Database, account: number): Promise<Folder[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT f.id, f.parent, f.name, f.role, f.uidvalidity,
           CASE f.role WHEN 'archive' THEN (SELECT count(*) FROM message m WHERE m.account = f.account)
             ELSE coalesce(c.messages, 0) END AS messages,
           coalesce(c.unseen, 0) AS unseen
         FROM folder f LEFT JOIN (
           SELECT id / ${FOLDER_STRIDE} AS folder, count(*) AS messages, sum(flags & ${SEEN} = 0) AS unseen
           FROM placement WHERE account = ?1 AND gone IS NULL AND flags & ${DELETED} = 0 GROUP BY 1) c ON c.folder = f.id
         WHERE f.account = ?1 AND f.gone IS NULL
         ORDER BY f.role IS NULL, f.id`,
      )
      .bind(account)
      .all<Folder>(),
    INDEX_TIMEOUT,
    "D1 read of folders",
  );
  return results;
}

/**
 * A folder by what the outside calls it: a role (`inbox`), or the name of one of the user's own at the top. Null where
 * the account has none such.
 */
export async function findFolder(
  db: D1Database,
  account: number,
  name: string,
): Promise<{ id: number; role: FolderRole | null } | null> {
  return await within(
    db
      .prepare(
        `SELECT id, role FROM folder
         WHERE account = ?1 AND gone IS NULL AND (role = lower(?2) OR (parent = 0 AND name = ?2)) ORDER BY role IS NULL LIMIT 1`,
      )
      .bind(account, name)
      .first<{ id: number; role: FolderRole | null }>(),
    INDEX_TIMEOUT,
    "D1 read of a folder",
  );
}
