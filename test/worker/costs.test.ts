/** What a message costs, counted at the bindings for each row of the table: the figures are those of the benchmark's list. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { FAILBACK, type Operations, PURGE_ROWS, ROWS } from "../../bench/costs/operations.ts";
import { hourly } from "../../src/worker/archive/retention.ts";
import type { Env } from "../../src/worker/env.ts";
import { removeDelivered } from "../../src/worker/store/backlog.ts";
import { type Counts, counted } from "./counters.ts";
import { createOrganisation, letter, must, type Organisation, send } from "./receive/organisation.ts";

let organisation: Organisation;
const DOMAIN = "costs.example";
const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
  // The accounts' first messages are like all later ones only when inbox and object are awake.
  for (const local of ["ann", "dan", "stranger"]) await send([`${local}@${DOMAIN}`], letter());
});
beforeEach(async () => {
  await organisation.origin.set({});
  await mode("normal");
});

async function costOf(local: string, octets: Uint8Array = letter()): Promise<Counts & { code: number | undefined }> {
  const counter = counted(env as Env);
  const { rcpt, final } = await send([`${local}@${DOMAIN}`], octets, { env: counter.env });
  return { ...counter.counts, code: (final ?? rcpt[0])?.code };
}

const costing = (code: number, { operations }: { readonly operations: Operations }) => ({ code, ...operations });

it("normal, covered, origin says 250: 1 R2 class A operation, 5 rows written, 1 Durable Object request", async () => {
  expect(await costOf("ann")).toMatchObject(costing(250, ROWS.normal));
});

it("normal, not covered: nothing stored, 1 Durable Object request", async () => {
  expect(await costOf("dan")).toMatchObject(costing(250, ROWS.uncovered));
});

it("normal, covered, over the message's life: 7 rows written with its purge", async () => {
  const octets = letter({ Subject: "A whole life" });
  const arrival = await costOf("ann", octets);
  const { results } = await env.SHARD_0.prepare("SELECT id FROM message WHERE subject = 'A whole life'").all<{
    id: number;
  }>();
  // The oldest of all, and not the newest.
  await send([`ann@${DOMAIN}`], letter());
  const long = 91 * 24 * 3600_000;
  await env.SHARD_0.prepare("UPDATE message SET at = at - ?1 WHERE id <= ?2").bind(long, results[0]?.id).run();
  const before = await env.SHARD_0.prepare("SELECT count(*) AS n FROM message").first<number>("n");
  const counter = counted(env as Env);
  // Not in the hour of the whole pass, which has other work too.
  const day = 24 * 3600_000;
  const awake = Math.floor(Date.now() / day) * day + 12 * 3600_000;
  const { purged } = await hourly(counter.env, awake);
  const after = await env.SHARD_0.prepare("SELECT count(*) AS n FROM message").first<number>("n");
  expect((before ?? 0) - (after ?? 0)).toBe(purged);
  expect(purged).toBeGreaterThan(0);
  expect(arrival.rowsWritten + counter.counts.rowsWritten / purged).toBeLessThanOrEqual(
    ROWS.normal.operations.rowsWritten + PURGE_ROWS,
  );
});

it("normal, covered, origin says 5xx to RCPT: nothing stored, 1 Durable Object request", async () => {
  await organisation.origin.set({ steps: { rcpt: "550 5.1.1 no" } });
  expect(await costOf("ann")).toMatchObject(costing(550, ROWS.normalRefusedAtRcpt));
});

it("normal, covered, origin says 5xx to the final dot: 1 R2 class A operation, no row", async () => {
  await organisation.origin.set({ steps: { final: "554 5.7.1 no" } });
  expect(await costOf("ann")).toMatchObject(costing(554, ROWS.normalRefused));
});

it("normal, covered, origin unavailable: 1 R2 class A operation, 12 rows written, 3 Durable Object requests", async () => {
  await organisation.origin.set({ steps: { rcpt: "451 4.7.1 later" } });
  // The plan, the evidence at once, and that something waits.
  expect(await costOf("ann")).toMatchObject(costing(250, ROWS.normalUnavailable));
});

it("normal, not covered, origin says 5xx: nothing stored, 1 Durable Object request", async () => {
  await organisation.origin.set({ steps: { rcpt: "550 5.1.1 no" } });
  expect(await costOf("stranger")).toMatchObject(costing(550, ROWS.uncovered));
});

it("normal, not covered, origin unavailable: nothing stored, 2 Durable Object requests", async () => {
  await organisation.origin.set({ steps: { rcpt: "451 4.7.1 later" } });
  expect(await costOf("dan")).toMatchObject(costing(451, ROWS.uncoveredUnavailable));
});

it("emergency, covered: 1 R2 class A operation, 12 rows written, 1 Durable Object request; 4 rows at failback", async () => {
  await mode("emergency");
  const octets = letter({ Subject: "To be given back" });
  expect(await costOf("ann", octets)).toMatchObject(costing(250, ROWS.emergency));
  const placement = await env.SHARD_0.prepare(
    "SELECT p.id FROM placement p JOIN message m ON m.id = p.message WHERE m.subject = 'To be given back'",
  ).first<number>("id");
  const counter = counted(env as Env);
  await removeDelivered(counter.env.SHARD_0, [placement ?? 0]);
  expect(counter.counts.rowsWritten).toBe(FAILBACK.rowsWritten);
});

it("emergency, for somebody who is away: two rows and a call more, none for a repeat", async () => {
  await mode("emergency");
  const ann = await env.DIRECTORY.prepare("SELECT id FROM mailbox WHERE address = ?1")
    .bind(`ann@${DOMAIN}`)
    .first("id");
  await env.SHARD_0.prepare("INSERT INTO on_arrival (account, answers, text) VALUES (?1, 1, 'Away')").bind(ann).run();
  const { rowsWritten, objectRequests, ...others } = ROWS.emergency.operations;
  const octets = letter();
  const away = { ...others, rowsWritten: rowsWritten + 2, objectRequests: objectRequests + 1 };
  expect(await costOf("ann", octets)).toMatchObject(costing(250, { operations: away }));
  expect(await costOf("ann", octets)).toMatchObject(costing(250, ROWS.repeat));
  // Nothing is ever done because of a report.
  const counter = counted(env as Env);
  await send([`ann@${DOMAIN}`], letter(), { from: "", env: counter.env });
  expect(counter.counts).toMatchObject(ROWS.emergency.operations);
  await env.SHARD_0.prepare("DELETE FROM on_arrival").run();
});

it("emergency, a repeat: no row written", async () => {
  await mode("emergency");
  const octets = letter();
  await send([`ann@${DOMAIN}`], octets);
  expect(await costOf("ann", octets)).toMatchObject(costing(250, ROWS.repeat));
});

it("emergency, not covered or unknown: nothing stored, 1 Durable Object request", async () => {
  await mode("emergency");
  expect(await costOf("dan")).toMatchObject(costing(451, ROWS.emergencyUncovered));
  expect(await costOf("stranger")).toMatchObject(costing(550, ROWS.emergencyUncovered));
});
