/** One page of one shard's hits: rows are looked at in growing batches until the page is full, all is seen, or it is enough. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { SEARCH_LOOKED_AT } from "../../core/query/limits.ts";
import type { Query, Span } from "../../core/query/query.ts";
import { within } from "../store/deadline.ts";
import { firstSince } from "../store/expiry.ts";
import { type Statement, type Statements, split, type Window } from "./statement.ts";

export interface Found<Row> {
  /** Highest number first. */
  readonly rows: readonly Row[];
  /** Below this number nothing was looked at yet; null: that was all, or there is more than was asked for. */
  readonly stoppedAt: number | null;
}

/** Of the first batch; each further one is several times as large. */
const FIRST_LOOK = 100;
const GROWTH = 8;
/** Numbers grow with the time of arrival, but for this much: where more mail came in a second than there are numbers of it. */
const DISORDER = 10 * 60_000;

/**
 * @param make the statements for a window and a number of rows to be looked at
 */
export async function searchShard<Row extends { readonly id: number }>(
  db: D1Database,
  window: Window,
  limit: number,
  make: (window: Window, look: number) => Statements,
): Promise<Found<Row>> {
  const rows: Row[] = [];
  let { below } = window;
  let look = Math.max(FIRST_LOOK, 2 * limit);
  for (let lookedAt = 0; ; look = Math.min(look * GROWTH, SEARCH_LOOKED_AT - lookedAt)) {
    const { hits, looked } = make({ ...window, below }, look);
    const [found, seen] = await batch(db, looked ? [hits, looked] : [hits]);
    rows.push(...((found?.results ?? []) as unknown as Row[]));
    const count = Number(seen?.results[0]?.looked ?? 0);
    if (rows.length >= limit || count < look || !looked) return { rows: rows.slice(0, limit), stoppedAt: null };
    lookedAt += count;
    below = Number(seen?.results[0]?.last ?? 0);
    if (lookedAt >= SEARCH_LOOKED_AT) return { rows, stoppedAt: below };
  }
}

/** The one row that a statement has. */
export async function firstRow<Row>(db: D1Database, { sql, values }: Statement): Promise<Row | null> {
  return within(
    db
      .prepare(sql)
      .bind(...values)
      .first<Row>(),
    INDEX_TIMEOUT,
    "D1 search",
  );
}

async function batch(db: D1Database, statements: readonly Statement[]) {
  const prepared = statements.map(({ sql, values }) => db.prepare(sql).bind(...values));
  return within(db.batch<Record<string, unknown>>(prepared), INDEX_TIMEOUT, "D1 search");
}

/** The numbers among which all hits are, by when they must have arrived. @param below of the page */
export async function windowOf(db: D1Database, query: Query, below: number): Promise<Window> {
  const { rest } = split(query);
  const spans = (rest.kind === "and" ? rest.of : [rest]).filter(
    (one): one is Extract<Query, Span> => one.kind === "arrived",
  );
  const since = Math.max(...spans.map((span) => span.since ?? -Infinity));
  const before = Math.min(...spans.map((span) => span.before ?? Infinity));
  const from = since > -Infinity ? await firstSince(db, since - DISORDER) : 0;
  const end = before < Infinity ? await firstSince(db, before + DISORDER) : Infinity;
  return { from, below: Math.min(below, end) };
}
