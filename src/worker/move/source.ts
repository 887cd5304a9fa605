/** A mailbox on the shard that it leaves. While it is `leaving`, people and mail go on; the triggers note what changes. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "../store/deadline.ts";
import {
  type AccountRow,
  type FolderRow,
  type MessageRow,
  PERSON_COLUMNS,
  type PersonRows,
  type PersonTable,
  type PlacementRow,
  type Row,
} from "./contract.ts";

const WHAT = "D1 read of a mailbox that moves";
const FOLDER = "id, parent, name, role, uidvalidity, subscribed, modseq, created, gone, request, uidnext, highest";
const ACCOUNT = "seq, purged, marked, marked_at, archive_last";
const MESSAGE = "id, number, mid, once, thread, direction, at, size, key, sender, subject, preview, meta, structure";
const PLACEMENT = "id, message, modseq, created, flags, keywords, gone, waiting, refusal, internal_at, request, went";

export interface JournalEntry {
  readonly id: number;
  readonly kind: "folder" | "message" | "placement";
  readonly row: number;
}

export class Source {
  readonly db: D1Database;
  readonly account: number;

  constructor(db: D1Database, account: number) {
    this.db = db;
    this.account = account;
  }

  /**
   * From here on changes are noted; a fence that was up is taken down.
   * @throws where the account is not here, or has left
   */
  async startLeaving(): Promise<void> {
    await this.#mark("leaving", "move IS NULL OR move IN ('leaving', 'fenced')");
  }

  /** From here on nothing changes. @returns what goes along of the account itself */
  async fence(): Promise<AccountRow> {
    return this.#mark("fenced", "move IN ('leaving', 'fenced')");
  }

  /** It lives elsewhere, for ever: the row stays, so that nobody makes the account anew by mistake. */
  async leave(): Promise<void> {
    await this.#mark("left", "move IN ('fenced', 'left')");
  }

  /** The move is off; where it never began, there is nothing to take back. */
  async stay(): Promise<void> {
    await within(
      this.db.batch([
        this.db
          .prepare("UPDATE account SET move = NULL WHERE id = ?1 AND move IN ('leaving', 'fenced')")
          .bind(this.account),
        this.db.prepare("DELETE FROM journal WHERE account = ?1").bind(this.account),
      ]),
      INDEX_TIMEOUT,
      "D1 end of a move",
    );
  }

  async #mark(move: "leaving" | "fenced" | "left", from: string): Promise<AccountRow> {
    const row = await within(
      this.db
        .prepare(`UPDATE account SET move = ?2 WHERE id = ?1 AND (${from}) RETURNING ${ACCOUNT}`)
        .bind(this.account, move)
        .first<AccountRow>(),
      INDEX_TIMEOUT,
      "D1 mark of a move",
    );
    if (row === null) throw new Error(`the account ${this.account} is not in a state to be ${move}`);
    return row;
  }

  async countMessages(): Promise<number> {
    const row = this.db.prepare("SELECT count(*) AS n FROM message WHERE account = ?1").bind(this.account);
    return (await within(row.first<number>("n"), INDEX_TIMEOUT, WHAT)) ?? 0;
  }

  async person(): Promise<PersonRows> {
    const rows = (table: PersonTable) =>
      this.#rows<Row>(`SELECT ${PERSON_COLUMNS[table].join(", ")} FROM ${table} WHERE account = ?1 ORDER BY rowid`);
    return { identity: await rows("identity"), on_arrival: await rows("on_arrival"), told: await rows("told") };
  }

  folders(): Promise<FolderRow[]> {
    return this.#rows<FolderRow>(`SELECT ${FOLDER} FROM folder WHERE account = ?1 ORDER BY id`);
  }

  /** In the order of the archive; first those that it does not have. @param after the number there, and the message's own */
  messages(after: readonly [number, number], limit: number): Promise<MessageRow[]> {
    return this.#rows<MessageRow>(
      `SELECT ${MESSAGE} FROM message INDEXED BY message_account WHERE account = ?1 AND (number, id) > (?2, ?3)
       ORDER BY number, id LIMIT ?4`,
      after[0],
      after[1],
      limit,
    );
  }

  messagesOf(ids: readonly number[]): Promise<MessageRow[]> {
    return this.#rows<MessageRow>(
      `SELECT ${MESSAGE} FROM message WHERE account = ?1 AND id IN (SELECT value FROM json_each(?2)) ORDER BY id`,
      JSON.stringify(ids),
    );
  }

  /** In the order of their last change: one that changes meanwhile comes again. @param after modseq and number */
  placements(after: readonly [number, number], limit: number): Promise<PlacementRow[]> {
    return this.#rows<PlacementRow>(
      `SELECT ${PLACEMENT} FROM placement WHERE account = ?1 AND (modseq, id) > (?2, ?3) ORDER BY modseq, id LIMIT ?4`,
      after[0],
      after[1],
      limit,
    );
  }

  placementsOf(ids: readonly number[]): Promise<PlacementRow[]> {
    return this.#rows<PlacementRow>(
      `SELECT ${PLACEMENT} FROM placement WHERE account = ?1 AND id IN (SELECT value FROM json_each(?2))`,
      JSON.stringify(ids),
    );
  }

  /** Oldest first. */
  journal(limit: number): Promise<JournalEntry[]> {
    return this.#rows<JournalEntry>("SELECT id, kind, row FROM journal WHERE account = ?1 ORDER BY id LIMIT ?2", limit);
  }

  /** Those entries have been brought over; what came after them stays. */
  async forget(entries: readonly JournalEntry[]): Promise<void> {
    await within(
      this.db
        .prepare("DELETE FROM journal WHERE account = ?1 AND id IN (SELECT value FROM json_each(?2))")
        .bind(this.account, JSON.stringify(entries.map(({ id }) => id)))
        .run(),
      INDEX_TIMEOUT,
      "D1 clearing of a journal",
    );
  }

  async #rows<T>(sql: string, ...values: readonly (string | number)[]): Promise<T[]> {
    const { results } = await within(
      this.db
        .prepare(sql)
        .bind(this.account, ...values)
        .all<T>(),
      INDEX_TIMEOUT,
      WHAT,
    );
    return results;
  }
}
