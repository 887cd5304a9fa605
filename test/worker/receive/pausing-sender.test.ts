/** A sender that pauses, or whose message takes minutes to arrive, while the origin waits for no one that long. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, beforeEach, expect, it } from "vitest";
import type { Reply } from "../../../src/core/outcome.ts";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import { AT_MX_PORT } from "../../../src/worker/receive/patience.ts";
import { openTransaction } from "../../../src/worker/receive/transaction.ts";
import { createOrganisation, inChunks, letter, type Organisation } from "./organisation.ts";

const DOMAIN = "pausing.example";
const ANN = `ann@${DOMAIN}`;
const BOB = `bob@${DOMAIN}`;
/** Not covered: nothing of hers is stored. */
const DAN = `dan@${DOMAIN}`;
let organisation: Organisation;

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
});
beforeEach(async () => {
  await organisation.origin.set({});
  await organisation.origin.forget();
});

/** The origin hangs up on all that wait. */
async function hangUp(): Promise<void> {
  await organisation.origin.stop();
  await organisation.origin.start();
}

/** @param pauses before the recipient or the message of that number, from 0 on */
async function send(to: readonly string[], pauses: Readonly<Record<number, () => Promise<void>>>, stale = 0) {
  const ctx = createExecutionContext();
  const mail = { from: "somebody@example.net", body: "8BITMIME", smtputf8: false } as const;
  const client = { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTP" };
  const patience = { ...AT_MX_PORT, stale };
  const transaction = openTransaction(env as Env, ctx, client, mail, null, patience);
  const rcpt: Reply[] = [];
  for (const [number, recipient] of to.entries()) {
    await pauses[number]?.();
    rcpt.push(await transaction.recipient(recipient));
  }
  await pauses[to.length]?.();
  const octets = letter();
  const final = await transaction.message({ size: octets.length, chunks: inChunks(octets, 1_000) });
  await waitOnExecutionContext(ctx);
  return { rcpt: rcpt.map(({ code }) => code), final };
}

const taken = async () => (await organisation.origin.messages()).filter(({ accepted }) => accepted);
const waiting = async () =>
  (await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement WHERE waiting > 0").first<number>("n")) ?? 0;
const inDoubt = async () => (await (env.DOMAIN.getByName(DOMAIN) as unknown as DomainRpc).plan("ann"))?.doubt;

it.each([ANN, DAN])("reaches %s all the same when the origin hangs up before the message is there", async (to) => {
  const before = await waiting();
  const { final } = await send([to], { 1: hangUp });
  expect(final.code).toBe(250);
  expect(await taken()).toHaveLength(1);
  expect(await waiting()).toBe(before);
  expect(await inDoubt()).toBe(false);
});

it("reaches all recipients when the origin hangs up between them and once more before the message", async () => {
  expect(await send([ANN, BOB], { 1: hangUp, 2: hangUp })).toMatchObject({ rcpt: [250, 250], final: { code: 250 } });
  const messages = await taken();
  expect(messages.map((message) => message.to)).toEqual([[ANN, BOB]]);
  expect(await inDoubt()).toBe(false);
});

it("hears what the origin says to its only recipient after the pause", async () => {
  const { final } = await send([DAN], {
    1: async () => {
      await hangUp();
      await organisation.origin.set({ steps: { rcpt: "550 5.1.1 gone meanwhile" } });
    },
  });
  expect(final).toEqual({ code: 550, enhanced: "5.1.1", text: "gone meanwhile" });
  expect(await taken()).toEqual([]);
});

it("has its message kept for all where the origin takes only some of them after the pause", async () => {
  const before = await waiting();
  const { final } = await send([ANN, BOB], {
    2: async () => {
      await hangUp();
      await organisation.origin.set({ steps: { rcpt: [null, "550 5.1.1 gone meanwhile"] } });
    },
  });
  expect(final.code).toBe(250);
  expect(await taken()).toEqual([]);
  expect(await waiting()).toBe(before + 2);
  expect(await inDoubt()).toBe(false);
});

it("that does not pause meets an origin that fails: that is evidence", async () => {
  const before = await waiting();
  const fail = async () => {
    await hangUp();
    // The probe that follows would clear the origin of it at once: it does not come to its end.
    await organisation.origin.set({ steps: { rset: { silent: true }, quit: { silent: true } } });
  };
  const { final } = await send([ANN], { 1: fail }, 60_000);
  expect(final.code).toBe(250);
  expect(await taken()).toEqual([]);
  expect(await waiting()).toBe(before + 1);
  expect(await inDoubt()).toBe(true);
});
