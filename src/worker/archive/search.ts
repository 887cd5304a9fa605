/** Search in the archive: one model for a user's mailbox and an administrator's domain, merged over the shards. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { shardsOfDomain } from "../store/mailboxes.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "../store/messages.ts";
import { shownHere } from "../store/moved.ts";
import { type Shard, shards, shardsInUse } from "../store/shard.ts";
import { accountToken, domainToken } from "./scope.ts";
import { meets, quote, terms } from "./terms.ts";

export type SearchScope =
  | { readonly kind: "account"; readonly account: number; readonly shard: number }
  | { readonly kind: "domain"; readonly domainId: number };

export interface SearchFilter {
  /** Words that all must occur, and "phrases"; the last word may be the beginning of one. */
  readonly q?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  /** Unix milliseconds, inclusive. */
  readonly since?: number | undefined;
  /** Unix milliseconds, exclusive. */
  readonly until?: number | undefined;
  readonly direction?: "in" | "out" | undefined;
}

export interface ArchiveItem extends Omit<MessageRow, "id"> {
  /** `shard-number`. */
  readonly id: string;
}

/** What was asked for lies on this shard too, and it did not answer. */
export class ShardError extends Error {
  override readonly name = "ShardError";
  readonly shard: number;
  constructor(shard: number, cause: unknown) {
    super(`shard ${shard} does not answer`, { cause });
    this.shard = shard;
  }
}

/** Where each shard goes on: below this row. */
type Position = ReadonlyMap<number, number>;

/** Rows whose columns are looked at for one page, of each shard: what the full text cannot tell is told there. */
const MAX_LOOKED_AT = 2_000;
const FIRST_BATCH = 50;

/**
 * Newest first. A page may be short, even empty, and have a next one: then this many rows were looked at without a match.
 * @param cursor `next` of the page before
 * @returns null where the cursor is none of ours
 * @throws ShardError where one of the shards does not answer
 */
export async function searchArchive(
  env: Env,
  scope: SearchScope,
  filter: SearchFilter,
  cursor: string | null,
  limit: number,
): Promise<{ readonly items: readonly ArchiveItem[]; readonly next: string | null } | null> {
  const position = cursor === null ? new Map<number, number>() : readCursor(cursor);
  if (!position) return null;
  const match = matchOf(scope, filter);
  if (match === null) return { items: [], next: null };
  const wanted = (await searchable(env, scope)).filter(
    ({ number }) => scope.kind === "domain" || number === scope.shard,
  );
  const found = await Promise.all(
    wanted.map((shard) => searchWhole(shard, match, filter, position, limit + 1, scope.kind === "account")),
  );
  const { page, next } = merge(found, position, limit);
  return { items: page, next: next && writeCursor(next) };
}

/**
 * A shard without tables has nobody's mail, unless mailboxes live there: then it was lost, and a page would look complete.
 * @throws ShardError then
 */
async function searchable(env: Env, scope: SearchScope): Promise<Shard[]> {
  const usable = await shardsInUse(env);
  const missing = shards(env).filter(({ number }) => !usable.some((one) => one.number === number));
  if (missing.length === 0) return usable;
  const needed = scope.kind === "domain" ? await shardsOfDomain(env.DIRECTORY, scope.domainId) : [scope.shard];
  const lost = missing.find(({ number }) => needed.includes(number));
  if (lost) throw new ShardError(lost.number, new Error("its tables are missing: apply migrations/shard to it"));
  return usable;
}

interface Found {
  readonly shard: number;
  /** In the order of their rows, newest first. */
  readonly rows: readonly MessageRow[];
  /** The row below which nothing was looked at yet; null when that was all. */
  readonly stoppedAt: number | null;
}

/**
 * Each shard's rows keep their order, so that "below this row" says all of where a shard goes on; among the shards' first
 * ones the newest goes next.
 */
function merge(found: readonly Found[], from: Position, limit: number) {
  const next = new Map(from);
  const page: ArchiveItem[] = [];
  const taken = new Map<number, number>();
  const head = ({ shard, rows }: Found) => rows[taken.get(shard) ?? 0];
  while (page.length < limit) {
    let best: { shard: number; row: MessageRow } | null = null;
    for (const each of found) {
      const row = head(each);
      if (row && (best === null || row.at > best.row.at)) best = { shard: each.shard, row };
    }
    if (!best) break;
    const { shard, row } = best;
    page.push({ ...row, id: `${shard}-${row.id}` });
    taken.set(shard, (taken.get(shard) ?? 0) + 1);
    next.set(shard, row.id);
  }
  let more = false;
  for (const each of found) {
    if (head(each)) more = true;
    else if (each.stoppedAt !== null) {
      more = true;
      next.set(each.shard, each.stoppedAt);
    }
  }
  return { page, next: more ? next : null };
}

/** A page without one shard's mail would look complete: then there is none. */
async function searchWhole(shard: Shard, ...rest: Rest): Promise<Found> {
  try {
    return await searchShard(shard, ...rest);
  } catch (error) {
    throw new ShardError(shard.number, error);
  }
}

type Rest = Parameters<typeof searchShard> extends [Shard, ...infer R] ? R : never;

async function searchShard(
  { number, db }: Shard,
  match: string,
  filter: SearchFilter,
  position: Position,
  limit: number,
  own: boolean,
): Promise<Found> {
  const narrowed = [filter.from, filter.to, filter.subject].some((text) => (text ?? "").trim() !== "");
  const rows: MessageRow[] = [];
  let below = position.get(number) ?? Number.MAX_SAFE_INTEGER;
  let batch = narrowed ? Math.max(limit, FIRST_BATCH) : limit;
  for (let lookedAt = 0; lookedAt < MAX_LOOKED_AT; batch *= 2) {
    const asked = Math.min(batch, Math.max(limit, MAX_LOOKED_AT - lookedAt));
    const read = await readRows(db, match, filter, below, asked, own);
    rows.push(...read.filter((row) => meets(row, filter)));
    if (rows.length >= limit || read.length < asked)
      return { shard: number, rows: rows.slice(0, limit), stoppedAt: null };
    lookedAt += read.length;
    below = read.at(-1)?.id ?? below;
  }
  return { shard: number, rows, stoppedAt: below };
}

/** @param own the account's own shard is asked, wherever it is in a move; else what a move has on two shards comes from one */
async function readRows(
  db: D1Database,
  match: string,
  { since, until }: SearchFilter,
  below: number,
  limit: number,
  own: boolean,
): Promise<MessageRow[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${MESSAGE_COLUMNS} FROM fts JOIN message m ON m.id = fts.rowid JOIN account a ON a.id = m.account
         WHERE fts MATCH ?1 AND (?6 OR ${shownHere("a")}) AND fts.rowid < ?2 AND m.at >= ?3 AND m.at < ?4 ORDER BY fts.rowid DESC LIMIT ?5`,
      )
      .bind(match, below, since ?? 0, until ?? Number.MAX_SAFE_INTEGER, limit, own ? 1 : 0)
      .all<StoredRow>(),
    INDEX_TIMEOUT,
    "D1 search",
  );
  return results.map(messageRow);
}

/** FTS5's own language, every word of a person's quoted: nothing that they type is syntax. Null: nothing can match. */
function matchOf(scope: SearchScope, { q, from, to, subject, direction }: SearchFilter): string | null {
  const whose = scope.kind === "account" ? accountToken(scope.account) : domainToken(scope.domainId);
  const parts = [`scope : ${quote(whose)}`];
  if (direction) parts.push(`scope : ${quote(direction)}`);
  const wanted = terms(q);
  // Punctuation alone is in no index.
  if (wanted.length === 0 && (q ?? "").trim() !== "") return null;
  if (wanted.length > 0) parts.push(`{head body} : (${wanted.join(" AND ")})`);
  // Narrows before the columns are looked at.
  for (const text of [from, to, subject]) {
    const words = terms(text);
    if (words.length > 0) parts.push(`head : (${words.join(" AND ")})`);
  }
  return parts.join(" AND ");
}

/** `0.1234_1.77` */
function writeCursor(position: Position): string {
  return [...position].map(([shard, row]) => `${shard}.${row}`).join("_");
}

function readCursor(text: string): Position | null {
  if (!/^\d{1,4}\.\d{1,16}(?:_\d{1,4}\.\d{1,16})*$/.test(text)) return null;
  return new Map(text.split("_").map((part) => part.split(".").map(Number) as [number, number]));
}
