/**
 * Rows that have no full text, such as those that were written before the index had its present form: it is made anew from their
 * octets. By row, not by object: what belongs to an address that its mailbox has no more has a row all the same.
 */
import { INDEX_TIMEOUT, REINDEX_COPIES, REINDEX_GROUP, REINDEX_TIME, STORE_TIMEOUT } from "../../../core/limits.ts";
import type { Env } from "../../env.ts";
import { within } from "../../store/deadline.ts";
import { firstSince } from "../../store/expiry.ts";
import { jsonLists } from "../../store/json-lists.ts";
import { type Shard, shardsInUse } from "../../store/shard.ts";
import { type FullText, insertFullTexts } from "../full-text.ts";
import { headRaw } from "../raw.ts";
import { type TextRow, textsOf } from "../row-text.ts";
import type { ReindexOptions, ReindexProblem } from "./contract.ts";

export interface RowsAfter {
  readonly shard: number;
  /** The number of the last row that was looked at. */
  readonly row: number;
}

export interface Renewed {
  /** Null at the end. */
  readonly after: RowsAfter | null;
  /** Rows that have their full text now; of a dry run, that lack it. */
  readonly renewed: number;
  /** When the last of them was received, unix milliseconds. */
  readonly at: number | null;
}

export interface LackingRow extends TextRow {
  readonly id: number;
  readonly account: number;
  readonly domain: number;
  readonly at: number;
}

/** Rows that one statement passes over: nearly all have what they need. */
const LOOKED_AT = 10_000;
const READS_AT_ONCE = 4;

/**
 * @param after null begins
 * @param now unix milliseconds
 * @throws where a store does not answer: what was written stays, and the step can be made again
 */
export async function renewRows(
  env: Env,
  after: RowsAfter | null,
  { shard: only, since, dryRun }: ReindexOptions,
  now: number,
  problem: (problem: ReindexProblem) => void,
): Promise<Renewed> {
  const from = after ?? { shard: 0, row: 0 };
  let renewed = 0;
  let looked = 0;
  let at: number | null = null;
  for (const shard of await shardsInUse(env)) {
    if (shard.number < from.shard || (only !== null && shard.number !== only)) continue;
    let row = shard.number === from.shard ? from.row : 0;
    if (row === 0 && since !== null) row = (await firstSince(shard.db, since)) - 1;
    for (;;) {
      const { rows, last } = await lacking(shard, { from: row + 1, below: Number.MAX_SAFE_INTEGER }, "oldest");
      if (last === null) break;
      renewed += dryRun ? rows.length : await renew(env, shard, rows, problem);
      looked += rows.length;
      at = rows.at(-1)?.at ?? at;
      row = rows.length === REINDEX_GROUP ? (rows.at(-1)?.id ?? last) : last;
      if (looked >= REINDEX_COPIES || Date.now() - now > REINDEX_TIME)
        return { after: { shard: shard.number, row }, renewed, at };
    }
  }
  return { after: null, renewed, at };
}

/**
 * The first of them, and the last row that was looked at for them: null where there are no more rows.
 * @param window numbers: the first one included, the last one not
 */
export async function lacking(
  { db }: Shard,
  { from, below }: { readonly from: number; readonly below: number },
  order: "oldest" | "newest",
): Promise<{ rows: LackingRow[]; last: number | null }> {
  // What is arriving has it too, or its move, which a version before may have begun, would not be found complete.
  const [direction, furthest] = order === "newest" ? ["DESC", "min"] : ["ASC", "max"];
  const some = `(SELECT id FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id ${direction} LIMIT ${LOOKED_AT})`;
  const [found, looked] = await within(
    db.batch<Record<string, unknown>>([
      db
        .prepare(
          `SELECT m.id, m.account, a.domain, m.direction, m.number, m.at, m.size, m.key, m.subject, m.preview, m.meta
           FROM ${some} l CROSS JOIN message m ON m.id = l.id CROSS JOIN account a ON a.id = m.account
           WHERE coalesce(a.move, '') <> 'left' AND NOT EXISTS (SELECT 1 FROM full_text t WHERE t.rowid = m.id)
           ORDER BY m.id ${direction} LIMIT ${REINDEX_GROUP}`,
        )
        .bind(from, below),
      db.prepare(`SELECT ${furthest}(id) AS last FROM ${some}`).bind(from, below),
    ]),
    INDEX_TIMEOUT,
    "D1 read of rows without full text",
  );
  const last = looked?.results[0]?.last;
  return { rows: (found?.results ?? []) as unknown as LackingRow[], last: typeof last === "number" ? last : null };
}

/** @returns how many of them have their full text now, and had none */
export async function renew(
  env: Env,
  { db }: Shard,
  rows: readonly LackingRow[],
  problem: (problem: ReindexProblem) => void,
): Promise<number> {
  const texts: [LackingRow, FullText][] = [];
  const queue = [...rows];
  const lane = async (): Promise<void> => {
    for (let row = queue.shift(); row; row = queue.shift()) {
      const text = await textOf(env.MAIL, row, problem);
      if (text) texts.push([row, text]);
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  if (texts.length === 0) return 0;
  // Retention, or another run, may have been here meanwhile.
  const where = `EXISTS (SELECT 1 FROM message WHERE id = value ->> 'id')
    AND NOT EXISTS (SELECT 1 FROM full_text WHERE rowid = value ->> 'id')`;
  const insert = insertFullTexts("?1", where);
  const lists = jsonLists(texts.map(([{ id }, text]) => ({ id, ...text })));
  await within(db.batch(lists.map((list) => db.prepare(insert).bind(list))), INDEX_TIMEOUT, "D1 batch of full text");
  return texts.length;
}

/** One object that cannot be read must not end the run; a store that does not answer must. */
async function textOf(
  bucket: R2Bucket,
  row: LackingRow,
  problem: (problem: ReindexProblem) => void,
): Promise<FullText | undefined> {
  try {
    return (await textsOf(bucket, ({ account, domain }) => ({ account, domain }), [row]))[0];
  } catch (error) {
    await within(headRaw(bucket, row.key), STORE_TIMEOUT, "R2 head");
    console.error("a message could not be read for its full text", row.key, String(error));
    const detail = "Its octets are stored and could not be read, so no words find it. Run again; see the Worker's log.";
    problem({ kind: "unreadable", key: row.key, detail });
    return undefined;
  }
}
