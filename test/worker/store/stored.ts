/** Accounts with mail in them, for tests of the tables. */
import { env } from "cloudflare:test";
import { NOTHING } from "../../../src/worker/archive/extract.ts";
import { type IndexEntry, indexMessage } from "../../../src/worker/archive/index.ts";
import type { Extracted } from "../../../src/worker/archive/meta.ts";
import { newKey } from "../../../src/worker/archive/raw.ts";
import {
  type Flagged,
  type FlagsChange,
  movePlacements,
  removePlacements,
  setFlags,
} from "../../../src/worker/store/placement-changes.ts";

export const NOON = Date.UTC(2026, 10, 24, 12);

let count = 0;

/** A message that nobody has had before, unless `mid` and `once` say so. */
export function entryOf(
  account: number,
  facts: Partial<Omit<IndexEntry, "account" | "extracted" | "envelope">> & {
    readonly extracted?: Partial<Extracted>;
    readonly to?: string;
  } = {},
): IndexEntry {
  const { extracted, to = "ann@example.org", at = NOON, ...rest } = facts;
  const { key, id } = newKey(at);
  count += 1;
  const client = { ip: "192.0.2.1", helo: "mx.example.net", protocol: "ESMTPS" };
  const mid = facts.mid ?? `m${count}@example.net`;
  return {
    account,
    domain: 1,
    direction: "in",
    key,
    size: 100,
    at,
    mid,
    once: `once-${count}`,
    receipt: { id, at, host: "mx.holdfast.test", client },
    ...rest,
    extracted: { ...NOTHING, messageId: mid, ...extracted },
    envelope: { from: "sender@example.net", to, body: "8BITMIME", smtputf8: false },
  };
}

/** @returns the placements, in the order of the entries */
export async function arrive(...entries: readonly IndexEntry[]): Promise<number[]> {
  await indexMessage(env.SHARD_0, entries, { portal: "waiting" });
  const placements: number[] = [];
  for (const { account, mid, once } of entries) {
    const id = await env.SHARD_0.prepare(
      `SELECT p.id FROM placement p JOIN message m ON m.id = p.message
       WHERE m.account = ?1 AND m.mid = ?2 AND m.once = ?3 ORDER BY p.id DESC`,
    )
      .bind(account, mid, once)
      .first<number>("id");
    placements.push(id ?? 0);
  }
  return placements;
}

export interface StoredPlacement {
  readonly id: number;
  readonly modseq: number;
  readonly flags: number;
  readonly gone: number | null;
  readonly waiting: number | null;
  readonly refusal: string | null;
}

export async function placement(id: number): Promise<StoredPlacement | null> {
  return env.SHARD_0.prepare("SELECT id, modseq, flags, gone, waiting, refusal FROM placement WHERE id = ?1")
    .bind(id)
    .first<StoredPlacement>();
}

export async function seqOf(account: number): Promise<number | null> {
  return env.SHARD_0.prepare("SELECT seq FROM account WHERE id = ?1").bind(account).first<number>("seq");
}

export async function folderOf(account: number, role: string): Promise<number> {
  const id = await env.SHARD_0.prepare("SELECT id FROM folder WHERE account = ?1 AND role = ?2")
    .bind(account, role)
    .first<number>("id");
  if (id === null) throw new Error(`account ${account} has no folder ${role}`);
  return id;
}

/** What a person may have taken out of a folder: redelivery has let go of it. */
const freely = (account: number, id: number) => ({ account, ids: [id], released: [id] });

/** @returns the new placement; null where it was not moved */
export async function movePlacement(
  db: D1Database,
  account: number,
  id: number,
  folder: number,
): Promise<number | null> {
  const { value } = await movePlacements(db, freely(account, id), folder);
  return value[0]?.to ?? null;
}

export async function removePlacement(db: D1Database, account: number, id: number): Promise<void> {
  await removePlacements(db, freely(account, id), { marked: false });
}

export async function markPlacements(
  db: D1Database,
  account: number,
  ids: readonly number[],
  change: FlagsChange,
): Promise<Flagged[]> {
  return (await setFlags(db, { account, ids, released: ids }, change)).value;
}
