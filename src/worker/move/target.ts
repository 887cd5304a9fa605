/**
 * A mailbox on the shard that it comes to. What is written here counts only while the account is `arriving`: a statement of a
 * mover that was given up, and comes late, finds it in use and changes nothing.
 */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { type FullText, insertFullTexts } from "../archive/full-text.ts";
import { within } from "../store/deadline.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { jsonLists } from "../store/json-lists.ts";
import {
  type AccountRow,
  type FolderRow,
  type MessageRow,
  PERSON_COLUMNS,
  PERSON_TABLES,
  type PersonRows,
  type PlacementRow,
} from "./contract.ts";

const ARRIVING = "EXISTS (SELECT 1 FROM account WHERE id = ?1 AND move = 'arriving')";
const WHAT = "D1 batch of a mailbox that moves";
/** Numbers after a taken one that are looked at for a free one, at a time. */
const GAP = 500;

export class Target {
  readonly db: D1Database;
  readonly account: number;

  constructor(db: D1Database, account: number) {
    this.db = db;
    this.account = account;
  }

  /** Takes the account in, empty or with what an earlier step has brought. Where it is in use, nothing happens. */
  async expect(domain: number): Promise<void> {
    await this.#run(
      `INSERT INTO account (id, domain, move) VALUES (?1, ?2, 'arriving')
       ON CONFLICT (id) DO UPDATE SET move = 'arriving' WHERE account.move IN ('arriving', 'left')`,
      domain,
    );
  }

  /**
   * The counter of the original: UIDs and modseqs go on from it, never back, should this come late. What it has forgotten of its
   * changes is forgotten here.
   */
  async count({ seq, purged, marked, marked_at, archive_last }: AccountRow): Promise<void> {
    await this.#run(
      `UPDATE account SET seq = max(seq, ?2), purged = ?3, marked = ?4, marked_at = ?5, archive_last = max(archive_last, ?6)
       WHERE id = ?1 AND move = 'arriving'`,
      seq,
      purged,
      marked,
      marked_at,
      archive_last,
    );
  }

  /** All of it anew, in place of what an earlier try has brought. */
  async bringPerson(rows: PersonRows): Promise<void> {
    await this.#batch(
      PERSON_TABLES.flatMap((table) => {
        const columns = PERSON_COLUMNS[table];
        const values = columns.map((column) => `value ->> '${column}'`);
        return [
          this.#statement(`DELETE FROM ${table} WHERE account = ?1 AND ${ARRIVING}`),
          ...jsonLists(rows[table]).map((list) =>
            this.#statement(
              `INSERT INTO ${table} (account, ${columns.join(", ")}) SELECT ?1, ${values.join(", ")}
               FROM json_each(?2) WHERE ${ARRIVING}`,
              list,
            ),
          ),
        ];
      }),
    );
  }

  /** In use. */
  async open(): Promise<void> {
    await this.#run("UPDATE account SET move = NULL WHERE id = ?1 AND move = 'arriving'");
  }

  /** By number on the shard that they come from. */
  async numbers(kind: "folder" | "message", sources: readonly number[] | null): Promise<Map<number, number>> {
    const among = sources === null ? "" : "AND source IN (SELECT value FROM json_each(?3))";
    const bound = sources === null ? [] : [JSON.stringify(sources)];
    const rows = await this.#rows<{ source: number; target: number }>(
      `SELECT source, target FROM arrival WHERE account = ?1 AND kind = ?2 ${among}`,
      kind,
      ...bound,
    );
    return new Map(rows.map(({ source, target }) => [source, target]));
  }

  /**
   * All folders of the original, as they are; those that it has no more go. Their numbers here are higher than any that the
   * account has on the other shard, so that a number from before the move names nothing, never another folder.
   */
  async bringFolders(folders: readonly FolderRow[]): Promise<void> {
    const known = await this.numbers("folder", null);
    const [last] = await this.#rows<{ id: number }>("SELECT coalesce(max(id), 0) AS id FROM folder WHERE ?1 = ?1");
    let next = Math.max(last?.id ?? 0, ...folders.map(({ id }) => id)) + 1;
    const numbers = new Map(folders.map(({ id }) => [id, known.get(id) ?? next++]));
    const rows = folders.map((row) => ({
      ...row,
      id: numbers.get(row.id),
      parent: numbers.get(row.parent) ?? 0,
      source: row.id,
    }));
    const list = JSON.stringify(rows);
    const gone = [...known].filter(([source]) => !numbers.has(source));
    await this.#batch([
      this.#statement(
        `DELETE FROM folder WHERE account = ?1 AND id IN (SELECT value FROM json_each(?2)) AND ${ARRIVING}`,
        JSON.stringify(gone.map(([, target]) => target)),
      ),
      this.#statement(
        `DELETE FROM arrival WHERE account = ?1 AND kind = 'folder' AND source IN (SELECT value FROM json_each(?2))
           AND ${ARRIVING}`,
        JSON.stringify(gone.map(([source]) => source)),
      ),
      // Out of each other's way first: names may have been exchanged.
      this.#statement(`UPDATE folder SET name = char(1) || id WHERE account = ?1 AND ?2 <> '' AND ${ARRIVING}`, list),
      this.#statement(
        `INSERT INTO folder (id, account, parent, name, role, uidvalidity, subscribed, modseq, created, gone, request, uidnext, highest)
         SELECT value ->> 'id', ?1, value ->> 'parent', value ->> 'name', value ->> 'role', value ->> 'uidvalidity',
           value ->> 'subscribed', value ->> 'modseq', value ->> 'created', value ->> 'gone', value ->> 'request',
           value ->> 'uidnext', value ->> 'highest' FROM json_each(?2) WHERE ${ARRIVING}
         ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, name = excluded.name, role = excluded.role,
           uidvalidity = excluded.uidvalidity, subscribed = excluded.subscribed, modseq = excluded.modseq,
           created = excluded.created, gone = excluded.gone, request = excluded.request,
           uidnext = max(folder.uidnext, excluded.uidnext), highest = max(folder.highest, excluded.highest)
           WHERE folder.account = ?1`,
        list,
      ),
      this.#statement(
        `INSERT INTO arrival (account, kind, source, target)
         SELECT ?1, 'folder', value ->> 'source', value ->> 'id' FROM json_each(?2) WHERE ${ARRIVING}
         ON CONFLICT DO NOTHING`,
        list,
      ),
    ]);
  }

  /**
   * What is here already changes where it can (its key, its name as a repeat); the others come with their full text. A message
   * keeps its number where that is free.
   * @param textOf asked for those that are new here
   * @throws where a name as a repeat is still taken by a message whose change waits in the journal
   */
  async bringMessages(
    rows: readonly MessageRow[],
    textOf: (rows: readonly MessageRow[]) => Promise<FullText[]>,
  ): Promise<void> {
    if (rows.length === 0) return;
    const known = await this.numbers(
      "message",
      rows.map(({ id }) => id),
    );
    const fresh = rows.filter(({ id }) => !known.has(id));
    const numbers = await this.#freeNumbers(fresh.map(({ id }) => id));
    const texts = await textOf(fresh);
    const changed = rows.flatMap(({ id, once, key, number }) => {
      const here = known.get(id);
      return here === undefined ? [] : [{ id: here, once, key, number }];
    });
    const added = fresh.map((row, index) => ({ ...row, id: numbers[index], source: row.id }));
    const full = texts.map((text, index) => ({ ...text, id: numbers[index] }));
    await this.#batch([
      ...jsonLists(changed).map((list) =>
        this.#statement(
          `UPDATE message SET once = e.value ->> 'once', key = e.value ->> 'key', number = e.value ->> 'number' FROM json_each(?2) e
           WHERE message.id = e.value ->> 'id' AND message.account = ?1 AND ${ARRIVING}`,
          list,
        ),
      ),
      ...jsonLists(added).flatMap((list) => [
        this.#statement(
          `INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta,
             structure, number)
           SELECT value ->> 'id', ?1, value ->> 'mid', value ->> 'once', value ->> 'thread', value ->> 'direction',
             value ->> 'at', value ->> 'size', value ->> 'key', value ->> 'sender', value ->> 'subject',
             value ->> 'preview', value ->> 'meta', value ->> 'structure', value ->> 'number'
           FROM json_each(?2) WHERE ${ARRIVING}`,
          list,
        ),
        this.#statement(
          `INSERT INTO arrival (account, kind, source, target)
           SELECT ?1, 'message', value ->> 'source', value ->> 'id' FROM json_each(?2) WHERE ${ARRIVING}`,
          list,
        ),
      ]),
      ...jsonLists(full).map((list) => this.#statement(insertFullTexts("?2", ARRIVING), list)),
    ]);
  }

  /** @param sources by their number on the other shard */
  async removeMessages(sources: readonly number[]): Promise<void> {
    if (sources.length === 0) return;
    const list = JSON.stringify(sources);
    const theirs = `(SELECT target FROM arrival WHERE account = ?1 AND kind = 'message'
      AND source IN (SELECT value FROM json_each(?2)))`;
    await this.#batch([
      this.#statement(`DELETE FROM full_text WHERE rowid IN ${theirs} AND ${ARRIVING}`, list),
      this.#statement(`DELETE FROM message WHERE account = ?1 AND id IN ${theirs} AND ${ARRIVING}`, list),
      this.#statement(
        `DELETE FROM arrival WHERE account = ?1 AND kind = 'message' AND source IN (SELECT value FROM json_each(?2))
           AND ${ARRIVING}`,
        list,
      ),
    ]);
  }

  /** @throws where a folder or a message of theirs is not here yet */
  async bringPlacements(rows: readonly PlacementRow[]): Promise<void> {
    if (rows.length === 0) return;
    const folders = await this.numbers("folder", null);
    const messages = await this.numbers(
      "message",
      rows.map(({ message }) => message),
    );
    const placed = rows.map((row) => {
      const message = messages.get(row.message);
      // A change record may outlive its message.
      if (message === undefined && row.gone === null)
        throw new Error(`message ${row.message} has not been brought yet`);
      // The folder that a move took it to may be forgotten by now.
      const known = row.went !== null && folders.has(Math.floor(row.went / FOLDER_STRIDE));
      const went = row.went !== null && known ? placementHere(folders, row.went) : null;
      return { ...row, id: placementHere(folders, row.id), message: message ?? 0, went };
    });
    await this.#batch(
      jsonLists(placed).map((list) =>
        this.#statement(
          `INSERT INTO placement (id, account, message, modseq, created, flags, keywords, gone, waiting, refusal, internal_at,
             request, went)
           SELECT value ->> 'id', ?1, value ->> 'message', value ->> 'modseq', value ->> 'created', value ->> 'flags',
             value ->> 'keywords', value ->> 'gone', value ->> 'waiting', value ->> 'refusal', value ->> 'internal_at',
             value ->> 'request', value ->> 'went'
           FROM json_each(?2) WHERE ${ARRIVING}
           ON CONFLICT (id) DO UPDATE SET message = excluded.message, modseq = excluded.modseq,
             created = excluded.created, flags = excluded.flags, keywords = excluded.keywords, gone = excluded.gone,
             waiting = excluded.waiting, refusal = excluded.refusal, internal_at = excluded.internal_at,
             request = excluded.request, went = excluded.went
             WHERE placement.account = ?1`,
          list,
        ),
      ),
    );
  }

  /** @param ids as they are on the other shard */
  async removePlacements(ids: readonly number[]): Promise<void> {
    if (ids.length === 0) return;
    const folders = await this.numbers("folder", null);
    // Where the folder never came, neither did the placement.
    const here = ids
      .filter((id) => folders.has(Math.floor(id / FOLDER_STRIDE)))
      .map((id) => placementHere(folders, id));
    await this.#run(
      `DELETE FROM placement WHERE account = ?1 AND id IN (SELECT value FROM json_each(?2)) AND ${ARRIVING}`,
      JSON.stringify(here),
    );
  }

  /** Throws some of what was brought away again. @returns whether that was all */
  async clean(limit: number): Promise<boolean> {
    const rows = await this.#rows<{ id: number }>("SELECT id FROM message WHERE account = ?1 LIMIT ?2", limit);
    const list = JSON.stringify(rows.map(({ id }) => id));
    const those = "(SELECT value FROM json_each(?2))";
    await this.#batch([
      this.#statement(`DELETE FROM full_text WHERE rowid IN ${those} AND ${ARRIVING}`, list),
      this.#statement(`DELETE FROM placement WHERE account = ?1 AND message IN ${those} AND ${ARRIVING}`, list),
      this.#statement(`DELETE FROM message WHERE account = ?1 AND id IN ${those} AND ${ARRIVING}`, list),
    ]);
    if (rows.length === limit) return false;
    await this.#batch(
      ["placement", "folder", "arrival", ...PERSON_TABLES].map((table) =>
        this.#statement(`DELETE FROM ${table} WHERE account = ?1 AND ${ARRIVING}`),
      ),
    );
    return true;
  }

  /** The move is off. */
  async forget(): Promise<void> {
    await this.#run("DELETE FROM account WHERE id = ?1 AND move = 'arriving'");
  }

  /** The same numbers where they are free; else the next free ones. Taken meanwhile, the batch fails and is tried again. */
  async #freeNumbers(wanted: readonly number[]): Promise<number[]> {
    const rows = await this.#rows<{ id: number }>(
      "SELECT id FROM message WHERE ?1 = ?1 AND id IN (SELECT value FROM json_each(?2))",
      JSON.stringify(wanted),
    );
    const taken = new Set(rows.map(({ id }) => id));
    const given: number[] = [];
    for (const id of wanted) {
      let free = id;
      while (taken.has(free)) {
        for (const after of await this.#after(free)) taken.add(after);
        while (taken.has(free)) free++;
      }
      taken.add(free);
      given.push(free);
    }
    return given;
  }

  async #after(id: number): Promise<number[]> {
    const rows = await this.#rows<{ id: number }>(
      "SELECT id FROM message WHERE ?1 = ?1 AND id >= ?2 ORDER BY id LIMIT ?3",
      id,
      GAP,
    );
    return rows.map((row) => row.id);
  }

  #statement(sql: string, ...values: readonly (string | number)[]): D1PreparedStatement {
    return this.db.prepare(sql).bind(this.account, ...values);
  }

  async #batch(statements: readonly D1PreparedStatement[]): Promise<void> {
    if (statements.length > 0) await within(this.db.batch([...statements]), INDEX_TIMEOUT, WHAT);
  }

  async #run(sql: string, ...values: readonly (string | number)[]): Promise<void> {
    await within(this.#statement(sql, ...values).run(), INDEX_TIMEOUT, WHAT);
  }

  async #rows<T>(sql: string, ...values: readonly (string | number)[]): Promise<T[]> {
    return (await within(this.#statement(sql, ...values).all<T>(), INDEX_TIMEOUT, WHAT)).results;
  }
}

/** The folder's number changes, the UID stays. @throws where the folder is not here yet */
function placementHere(folders: ReadonlyMap<number, number>, id: number): number {
  const folder = folders.get(Math.floor(id / FOLDER_STRIDE));
  if (folder === undefined) throw new Error(`folder ${Math.floor(id / FOLDER_STRIDE)} has not been brought yet`);
  return folder * FOLDER_STRIDE + (id % FOLDER_STRIDE);
}
