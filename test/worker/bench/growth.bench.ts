/**
 * How receiving and redelivering grow with what is stored: the mail's real way, over a shard that was filled with rows of the
 * same shape. Run by `npm run bench -- --only growth`; each result is a line `BENCH {…}`.
 */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { type Counts, counted } from "../counters.ts";
import { createOrganisation, letter, must, send } from "../receive/organisation.ts";

const DOMAIN = "growth.example";
/** Received and redelivered at each size. */
const MEASURED = 500;
/** Real messages that the others are copies of. */
const TEMPLATES = 100;
/** Rows a statement: D1 gives each 30 s. */
const CHUNK = 5_000;
const WORDS = "invoice meeting schedule contract delivery garden ledger harbour winter summer letter office".split(" ");

const stored = () => env.SHARD_0.prepare("SELECT count(*) AS n FROM message").first<number>("n");
const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

function text(): string {
  return Array.from({ length: 120 }, () => WORDS[Math.floor(Math.random() * WORDS.length)]).join(" ");
}

const mail = () => letter({ Subject: text().slice(0, 60) }, `${text()}\r\n`);

/** Copies with identifiers, times and texts of their own; a third of them has been in the portal and given back. */
async function fill(to: number): Promise<void> {
  for (let left = to - ((await stored()) ?? 0); left > 0; left -= CHUNK) {
    const rows = Math.min(left, CHUNK);
    const from = `FROM generate g JOIN message m ON m.id = 1 + g.n % ${TEMPLATES}`;
    const generate = `WITH RECURSIVE generate(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM generate WHERE n + 1 < ${rows})`;
    const last = (await env.SHARD_0.prepare("SELECT max(id) AS id FROM message").first<number>("id")) ?? 0;
    const seq = (await env.SHARD_0.prepare("SELECT max(seq) AS seq FROM account").first<number>("seq")) ?? 0;
    await env.SHARD_0.batch([
      env.SHARD_0.prepare(
        `${generate} INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta,
           structure)
         SELECT ${last} + 1 + g.n, m.account, 'copy-' || (${last} + g.n) || '@example.net', hex(randomblob(16)),
           abs(random() % 9007199254740991), m.direction, m.at - g.n, m.size, m.key, m.sender, m.subject, m.preview, m.meta,
           m.structure ${from}`,
      ),
      env.SHARD_0.prepare(
        `INSERT INTO full_text (rowid, scope, subject, sender, body) SELECT id, 'a' || account || ' d1 in t' || account || 'x' || lower(hex(randomblob(10))), subject, sender,
           preview || ' ' || hex(randomblob(8)) FROM message WHERE id > ${last}`,
      ),
      env.SHARD_0.prepare(
        `INSERT INTO placement (id, account, message, modseq, created, gone)
         SELECT f.id * 4294967296 + ${seq} + m.id - ${last}, m.account, m.id, ${seq} + m.id - ${last}, ${seq} + m.id - ${last},
           ${seq} + m.id - ${last} FROM message m JOIN folder f ON f.account = m.account AND f.role = 'inbox'
         WHERE m.id > ${last} AND m.id % 3 = 0`,
      ),
      env.SHARD_0.prepare(`UPDATE account SET seq = max(seq, ${seq + rows})`),
    ]);
  }
}

/** Counts what the whole Worker, its objects included, does with the shard. */
async function counting(act: () => Promise<void>): Promise<{ readonly counts: Counts; readonly milliseconds: number }> {
  const db = env.SHARD_0;
  const real = { prepare: db.prepare.bind(db), batch: db.batch.bind(db) } as unknown as D1Database;
  const counter = counted({ ...(env as Env), SHARD_0: real });
  const { prepare, batch } = counter.env.SHARD_0;
  Object.defineProperty(db, "prepare", { configurable: true, value: prepare });
  Object.defineProperty(db, "batch", { configurable: true, value: batch });
  const began = Date.now();
  try {
    await act();
    return { counts: counter.counts, milliseconds: Date.now() - began };
  } finally {
    Reflect.deleteProperty(db, "prepare");
    Reflect.deleteProperty(db, "batch");
  }
}

function tell(what: string, size: number, { counts, milliseconds }: Awaited<ReturnType<typeof counting>>): void {
  const figures = {
    bench: "growth",
    what,
    stored: size,
    messages: MEASURED,
    perSecond: Number(((MEASURED * 1000) / milliseconds).toFixed(1)),
    rowsReadPerMessage: Number((counts.rowsRead / MEASURED).toFixed(2)),
    rowsWrittenPerMessage: Number((counts.rowsWritten / MEASURED).toFixed(2)),
  };
  console.log(`BENCH ${JSON.stringify(figures)}`);
}

const waiting = async () => {
  const { backlog } = (await must("GET", `/api/domains/${DOMAIN}`)) as { backlog: { waiting: number } };
  return backlog.waiting;
};

it("receiving and redelivering do not grow with what is stored", async () => {
  await createOrganisation(DOMAIN);
  await mode("emergency");
  for (let n = 0; n < TEMPLATES; n++) await send([`ann@${DOMAIN}`], mail());
  await mode("normal");
  await expect.poll(waiting, { timeout: 60_000, interval: 100 }).toBe(0);
  for (const size of String(env.GROWTH_SIZES).split(",").map(Number)) {
    await fill(size);
    await mode("emergency");
    const received = await counting(async () => {
      for (let n = 0; n < MEASURED; n++) {
        const { final } = await send([`ann@${DOMAIN}`], mail());
        expect(final?.code).toBe(250);
      }
    });
    tell("received", size, received);
    const redelivered = await counting(async () => {
      await mode("normal");
      const left = () => env.SHARD_0.prepare("SELECT 1 FROM placement WHERE waiting > 0 LIMIT 1").first();
      await expect.poll(left, { timeout: 300_000, interval: 50 }).toBeNull();
    });
    tell("redelivered", size, redelivered);
  }
});
