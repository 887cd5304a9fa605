/** Search in the archive: one model for a user's mailbox and an administrator's domain, merged over the shards. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { MESSAGE_COLUMNS, type MessageRow, messageRow, type StoredRow } from "../store/messages.ts";
import { type Shard, shards } from "../store/shard.ts";
import { accountToken, domainToken } from "./scope.ts";

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

/** Where each shard goes on: below this row. */
type Position = ReadonlyMap<number, number>;

/**
 * Newest first.
 * @param cursor `next` of the page before
 * @returns null where the cursor is none of ours
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
  const wanted = shards(env).filter(({ number }) => scope.kind === "domain" || number === scope.shard);
  const pages = await Promise.all(wanted.map((shard) => searchShard(shard, scope, filter, position, limit + 1)));
  const merged = pages.flat().sort((a, b) => b.at - a.at || b.row - a.row);
  const page = merged.slice(0, limit);
  const next = new Map(position);
  for (const { shard, row } of page) next.set(shard, Math.min(row, next.get(shard) ?? row));
  return {
    items: page.map(({ item }) => item),
    next: merged.length > limit ? writeCursor(next) : null,
  };
}

interface Hit {
  readonly item: ArchiveItem;
  readonly shard: number;
  readonly row: number;
  readonly at: number;
}

async function searchShard(
  { number, db }: Shard,
  scope: SearchScope,
  filter: SearchFilter,
  position: Position,
  limit: number,
): Promise<Hit[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT ${MESSAGE_COLUMNS} FROM fts JOIN message m ON m.id = fts.rowid JOIN account a ON a.id = m.account
         WHERE fts MATCH ?1 AND fts.rowid < ?2 AND m.at >= ?3 AND m.at < ?4
           AND m.sender LIKE ?5 ESCAPE '\\' AND m.subject LIKE ?6 ESCAPE '\\'
           AND (?7 = '%%' OR m.meta ->> '$.envelope.to' LIKE ?7 ESCAPE '\\' OR m.meta -> '$.to' LIKE ?7 ESCAPE '\\'
                OR m.meta -> '$.cc' LIKE ?7 ESCAPE '\\')
         ORDER BY fts.rowid DESC LIMIT ?8`,
      )
      .bind(
        matchOf(scope, filter),
        position.get(number) ?? Number.MAX_SAFE_INTEGER,
        filter.since ?? 0,
        filter.until ?? Number.MAX_SAFE_INTEGER,
        like(filter.from),
        like(filter.subject),
        like(filter.to),
        limit,
      )
      .all<StoredRow>(),
    INDEX_TIMEOUT,
    "D1 search",
  );
  return results.map((row) => ({
    item: { ...messageRow(row), id: `${number}-${row.id}` },
    shard: number,
    row: row.id,
    at: row.at,
  }));
}

/** FTS5's own language, every word of a person's quoted: nothing that they type is syntax. */
function matchOf(scope: SearchScope, { q, from, subject, direction }: SearchFilter): string {
  const whose = scope.kind === "account" ? accountToken(scope.account) : domainToken(scope.domainId);
  const parts = [`scope : ${quote(whose)}`];
  if (direction) parts.push(`scope : ${quote(direction)}`);
  const wanted = terms(q);
  if (wanted.length > 0) parts.push(`{head body} : (${wanted.join(" AND ")})`);
  // Narrows before the columns are looked at; the envelope's recipient need not be in the header, so `to` does not.
  for (const text of [from, subject]) {
    const words = terms(text);
    if (words.length > 0) parts.push(`head : (${words.join(" AND ")})`);
  }
  return parts.join(" AND ");
}

/** `one "two three" fo` to `"one"`, `"two three"`, `"fo" *`. */
function terms(text: string | undefined): string[] {
  const found = [...(text ?? "").matchAll(/"([^"]*)"|([^\s"]+)/g)];
  return found.flatMap((match, index) => {
    const word = match[1] ?? match[2] ?? "";
    // A phrase without a letter or digit has no token and would match nothing.
    if (!/[\p{L}\p{N}\p{Co}]/u.test(word)) return [];
    return [index === found.length - 1 && match[1] === undefined ? `${quote(word)} *` : quote(word)];
  });
}

const quote = (word: string): string => `"${word.replaceAll('"', '""').replaceAll("\0", " ")}"`;
const like = (text: string | undefined): string => `%${(text ?? "").trim().replace(/[\\%_]/g, "\\$&")}%`;

/** `0.1234_1.77` */
function writeCursor(position: Position): string {
  return [...position].map(([shard, row]) => `${shard}.${row}`).join("_");
}

function readCursor(text: string): Position | null {
  if (!/^\d{1,4}\.\d{1,16}(?:_\d{1,4}\.\d{1,16})*$/.test(text)) return null;
  return new Map(text.split("_").map((part) => part.split(".").map(Number) as [number, number]));
}
