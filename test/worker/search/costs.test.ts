/** Rows that D1 reads for a search among 60,000 messages: they go with what is found, not with what is stored. */
import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { parseQuery } from "../../../src/core/query/parse.ts";
import { prepare } from "../../../src/core/query/prepare.ts";
import type { Query } from "../../../src/core/query/query.ts";
import type { Env } from "../../../src/worker/env.ts";
import { type SearchScope, searchArchive } from "../../../src/worker/search/archive.ts";
import { type FolderPage, searchFolder } from "../../../src/worker/search/folder.ts";
import { FOLDER_STRIDE } from "../../../src/worker/store/folders.ts";
import { firstNumberOf } from "../../../src/worker/store/numbers.ts";
import { counted } from "../counters.ts";

const STORED = 60_000;
const DAY = 24 * 3600_000;
const NOW = Date.UTC(2026, 10, 24, 12);
/** A minute apart: 60,000 are some forty days. */
const FIRST = NOW - STORED * 60_000;
const ANN: SearchScope = { kind: "account", account: 1, shard: 0 };
const DOMAIN: SearchScope = { kind: "domain", domainId: 1 };
const INBOX = 7;

beforeAll(async () => {
  const db = env.SHARD_0;
  await db.batch([
    db.prepare("INSERT INTO account (id, domain) VALUES (1, 1), (2, 1), (3, 2)"),
    db
      .prepare(
        "INSERT INTO folder (id, account, name, role, uidvalidity) VALUES (?1, 1, 'INBOX', 'inbox', 1), (8, 1, 'Sent', 'sent', 1)",
      )
      .bind(INBOX),
  ]);
  const meta = JSON.stringify({ to: [], cc: [], attachments: [], envelope: { to: "x@example.org" } });
  // A third of them for each account. Word `rareN` occurs once in a thousand, `common` everywhere.
  for (let from = 0; from < STORED; from += 10_000) {
    const numbers = `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${from + 9_999})`;
    await db.batch([
      db
        .prepare(
          `INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta, number)
           ${numbers} SELECT ?1 + i * 60 * 1024, 1 + i % 3, 'm' || i || '@example.net', 'o', i / 30, iif(i % 600 = 0, 'out', 'in'),
             ?2 + i * 60000, iif(i = 3, 9000000, 1000), 'archive/x', 's', 'Subject ' || i, '', ?3, 1 + i FROM n`,
        )
        .bind(firstNumberOf(FIRST), FIRST, meta),
      db
        .prepare(
          `INSERT INTO full_text (rowid, scope, subject, sender, body)
           ${numbers} SELECT ?1 + i * 60 * 1024, 'a' || (1 + i % 3) || ' d' || iif(i % 3 = 2, 2, 1) || iif(i % 600 = 0, ' out', ' in') ||
             iif(i % 900 = 0, ' files', ''), 'Subject ' || i, 'sender' || (i % 1000) || '@example.net', 'common' || iif(i % 1000 = 0, ' rare', '') FROM n`,
        )
        .bind(firstNumberOf(FIRST)),
      db
        .prepare(
          `INSERT INTO placement (id, account, message, modseq, created, flags)
           ${numbers} SELECT ${INBOX * FOLDER_STRIDE} + i, 1, ?1 + i * 60 * 1024, i, i, iif(i % 3000 = 0, 0, 1) FROM n WHERE i % 3 = 0`,
        )
        .bind(firstNumberOf(FIRST)),
    ]);
  }
}, 120_000);

function asked(text: string): Query {
  const typed = parseQuery(text, { now: NOW });
  const query = typed.ok ? prepare(typed.value) : typed;
  if (!query.ok) throw new Error(query.error.message);
  return query.value;
}

async function readFor(act: (env: Env) => Promise<{ readonly items: readonly unknown[] } | null>) {
  const counter = counted(env as Env);
  const page = await act(counter.env);
  return { found: page?.items.length, rowsRead: counter.counts.rowsRead };
}

describe("among 60,000 messages a page of a search", () => {
  it.each<[string, SearchScope, number, number]>([
    // 20,000 are the account's, 40,000 the domain's.
    ["", ANN, 50, 51 * 5],
    ["common", ANN, 50, 51 * 5],
    ["common", DOMAIN, 50, 51 * 11],
    ["rare", ANN, 20, 21 * 4],
    ["rare", DOMAIN, 40, 51 * 11],
    ["rare common -nothing", ANN, 20, 21 * 4],
    ["from:sender999", ANN, 20, 21 * 4],
    ["rare or from:sender999", ANN, 40, 41 * 4],
    ["is:outgoing", ANN, 50, 51 * 5],
    ["has:attachment", ANN, 50, 51 * 5],
    ["rare larger:1k", ANN, 0, 21 * 8],
    ["message-id:m30@example.net", ANN, 1, 12],
    // By halving, some thirty-five steps for each end; then the hour's, with ten minutes more at each end.
    ["since:2026-11-20T10:00:00Z before:2026-11-20T11:00:00Z", ANN, 20, 400],
    // Nothing of that account lies in a folder.
    ["is:unread", { kind: "account", account: 2, shard: 0 }, 0, 10],
    ["in:inbox larger:1M", { kind: "account", account: 2, shard: 0 }, 0, 10],
    ["is:unread common", ANN, 20, 20_000 * 6],
  ])("for %j of %j finds %i and reads no more than %i rows", async (text, scope, found, most) => {
    const read = await readFor((env) => searchArchive(env, scope, asked(text), null, 50));
    expect(read.found).toBe(found);
    expect(read.rowsRead).toBeLessThanOrEqual(most);
  });

  it("of a conversation reads that conversation", async () => {
    const read = await readFor((env) => searchArchive(env, ANN, { kind: "thread", thread: 1000 }, null, 50));
    expect(read.found).toBe(10);
    expect(read.rowsRead).toBeLessThanOrEqual(100);
  });

  it.each<[string, number, number]>([
    ["", 50, 51 * 5],
    ["rare", 20, 21 * 7],
    // Not all 20,000 that have it, but the thousand newest.
    ["common", 50, 1_000 * 9],
    ["is:unread", 20, 20_000 * 5],
    ["is:read", 50, 100 * 7],
    ["is:unread common", 20, 20_000 * 9],
  ])("of a folder for %j finds %i and reads no more than %i rows", async (text, found, most) => {
    const read = await readFor((env) =>
      searchFolder(env.SHARD_0, { account: 1, folder: INBOX }, asked(text), null, 50),
    );
    expect(read.found).toBe(found);
    expect(read.rowsRead).toBeLessThanOrEqual(most);
  });

  it("a week ago is found without reading what came since", async () => {
    const week = new Date(NOW - 7 * DAY).toISOString();
    const read = await readFor((env) => searchArchive(env, ANN, asked(`before:${week}`), null, 50));
    expect(read.found).toBe(50);
    expect(read.rowsRead).toBeLessThanOrEqual(700);
  });

  it("of a folder has what was put there last first, however old it is, and each once over all pages", async () => {
    // The oldest but one is put there again, as a copy.
    const { results } = await env.SHARD_0.prepare(
      `INSERT INTO placement (id, account, message, modseq, created)
       SELECT ${INBOX * FOLDER_STRIDE + 2 * STORED}, account, message, ${2 * STORED}, ${2 * STORED} FROM placement
       WHERE account = 1 ORDER BY id LIMIT 1 OFFSET 1 RETURNING id`,
    ).all<{ id: number }>();
    const found: number[] = [];
    let before: number | null = null;
    do {
      const page: FolderPage = await searchFolder(
        env.SHARD_0,
        { account: 1, folder: INBOX },
        asked("from:sender5 common"),
        before,
        3,
      );
      found.push(...page.items.map(({ id }) => id));
      before = page.before;
    } while (before !== null);
    const common = await searchFolder(env.SHARD_0, { account: 1, folder: INBOX }, asked("common"), null, 2_000);
    const places = await env.SHARD_0.prepare(
      "SELECT id, (id % 4294967296) % 1000 AS sender FROM placement WHERE account = 1 ORDER BY id DESC",
    ).all<{ id: number; sender: number }>();
    const [copy, ...rest] = places.results;
    expect(copy?.id).toBe(results[0]?.id);
    expect(common.items.map(({ id }) => id)).toEqual(places.results.slice(0, 2_000).map(({ id }) => id));
    expect(found).toEqual(rest.filter(({ sender }) => sender === 5).map(({ id }) => id));
  });
});
