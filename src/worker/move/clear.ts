/** The old shard after a move: row by row goes only what the new one is known to have. */
import { ARCHIVE_DAYS, INDEX_TIMEOUT, MOVE_ROWS } from "../../core/limits.ts";
import { within } from "../store/deadline.ts";
import { PERSON_TABLES } from "./contract.ts";

interface Original {
  readonly id: number;
  readonly mid: string;
  readonly at: number;
  readonly size: number;
  readonly thread: number;
  readonly number: number;
}

interface Copy extends Omit<Original, "id" | "number"> {
  readonly source: number;
}

const LEFT = "EXISTS (SELECT 1 FROM account WHERE id = ?1 AND move = 'left')";

export interface Cleared {
  readonly messages: number;
  /** The last message was looked at; those that the new shard should have and has not are still there. */
  readonly ended: boolean;
}

/**
 * A page of the oldest. About six rows written a message there, two here.
 * @param after the last message of the page before: its number in the archive, and its own
 * @param now unix milliseconds
 */
export async function clearPage(
  source: D1Database,
  target: D1Database,
  account: number,
  after: readonly [number, number],
  now: number,
): Promise<Cleared & { readonly after: readonly [number, number] }> {
  const { results } = await within(
    source
      .prepare(
        `SELECT id, number, mid, at, size, thread FROM message INDEXED BY message_account
         WHERE account = ?1 AND (number, id) > (?2, ?3) ORDER BY number, id LIMIT ?4`,
      )
      .bind(account, ...after, MOVE_ROWS)
      .all<Original>(),
    INDEX_TIMEOUT,
    "D1 read of a mailbox that has moved",
  );
  const last = results.at(-1);
  if (!last) return { messages: 0, ended: true, after };
  const copies = await copiesOf(target, account, results);
  // Retention has taken it there by now.
  const expired = ({ at }: Original) => at < now - ARCHIVE_DAYS * 86_400_000;
  const safe = results.filter((row) => isCopy(row, copies.get(row.id)) || expired(row));
  await drop(
    source,
    target,
    account,
    safe.map(({ id }) => id),
  );
  return { messages: safe.length, ended: false, after: [last.number, last.id] };
}

/** Folders, change records and marks; the account's row stays and says that it has left. */
export async function clearRest(source: D1Database, target: D1Database, account: number): Promise<void> {
  const outgoing = "(SELECT id FROM outgoing WHERE account = ?1)";
  await within(
    source.batch([
      source.prepare(`DELETE FROM outgoing_recipient WHERE outgoing IN ${outgoing} AND ${LEFT}`).bind(account),
      ...["outgoing", "placement", "folder", "journal", ...PERSON_TABLES].map((table) =>
        source.prepare(`DELETE FROM ${table} WHERE account = ?1 AND ${LEFT}`).bind(account),
      ),
    ]),
    INDEX_TIMEOUT,
    "D1 clearing after a move",
  );
  await within(
    target.prepare("DELETE FROM arrival WHERE account = ?1").bind(account).run(),
    INDEX_TIMEOUT,
    "D1 clearing after a move",
  );
}

async function copiesOf(
  target: D1Database,
  account: number,
  originals: readonly Original[],
): Promise<Map<number, Copy>> {
  const { results } = await within(
    target
      .prepare(
        `SELECT a.source, m.mid, m.at, m.size, m.thread FROM arrival a JOIN message m ON m.id = a.target AND m.account = ?1
         WHERE a.account = ?1 AND a.kind = 'message' AND a.source IN (SELECT value FROM json_each(?2))`,
      )
      .bind(account, JSON.stringify(originals.map(({ id }) => id)))
      .all<Copy>(),
    INDEX_TIMEOUT,
    "D1 read of a mailbox that has moved",
  );
  return new Map(results.map((row) => [row.source, row]));
}

function isCopy(one: Original, copy: Copy | undefined): boolean {
  return copy?.mid === one.mid && copy.at === one.at && copy.size === one.size && copy.thread === one.thread;
}

/** The old rows first: dying in between, the next run finds nothing left to compare. */
async function drop(source: D1Database, target: D1Database, account: number, ids: readonly number[]): Promise<void> {
  const list = JSON.stringify(ids);
  const those = "(SELECT value FROM json_each(?2))";
  await within(
    source.batch([
      source.prepare(`DELETE FROM full_text WHERE rowid IN ${those} AND ${LEFT}`).bind(account, list),
      source
        .prepare(`DELETE FROM placement WHERE account = ?1 AND message IN ${those} AND ${LEFT}`)
        .bind(account, list),
      source.prepare(`DELETE FROM message WHERE account = ?1 AND id IN ${those} AND ${LEFT}`).bind(account, list),
    ]),
    INDEX_TIMEOUT,
    "D1 clearing after a move",
  );
  await within(
    target
      .prepare(`DELETE FROM arrival WHERE account = ?1 AND kind = 'message' AND source IN ${those}`)
      .bind(account, list)
      .run(),
    INDEX_TIMEOUT,
    "D1 clearing after a move",
  );
}
