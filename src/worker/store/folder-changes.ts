/**
 * Folders made, renamed, moved in the tree, deleted. Each is one batch with the account's counter, and a repeat changes nothing:
 * what is wanted and true already is done.
 */
import { INDEX_TIMEOUT, MAX_FOLDER_DEPTH, MAX_FOLDERS } from "../../core/limits.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { within } from "./deadline.ts";
import type { Folder, FolderRole } from "./folders.ts";
import { STATE, type Written, written } from "./states.ts";

/**
 * `fixed`: the inbox and the archive stay where they are, and none of the standard folders is deleted. `cycle`: it would lie
 * within itself.
 */
export type FolderRefusal =
  | "no_folder"
  | "no_parent"
  | "exists"
  | "too_many"
  | "too_deep"
  | "cycle"
  | "fixed"
  | "has_messages"
  | "has_folders";

export interface NewFolder {
  /** 0: at the top. */
  readonly parent: number;
  /** As core/folder-name.ts reads it. */
  readonly name: string;
  /** What its caller calls the request; null: a repeat finds that the folder exists. */
  readonly request: string | null;
}

/** How deep a folder lies: 1 at the top. @param folder a parameter, or a column */
const depthOf = (folder: string) => `(WITH RECURSIVE up(id) AS (
    VALUES (${folder}) UNION ALL SELECT f.parent FROM folder f JOIN up ON f.id = up.id WHERE f.parent > 0)
  SELECT count(*) FROM up WHERE id > 0)`;

/** How many levels a folder has, with its own. */
const heightOf = (folder: string) => `(WITH RECURSIVE down(id, level) AS (
    VALUES (${folder}, 1) UNION ALL
    SELECT f.id, level + 1 FROM folder f JOIN down ON f.parent = down.id WHERE f.account = ?1 AND f.gone IS NULL)
  SELECT max(level) FROM down)`;

const LIVE = "account = ?1 AND gone IS NULL";
const takes = (parent: string) =>
  `(${parent} = 0 OR EXISTS (SELECT 1 FROM folder WHERE id = ${parent} AND ${LIVE} AND role IS NOT 'archive'))`;

/**
 * UIDVALIDITY is above that of every folder that the account had: also for a name that is made again (RFC 9051 §2.3.1.1).
 * @param now unix milliseconds
 * @returns its number
 */
export async function createFolder(
  db: D1Database,
  account: number,
  { parent, name, request }: NewFolder,
  now: number,
): Promise<Written<Result<number, FolderRefusal>>> {
  const [stepped, inserted, found, facts] = await batch(db, [
    db
      .prepare(
        `UPDATE account SET seq = seq + 1 WHERE id = ?1 AND ${takes("?2")}
           AND NOT EXISTS (SELECT 1 FROM folder WHERE account = ?1 AND parent = ?2 AND name = ?3)
           AND (SELECT count(*) FROM folder WHERE ${LIVE}) < ${MAX_FOLDERS} AND ${depthOf("?2")} < ${MAX_FOLDER_DEPTH} ${STATE}`,
      )
      .bind(account, parent, name),
    db
      .prepare(
        `INSERT INTO folder (account, parent, name, uidvalidity, modseq, created, request)
         SELECT ?1, ?2, ?3, max(?5, 1 + coalesce((SELECT max(uidvalidity) FROM folder WHERE account = ?1), 0)), seq, seq, ?4
         FROM account WHERE id = ?1 AND changes() > 0 RETURNING id`,
      )
      .bind(account, parent, name, request, Math.floor(now / 1000)),
    db
      .prepare("SELECT id, request FROM folder WHERE account = ?1 AND parent = ?2 AND name = ?3 AND gone IS NULL")
      .bind(account, parent, name),
    db
      .prepare(`SELECT ${takes("?2")} AS parent, (SELECT count(*) FROM folder WHERE ${LIVE}) AS folders`)
      .bind(account, parent),
  ]);
  return written(madeBy(rowsOf(inserted), rowsOf(found), rowsOf(facts), request), stepped);
}

function madeBy(
  [made]: readonly { readonly id: number }[],
  [there]: readonly { readonly id: number; readonly request: string | null }[],
  [fact]: readonly { readonly parent: number; readonly folders: number }[],
  request: string | null,
): Result<number, FolderRefusal> {
  if (made) return ok(made.id);
  // The answer to the first request was lost: this is its repeat.
  if (there) return request !== null && there.request === request ? ok(there.id) : err("exists");
  if (!fact || fact.parent === 0) return err("no_parent");
  return err(fact.folders >= MAX_FOLDERS ? "too_many" : "too_deep");
}

export interface FolderChange {
  readonly name?: string;
  readonly parent?: number;
  readonly subscribed?: boolean;
}

interface State {
  readonly role: FolderRole | null;
  readonly parent: number;
  readonly name: string;
  readonly subscribed: 0 | 1;
  readonly takes: 0 | 1;
  readonly cycle: 0 | 1;
  readonly taken: 0 | 1;
  readonly deep: 0 | 1;
}

/**
 * A new name, another place, a subscription; all of it or nothing. Number and UIDVALIDITY stay, whatever it is called, and so do
 * its messages' UIDs.
 */
export async function changeFolder(
  db: D1Database,
  account: number,
  id: number,
  change: FolderChange,
): Promise<Written<Result<null, FolderRefusal>>> {
  const { name, parent, subscribed } = change;
  const wanted = [id, name ?? null, parent ?? null, subscribed === undefined ? null : subscribed ? 1 : 0] as const;
  const to = "coalesce(?4, f.parent)";
  const called = "coalesce(?3, f.name)";
  const elsewhere = `(${called} <> f.name OR ${to} <> f.parent)`;
  const cycle = `EXISTS (WITH RECURSIVE up(id) AS (
      VALUES (${to}) UNION SELECT g.parent FROM folder g JOIN up ON g.id = up.id WHERE g.parent > 0)
    SELECT 1 FROM up WHERE id = f.id)`;
  const taken = `EXISTS (SELECT 1 FROM folder g WHERE g.account = ?1 AND g.parent = ${to} AND g.name = ${called} AND g.id <> f.id)`;
  const deep = `${depthOf(to)} + ${heightOf("f.id")} > ${MAX_FOLDER_DEPTH}`;
  const mine = "f.id = ?2 AND f.account = ?1 AND f.gone IS NULL";
  const [stepped, , left] = await batch(db, [
    db
      .prepare(
        `UPDATE account SET seq = seq + 1 WHERE id = ?1 AND EXISTS (SELECT 1 FROM folder f WHERE ${mine}
           AND (${elsewhere} OR coalesce(?5, f.subscribed) <> f.subscribed)
           AND (NOT ${elsewhere} OR (f.role IS NOT 'inbox' AND f.role IS NOT 'archive' AND ${takes(to)}
             AND NOT ${cycle} AND NOT ${taken} AND NOT ${deep}))) ${STATE}`,
      )
      .bind(account, ...wanted),
    db
      .prepare(
        `UPDATE folder SET name = coalesce(?3, name), parent = coalesce(?4, parent), subscribed = coalesce(?5, subscribed),
           modseq = (SELECT seq FROM account WHERE id = ?1)
         WHERE id = ?2 AND account = ?1 AND gone IS NULL AND changes() > 0`,
      )
      .bind(account, ...wanted),
    db
      .prepare(
        `SELECT f.role, f.parent, f.name, f.subscribed, ${takes(to)} AS takes, ${cycle} AS cycle, ${taken} AS taken,
           ${deep} AS deep, ?5 AS asked FROM folder f WHERE ${mine}`,
      )
      .bind(account, ...wanted),
  ]);
  return written(changedTo(rowsOf(left), change), stepped);
}

function changedTo([now]: readonly State[], { name, parent, subscribed }: FolderChange): Result<null, FolderRefusal> {
  if (!now) return err("no_folder");
  const there = (name ?? now.name) === now.name && (parent ?? now.parent) === now.parent;
  if (there && (subscribed === undefined || (now.subscribed === 1) === subscribed)) return ok(null);
  if (now.role === "inbox" || now.role === "archive") return err("fixed");
  if (now.takes === 0) return err("no_parent");
  if (now.cycle === 1) return err("cycle");
  return err(now.taken === 1 ? "exists" : "too_deep");
}

/**
 * Only where nothing is in it: neither messages nor folders. One that is gone already is done.
 * @returns what is in the way
 */
export async function deleteFolder(
  db: D1Database,
  account: number,
  id: number,
): Promise<Written<Result<null, FolderRefusal>>> {
  const [stepped, , left] = await batch(db, [
    db
      .prepare(
        `UPDATE account SET seq = seq + 1 WHERE id = ?1 AND EXISTS (SELECT 1 FROM folder f
           WHERE f.id = ?2 AND f.account = ?1 AND f.gone IS NULL AND f.role IS NULL AND f.messages = 0
             AND NOT EXISTS (SELECT 1 FROM folder g WHERE g.account = ?1 AND g.parent = f.id AND g.gone IS NULL)) ${STATE}`,
      )
      .bind(account, id),
    db
      .prepare(
        `UPDATE folder SET gone = a.seq, modseq = a.seq, name = char(2) || folder.id, request = NULL
         FROM account a WHERE a.id = ?1 AND folder.id = ?2 AND folder.account = ?1 AND folder.gone IS NULL AND changes() > 0`,
      )
      .bind(account, id),
    db
      .prepare(
        `SELECT f.gone, f.role, f.messages,
           EXISTS (SELECT 1 FROM folder g WHERE g.account = ?1 AND g.parent = f.id AND g.gone IS NULL) AS folders
         FROM folder f WHERE f.id = ?2 AND f.account = ?1`,
      )
      .bind(account, id),
  ]);
  return written(deletedBy(rowsOf(left)), stepped);
}

type Left = Pick<Folder, "role" | "messages"> & { readonly gone: number | null; readonly folders: 0 | 1 };

function deletedBy([now]: readonly Left[]): Result<null, FolderRefusal> {
  if (!now) return err("no_folder");
  if (now.gone !== null) return ok(null);
  if (now.role !== null) return err("fixed");
  return err(now.folders === 1 ? "has_folders" : "has_messages");
}

function batch(db: D1Database, statements: D1PreparedStatement[]): Promise<D1Result[]> {
  return within(db.batch(statements), INDEX_TIMEOUT, "D1 batch of a folder");
}

function rowsOf<T>(result: D1Result | undefined): T[] {
  return (result?.results ?? []) as T[];
}
