/**
 * Messages in folders: marked, copied, moved, removed, up to a thousand at once. Each is one batch with the account's counter, and a
 * repeat changes nothing: what a lost answer had done is found and told again. Each message has a MODSEQ of its own, so that
 * whoever reads changes page by page may stop anywhere.
 *
 * What waits for the origin is taken out of its folder, or flagged \Deleted, only where the caller has had redelivery let go of
 * it (`released`): who forgets it changes nothing.
 */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { DELETED } from "./flags.ts";
import { FOLDER_STRIDE } from "./folders.ts";
import { STATE, type Written, written } from "./states.ts";

/** The placements that an act is about, in the order of their numbers, each once. */
export interface Chosen {
  readonly account: number;
  readonly ids: readonly number[];
  /** Those of them that wait, and that redelivery leaves alone. */
  readonly released: readonly number[];
}

const choose = ({ account, ids, released }: Chosen) =>
  [account, JSON.stringify([...new Set(ids)].sort((a, b) => a - b)), JSON.stringify(released)] as const;

// ?1 account, ?2 the numbers, ?3 those that are released. `e` walks the list, `p` is its placement.
const CHOSEN = "json_each(?2) e CROSS JOIN placement p ON p.id = e.value";
const THEIRS = "p.account = ?1 AND p.gone IS NULL";
const FREE = "(coalesce(p.waiting, 0) <= 0 OR p.id IN (SELECT value FROM json_each(?3)))";
/** The counter goes on by the length of the list; the n-th of it has the n-th of these numbers, whether it is touched or not. */
const COUNT = "json_array_length(?2)";
const NUMBER = `(SELECT seq FROM account WHERE id = ?1) - ${COUNT} + 1 + e.key`;

/** The counter's steps, only where there is something to be changed. @param which a condition on `p`, with all other parameters */
function step(which: string): string {
  return `UPDATE account SET seq = seq + ${COUNT} WHERE id = ?1
    AND EXISTS (SELECT 1 FROM ${CHOSEN} WHERE ${THEIRS} AND ${which}) ${STATE}`;
}

export interface FlagsChange {
  /** Bits to set and to clear, see flags.ts. */
  readonly add: number;
  readonly remove: number;
  /** Keywords to add and to take away, as core/keyword.ts reads them; `all` takes away all others. */
  readonly keywords?: { readonly add: readonly string[]; readonly remove: readonly string[] | "all" };
  /** Only what has not changed since this MODSEQ (RFC 7162 §3.1.3). */
  readonly unchangedSince?: number;
}

export interface Flagged {
  readonly id: number;
  readonly flags: number;
  /** JSON list; null: none. */
  readonly keywords: string | null;
  readonly modseq: number;
  /** `same`: it was like that already. `modified`: it has changed since. `busy`: it waits and was not released. */
  readonly became: "changed" | "same" | "modified" | "busy";
}

/**
 * What has these flags already is not touched, whenever it changed: so a repeat of a conditional change is no conflict.
 * @returns those that are there, as they are now
 */
export async function setFlags(db: D1Database, chosen: Chosen, change: FlagsChange): Promise<Written<Flagged[]>> {
  const { add, remove, keywords, unchangedSince } = change;
  const flags = "((p.flags | ?4) & ~?5)";
  const words = keywords ? KEYWORDS : "p.keywords";
  const differs = `(${flags} <> p.flags ${keywords ? `OR ${words} IS NOT p.keywords` : ""})`;
  const marks = `(${flags} & ${DELETED} = 0 OR p.flags & ${DELETED} <> 0 OR ${FREE})`;
  const since = "(?6 IS NULL OR p.modseq <= ?6)";
  const which = `${differs} AND ${marks} AND ${since}`;
  const lists = keywords
    ? [JSON.stringify(keywords.add), keywords.remove === "all" ? "null" : JSON.stringify(keywords.remove)]
    : [];
  const values = [...choose(chosen), add, remove, unchangedSince ?? null, ...lists];
  // Statements that do not name a parameter say so: D1 counts them.
  const rest = keywords ? "?3 = ?3 AND ?7 = ?7 AND ?8 = ?8" : "?3 = ?3";
  const [stepped, changed, now] = await run(db, [
    db.prepare(step(`${which} AND ${rest}`)).bind(...values),
    db
      .prepare(
        `UPDATE placement SET flags = n.flags, keywords = n.keywords, modseq = n.modseq
         FROM (SELECT p.id, ${flags} AS flags, ${words} AS keywords, ${NUMBER} AS modseq
               FROM ${CHOSEN} WHERE ${THEIRS} AND ${which} AND ${rest}) n
         WHERE placement.id = n.id RETURNING id`,
      )
      .bind(...values),
    db
      .prepare(
        `SELECT p.id, p.flags, p.keywords, p.modseq, ${differs} AS differs, ${since} AS since FROM ${CHOSEN}
         WHERE ${THEIRS} AND ${rest} ORDER BY p.id`,
      )
      .bind(...values),
  ]);
  const done = new Set(rowsOf<{ id: number }>(changed).map(({ id }) => id));
  const rows = rowsOf<Omit<Flagged, "became"> & { differs: 0 | 1; since: 0 | 1 }>(now);
  const value = rows.map(({ differs, since, ...row }): Flagged => {
    const became = done.has(row.id) ? "changed" : differs === 0 ? "same" : since === 0 ? "modified" : "busy";
    return { ...row, became };
  });
  return written(value, stepped);
}

/** ?7 to add, ?8 to take away; `null` takes all. In order, so that equal ones are equal text. */
const KEYWORDS = `nullif((SELECT json_group_array(k) FROM (
    SELECT value AS k FROM json_each(coalesce(p.keywords, '[]'))
    WHERE ?8 <> 'null' AND value NOT IN (SELECT value FROM json_each(?8))
    UNION SELECT value FROM json_each(?7) ORDER BY 1)), '[]')`;

export interface Went {
  readonly id: number;
  /** Its placement in the other folder. */
  readonly to: number;
}

/** What a copy or a move needs of the folder that it goes to: there, its account's, and none that is virtual. */
const INTO =
  "EXISTS (SELECT 1 FROM folder f WHERE f.id = ?4 AND f.account = ?1 AND f.gone IS NULL AND f.role IS NOT 'archive')";
const PLACE = `?4 * ${FOLDER_STRIDE} + ${NUMBER}`;

/**
 * Into another folder of the account, or the same; no part of the backlog there.
 * @param request what its caller calls the request: a repeat of that name finds what the first one made
 * @returns those that are copied
 */
export async function copyPlacements(
  db: D1Database,
  chosen: Chosen,
  folder: number,
  request: string,
): Promise<Written<Went[]>> {
  const name = "(?5 || ':' || p.id)";
  const fresh = `?3 = ?3 AND ${INTO} AND NOT EXISTS (SELECT 1 FROM placement q WHERE q.message = p.message AND q.request = ${name})`;
  const values = [...choose(chosen), folder, request];
  const [stepped, , copies] = await run(db, [
    db.prepare(step(fresh)).bind(...values),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, flags, keywords, internal_at, request)
         SELECT ${PLACE}, ?1, p.message, ${NUMBER}, ${NUMBER}, p.flags, p.keywords, p.internal_at, ${name}
         FROM ${CHOSEN} WHERE ${THEIRS} AND ${fresh}`,
      )
      .bind(...values),
    db
      .prepare(
        `SELECT p.id, q.id AS "to" FROM ${CHOSEN}
         CROSS JOIN placement q INDEXED BY placement_message ON q.message = p.message AND q.request = ${name}
         WHERE p.account = ?1 AND q.account = ?1 AND ?3 = ?3 AND ?4 = ?4 ORDER BY p.id`,
      )
      .bind(...values),
  ]);
  return written(rowsOf<Went>(copies), stepped);
}

export interface Moved {
  readonly id: number;
  /** Its placement in the other folder: itself where it lay there before; null: it is where it was, since it waits. */
  readonly to: number | null;
}

/**
 * Into another folder of the account, with a new UID; it is no longer in the backlog there. In the folder where it is, nothing
 * changes: it goes on waiting.
 * @returns those that are there, and those that an earlier move took to that folder
 */
export async function movePlacements(db: D1Database, chosen: Chosen, folder: number): Promise<Written<Moved[]>> {
  const which = `p.id / ${FOLDER_STRIDE} <> ?4 AND ${INTO} AND ${FREE}`;
  const values = [...choose(chosen), folder];
  const [stepped, , , now] = await run(db, [
    db.prepare(step(which)).bind(...values),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, flags, keywords, refusal, internal_at)
         SELECT ${PLACE}, ?1, p.message, ${NUMBER}, ${NUMBER}, p.flags, p.keywords, p.refusal, p.internal_at
         FROM ${CHOSEN} WHERE ${THEIRS} AND ${which}`,
      )
      .bind(...values),
    db
      .prepare(
        `UPDATE placement SET gone = n.modseq, modseq = n.modseq, waiting = NULL, went = n.went
         FROM (SELECT p.id, ${NUMBER} AS modseq, ${PLACE} AS went FROM ${CHOSEN} WHERE ${THEIRS} AND ${which}) n
         WHERE placement.id = n.id`,
      )
      .bind(...values),
    db
      .prepare(
        `SELECT p.id, CASE WHEN p.gone IS NOT NULL THEN p.went WHEN p.id / ${FOLDER_STRIDE} = ?4 THEN p.id END AS "to"
         FROM ${CHOSEN} WHERE p.account = ?1 AND ?3 = ?3 AND (p.gone IS NULL OR p.went / ${FOLDER_STRIDE} = ?4) ORDER BY p.id`,
      )
      .bind(...values),
  ]);
  return written(rowsOf<Moved>(now), stepped);
}

/**
 * Out of the portal; the archive keeps its copy, and a message that only its owner had put there goes after the archive's time.
 * @param marked only what is flagged \Deleted (RFC 9051 §6.4.9)
 * @returns those that are still there
 */
export async function removePlacements(
  db: D1Database,
  chosen: Chosen,
  { marked }: { readonly marked: boolean },
): Promise<Written<number[]>> {
  const which = `${FREE} ${marked ? `AND p.flags & ${DELETED} <> 0` : ""}`;
  const values = choose(chosen);
  const [stepped, , left] = await run(db, [
    db.prepare(step(which)).bind(...values),
    db
      .prepare(
        `UPDATE placement SET gone = n.modseq, modseq = n.modseq, waiting = NULL
         FROM (SELECT p.id, ${NUMBER} AS modseq FROM ${CHOSEN} WHERE ${THEIRS} AND ${which}) n WHERE placement.id = n.id`,
      )
      .bind(...values),
    db.prepare(`SELECT p.id FROM ${CHOSEN} WHERE ${THEIRS} AND ?3 = ?3 ORDER BY p.id`).bind(...values),
  ]);
  return written(
    rowsOf<{ id: number }>(left).map(({ id }) => id),
    stepped,
  );
}

/**
 * A message of the archive into its account's inbox again, as a person asked: no part of the backlog.
 * @throws where the account has no inbox: nobody would see it
 */
export async function placeInInbox(db: D1Database, account: number, message: number): Promise<Written<null>> {
  const [stepped, placed] = await run(db, [
    db.prepare(`UPDATE account SET seq = seq + 1 WHERE id = ?1 ${STATE}`).bind(account),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created)
         SELECT f.id * ${FOLDER_STRIDE} + a.seq, a.id, ?2, a.seq, a.seq
         FROM account a JOIN folder f ON f.account = a.id AND f.role = 'inbox' WHERE a.id = ?1 RETURNING id`,
      )
      .bind(account, message),
  ]);
  if (rowsOf(placed).length === 0) throw new Error(`account ${account} has no inbox`);
  return written(null, stepped);
}

function run(db: D1Database, statements: D1PreparedStatement[]): Promise<D1Result[]> {
  return within(db.batch(statements), INDEX_TIMEOUT, "D1 batch of messages in folders");
}

function rowsOf<T>(result: D1Result | undefined): T[] {
  return (result?.results ?? []) as T[];
}
