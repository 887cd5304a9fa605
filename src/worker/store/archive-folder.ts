/**
 * The archive as a folder of its account: virtual and read-only, nothing is written for it. Its UIDs are `message.number`, in the
 * order in which messages were indexed.
 */
import { ARCHIVE_UNCOUNTED, INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "./messages.ts";

export interface Totals {
  readonly messages: number;
  /** Octets. */
  readonly size: number;
  /** The highest UID that there was; 0 where there was none. */
  readonly last: number;
}

interface Counted {
  readonly archived: number;
  readonly size: number;
  readonly young: number;
  readonly last: number;
}

/** What is counted already, and what came since. */
export function totalsStatement(db: D1Database, account: number): D1PreparedStatement {
  return db
    .prepare(
      `SELECT a.archived + count(m.id) AS archived, a.archived_size + coalesce(sum(m.size), 0) AS size, count(m.id) AS young,
         max(a.archive_last, a.counted_to, coalesce(max(m.number), 0)) AS last
       FROM account a LEFT JOIN message m ON m.account = a.id AND m.number > a.counted_to WHERE a.id = ?1 GROUP BY a.id`,
    )
    .bind(account);
}

/**
 * @param rows what `totalsStatement` gave. Where much came since, the count so far is remembered: a row written for each
 * ARCHIVE_UNCOUNTED messages, in mailboxes whose owner looks.
 */
export async function archiveTotals(db: D1Database, account: number, rows: readonly unknown[]): Promise<Totals> {
  const [row] = rows as readonly Counted[];
  if (!row) return { messages: 0, size: 0, last: 0 };
  if (row.young > ARCHIVE_UNCOUNTED) await remember(db, account, row.last);
  return { messages: row.archived, size: row.size, last: row.last };
}

async function remember(db: D1Database, account: number, to: number): Promise<void> {
  const young = "FROM message m WHERE m.account = ?1 AND m.number > account.counted_to AND m.number <= ?2";
  const statement = db
    .prepare(
      `UPDATE account SET archived = archived + (SELECT count(*) ${young}),
         archived_size = archived_size + (SELECT coalesce(sum(m.size), 0) ${young}), counted_to = ?2
       WHERE id = ?1 AND counted_to < ?2`,
    )
    .bind(account, to);
  try {
    await within(statement.run(), INDEX_TIMEOUT, "D1 count of an archive");
  } catch (error) {
    // The count itself is right; the next look tries again.
    console.warn("the count of an archive was not remembered", account, String(error));
  }
}

export interface ArchivedRow extends MessageRow {
  /** UID in the archive folder. */
  readonly number: number;
  readonly thread: number;
}

type StoredArchived = StoredRow & Pick<ArchivedRow, "number" | "thread">;

export interface ArchivePage {
  /** UIDs, inclusive. */
  readonly from: number;
  readonly to: number;
  readonly order: "newest" | "oldest";
  readonly limit: number;
}

/** Reads two rows for each that it returns. */
export async function listArchive(db: D1Database, account: number, page: ArchivePage): Promise<ArchivedRow[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${MESSAGE_COLUMNS}, m.number, m.thread FROM message m INDEXED BY message_account CROSS JOIN account a ON a.id = ?1
         WHERE m.account = ?1 AND m.number BETWEEN ?2 AND ?3 ORDER BY m.number ${page.order === "newest" ? "DESC" : "ASC"} LIMIT ?4`,
      )
      .bind(account, Math.max(1, page.from), page.to, page.limit)
      .all<StoredArchived>(),
    INDEX_TIMEOUT,
    "D1 read of an archive",
  );
  return results.map(messageRow);
}

/** By UID; those that are not there are left out. */
export async function archivedByNumber(
  db: D1Database,
  account: number,
  numbers: readonly number[],
): Promise<ArchivedRow[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${MESSAGE_COLUMNS}, m.number, m.thread FROM json_each(?2) e
         CROSS JOIN message m INDEXED BY message_account ON m.account = ?1 AND m.number = e.value
         CROSS JOIN account a ON a.id = ?1 WHERE e.value > 0 ORDER BY e.key`,
      )
      .bind(account, JSON.stringify(numbers))
      .all<StoredArchived>(),
    INDEX_TIMEOUT,
    "D1 read of archived messages",
  );
  return results.map(messageRow);
}
