/** All hits of a search in a mailbox or a folder, sorted: what IMAP's SEARCH and SORT and JMAP's Email/query answer from. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { inArchiveFolder } from "../../core/query/archive-folder.ts";
import { MAX_HITS } from "../../core/query/limits.ts";
import type { Query } from "../../core/query/query.ts";
import { type Correspondent, type SortKey, sorted } from "../../core/query/sort.ts";
import { within } from "../store/deadline.ts";
import { FOLDER_STRIDE } from "../store/folders.ts";
import { windowOf } from "./shard.ts";
import { type Statements, searchMessages, searchPlaces, searchPlacesByWords, split, type Target } from "./statement.ts";

export interface Hit {
  /** The message's number; in a folder that of its place, `folder * 2^32 + uid`, in the archive folder too. */
  readonly id: number;
  /** The message's number. */
  readonly message: number;
  readonly thread: number;
}

export interface Every {
  readonly hits: readonly Hit[];
  /** False: there are more than MAX_HITS, and these are the newest of them. */
  readonly complete: boolean;
}

const EVERYTHING = { from: 0, below: Number.MAX_SAFE_INTEGER };
const NUMBERS = "m.id AS message, m.thread";
/** Read only where something is sorted by it. */
const MATERIAL = `coalesce(m.meta ->> '$.date', m.at) AS date, m.size, m.subject,
  m.meta -> '$.from[0]' AS "from", m.meta -> '$.to[0]' AS "to", m.meta -> '$.cc[0]' AS cc`;

/** As the statement gives it. */
export interface Row extends Hit {
  readonly arrival: number;
  readonly date?: number;
  readonly size?: number;
  readonly subject?: string;
  /** JSON. */
  readonly from?: string | null;
  readonly to?: string | null;
  readonly cc?: string | null;
}

/** `archive`: the folder of that number, which is virtual. */
export type EveryTarget =
  | Exclude<Target, { kind: "domain" }>
  | { readonly kind: "archive"; readonly account: number; readonly folder: number };

/**
 * Reads a row for each hit, and for each that it looks at.
 * @param query in its simplest form (core/query/prepare.ts)
 * @param keys empty: the newest first
 */
export async function everyHit(
  db: D1Database,
  target: EveryTarget,
  query: Query,
  keys: readonly SortKey[] = [],
): Promise<Every> {
  const statement = await everyStatement(db, target, query, keys);
  const { results } = await within(statement.all<Row>(), INDEX_TIMEOUT, "D1 search");
  return everyOf(results, keys);
}

/** For a batch with other statements, of which `everyOf` reads the rows. */
export async function everyStatement(
  db: D1Database,
  target: EveryTarget,
  query: Query,
  keys: readonly SortKey[],
): Promise<D1PreparedStatement> {
  const material = keys.some(({ by }) => by !== "arrival") ? `, ${MATERIAL}` : "";
  const bounds = { limit: MAX_HITS + 1, look: Number.MAX_SAFE_INTEGER };
  if (target.kind === "folder") {
    const columns = `p.id, ${NUMBERS}, coalesce(p.internal_at, m.at) AS arrival ${material}`;
    const search = split(query).textual.kind === "all" ? searchPlaces : searchPlacesByWords;
    return prepared(db, search(target, query, EVERYTHING, { columns, ...bounds }));
  }
  const { account, kind } = target;
  const [meant, id] =
    kind === "archive" ? [inArchiveFolder(query), `${target.folder * FOLDER_STRIDE} + m.number`] : [query, "m.id"];
  const whose = { kind: kind === "archive" ? "account" : kind, account } as const;
  const columns = `${id} AS id, ${NUMBERS}, m.at AS arrival ${material}`;
  return prepared(
    db,
    searchMessages(whose, meant, await windowOf(db, meant, EVERYTHING.below), { columns, ...bounds }),
  );
}

const prepared = (db: D1Database, { hits }: Statements): D1PreparedStatement =>
  db.prepare(hits.sql).bind(...hits.values);

export function everyOf(results: readonly Row[], keys: readonly SortKey[]): Every {
  const rows = results.slice(0, MAX_HITS).map((row) => ({
    ...row,
    date: row.date ?? row.arrival,
    size: row.size ?? 0,
    subject: row.subject ?? "",
    from: person(row.from),
    to: person(row.to),
    cc: person(row.cc),
  }));
  return {
    hits: sorted(rows, keys).map(({ id, message, thread }) => ({ id, message, thread })),
    complete: results.length <= MAX_HITS,
  };
}

const person = (json: string | null | undefined): Correspondent | null =>
  json == null ? null : (JSON.parse(json) as Correspondent);

/** Of each conversation the first (RFC 8621 §4.4.3, collapseThreads). */
export function collapsed(hits: readonly Hit[]): Hit[] {
  const seen = new Set<number>();
  return hits.filter(({ thread }) => !seen.has(thread) && seen.add(thread));
}
