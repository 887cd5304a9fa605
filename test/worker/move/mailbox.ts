/** A mailbox as its owner has it, whatever its rows are numbered: what a move must not change. */
import { env } from "cloudflare:test";
import type { Env } from "../../../src/worker/env.ts";
import { moveMailboxes } from "../../../src/worker/move/drive.ts";
import { must } from "../receive/organisation.ts";

export interface Where {
  readonly id: number;
  readonly shard: number;
  readonly db: D1Database;
}

export function shard(number: number): D1Database {
  return number === 0 ? env.SHARD_0 : env.SHARD_1;
}

export async function find(address: string): Promise<Where> {
  const row = await env.DIRECTORY.prepare("SELECT id, shard FROM mailbox WHERE address = ?1")
    .bind(address)
    .first<{ id: number; shard: number }>();
  if (!row) throw new Error(`there is no mailbox ${address}`);
  return { ...row, db: shard(row.shard) };
}

export interface Contents {
  readonly account: unknown;
  readonly folders: readonly unknown[];
  readonly messages: readonly Readonly<Record<string, unknown>>[];
  readonly placements: readonly Readonly<Record<string, unknown>>[];
  /** Messages found by the full text. */
  readonly found: number;
}

export async function contents(db: D1Database, account: number): Promise<Contents> {
  const rows = async <T = Record<string, unknown>>(sql: string) =>
    (await db.prepare(sql).bind(account).all<T>()).results;
  const [count] = await rows<{ n: number }>(
    "SELECT count(*) AS n FROM full_text JOIN message m ON m.id = full_text.rowid WHERE full_text MATCH 'scope : a' || cast(?1 AS INTEGER) AND m.account = ?1",
  );
  return {
    account: (await rows("SELECT seq FROM account WHERE id = ?1"))[0] ?? null,
    folders: await rows(
      `SELECT f.name, q.name AS parent, f.role, f.uidvalidity, f.subscribed, f.modseq, f.gone
       FROM folder f LEFT JOIN folder q ON q.id = f.parent WHERE f.account = ?1 ORDER BY f.name, q.name`,
    ),
    messages: await rows(
      `SELECT mid, once, thread, direction, at, size, key, sender, subject, preview, meta, structure
       FROM message WHERE account = ?1 ORDER BY mid, once`,
    ),
    placements: await rows(
      `SELECT f.name AS folder, p.id % 4294967296 AS uid, m.mid, m.once, p.modseq, p.created, p.flags, p.keywords, p.gone,
         p.waiting, p.refusal, p.internal_at
       FROM placement p LEFT JOIN message m ON m.id = p.message JOIN folder f ON f.id = p.id / 4294967296
       WHERE p.account = ?1 ORDER BY f.name, uid`,
    ),
    found: count?.n ?? 0,
  };
}

/** Rows of any kind that an account has on a shard, its own one aside. */
export async function leftovers(db: D1Database, account: number): Promise<number> {
  const own = ["identity", "on_arrival", "told", "follow_up"];
  const tables = ["message", "placement", "folder", "journal", "arrival", ...own];
  const counts = tables.map((table) => `(SELECT count(*) FROM ${table} WHERE account = ?1)`);
  const text = "(SELECT count(*) FROM full_text WHERE full_text MATCH 'scope : a' || cast(?1 AS INTEGER))";
  const sum = db.prepare(`SELECT ${[...counts, text].join(" + ")} AS n`).bind(account);
  return (await sum.first<number>("n")) ?? 0;
}

export const movePath = (address: string) =>
  `/api/domains/${address.slice(address.indexOf("@") + 1)}/mailboxes/${address}/move`;

export async function status(address: string) {
  return (await must("GET", movePath(address))) as { phase: string; problem: string | null };
}

/** A record of a move without the first steps that the API takes at once. */
export async function beginMove(address: string, target: number, now = Date.now()): Promise<Where> {
  const where = await find(address);
  await env.DIRECTORY.prepare(
    `INSERT INTO mailbox_move (mailbox, domain, source, target, phase, actor, started_at)
     SELECT id, domain, shard, ?2, 'copying', 'test', ?3 FROM mailbox WHERE id = ?1
     ON CONFLICT (mailbox) DO UPDATE SET source = excluded.source, target = excluded.target, phase = 'copying',
       progress = '{}', attempt = attempt + 1, due_at = 0, lease_until = 0, started_at = excluded.started_at,
       switched_at = NULL, ended_at = NULL, problem = NULL`,
  )
    .bind(where.id, target, now)
    .run();
  return where;
}

/** Runs the mover until the move has ended, each run a minute (or what it waits for) after the one before. */
export async function finish(address: string, from = Date.now(), mover: Env = env as Env): Promise<number> {
  const { id } = await find(address);
  let now = from;
  for (let run = 0; run < 200; run++) {
    await moveMailboxes(mover, () => now, id);
    const row = await env.DIRECTORY.prepare("SELECT ended_at, due_at FROM mailbox_move WHERE mailbox = ?1")
      .bind(id)
      .first<{ ended_at: number | null; due_at: number }>();
    if (row?.ended_at) return now;
    now = Math.max(now + 60_000, row?.due_at ?? 0);
  }
  throw new Error(`the move did not end: ${JSON.stringify(await status(address))}`);
}
