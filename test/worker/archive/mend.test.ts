/** An archive copy that lacks its row is mended from the octets that were kept. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { mendArchive } from "../../../src/worker/archive/mend.ts";
import type { DomainRpc } from "../../../src/worker/domain/contract.ts";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator } from "../access/client.ts";
import { down, withCalls } from "../broken.ts";
import { createOrganisation, kept, letter, must, type Organisation, octetsIn, send } from "../receive/organisation.ts";

const DOMAIN = "mend.example";
const HOUR = 3600_000;
let organisation: Organisation;

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
});
beforeEach(async () => {
  // Each test has a first sweep of its own, and no objects of the one before.
  await env.DIRECTORY.prepare("DELETE FROM task").run();
  await env.MAIL.delete((await env.MAIL.list()).objects.map(({ key }) => key));
  await organisation.origin.set({});
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "normal" });
});

const brokenIndex: Env = {
  ...(env as Env),
  SHARD_0: withCalls(env.SHARD_0, { batch: down("D1"), prepare: down("D1") }),
};

const mend = (later: number, of: Env = env as Env) => mendArchive(of, Date.now() + later);
const rows = async (subject: string) => (await kept(DOMAIN)).filter((row) => row.subject === subject);

describe("a message that the origin took while the index was down", () => {
  it("is in the archive of each covered recipient an hour later, in no inbox, and once", async () => {
    const octets = letter({ Subject: "Mended" });
    await send([`Ann+tag@${DOMAIN.toUpperCase()}`, `bob@${DOMAIN}`], octets, { env: brokenIndex });
    expect(await rows("Mended")).toEqual([]);
    expect(await mend(HOUR)).toEqual({ mended: 1, failed: 0 });
    const mended = await rows("Mended");
    expect(mended.map(({ mailbox, inInbox }) => [mailbox, inInbox])).toEqual([
      ["ann", false],
      ["bob", false],
    ]);
    expect(await octetsIn(mended[0]?.key ?? "")).toEqual(octets);
    const { body } = await asOperator("GET", `/api/domains/${DOMAIN}/events`);
    expect((body as { items: { kind: string }[] }).items[0]?.kind).toBe("archive_copy_mended");
    expect(await mend(2 * HOUR)).toEqual({ mended: 0, failed: 0 });
    expect(await rows("Mended")).toHaveLength(2);
  });

  it("is mended the next time where the index is down still", async () => {
    await send([`ann@${DOMAIN}`], letter({ Subject: "Later" }), { env: brokenIndex });
    await expect(mend(HOUR, brokenIndex)).rejects.toThrow("D1 is down");
    expect(await mend(2 * HOUR)).toEqual({ mended: 1, failed: 0 });
    expect(await rows("Later")).toHaveLength(1);
  });
});

it("mail whose sender was told to come again is not taken for archived mail", async () => {
  await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
  const octets = letter({ Subject: "Comes again" });
  expect((await send([`ann@${DOMAIN}`], octets, { env: brokenIndex })).final?.code).toBe(451);
  expect(await mend(HOUR)).toEqual({ mended: 0, failed: 0 });
  expect((await send([`ann@${DOMAIN}`], octets)).final?.code).toBe(250);
  expect((await rows("Comes again")).map(({ inInbox }) => inInbox)).toEqual([true]);
});

it("mail of this hour, that may be under way, is let alone", async () => {
  await send([`ann@${DOMAIN}`], letter({ Subject: "Under way" }), { env: brokenIndex });
  expect(await mend(0)).toEqual({ mended: 0, failed: 0 });
});

describe("a sweep goes on where the last one ended", () => {
  it("however long cron stood still", async () => {
    await mend(0);
    await send([`ann@${DOMAIN}`], letter({ Subject: "Long ago" }), { env: brokenIndex });
    expect(await mend(60 * HOUR)).toEqual({ mended: 1, failed: 0 });
    // Two days at a time, and no hour twice.
    expect(await swept()).toBe(Math.floor(Date.now() / HOUR) + 47);
    await mend(60 * HOUR);
    expect(await swept()).toBe(Math.floor(Date.now() / HOUR) + 59);
  });

  it("and looks at an hour again in which something could not be mended, for a day", async () => {
    await mend(0);
    const before = await swept();
    await send([`ann@${DOMAIN}`], letter({ Subject: "Unreadable" }), { env: brokenIndex });
    const MAIL = withCalls(env.MAIL, { get: down("R2") });
    const unreadable = { ...env, MAIL } as Env;
    expect(await mend(2 * HOUR, unreadable)).toEqual({ mended: 0, failed: 1 });
    expect(await swept()).toBe(before);
    expect(await mend(30 * HOUR, unreadable)).toEqual({ mended: 0, failed: 1 });
    expect(await swept()).toBe((before ?? 0) + 30);
  });
});

describe("where the domain's object did not hear that a copy is missing", () => {
  const deaf = {
    ...brokenIndex,
    DOMAIN: {
      getByName: (name: string) => ({
        plan: (local: string) => (env.DOMAIN.getByName(name) as unknown as DomainRpc).plan(local),
        report: down,
      }),
    },
  } as unknown as Env;

  it("the archive has it all the same, and its sender's next try is delivered", async () => {
    const octets = letter({ Subject: "Nobody knows" });
    await send([`ann@${DOMAIN}`], octets, { env: deaf });
    expect(await mend(HOUR)).toEqual({ mended: 1, failed: 0 });
    expect((await rows("Nobody knows")).map(({ inInbox }) => inInbox)).toEqual([false]);
    const before = (await organisation.origin.messages()).length;
    expect((await send([`ann@${DOMAIN}`], octets)).final?.text).toContain("Accepted as");
    expect((await organisation.origin.messages()).length).toBe(before + 1);
  });

  it("mail that was to go to the portal is not taken for accepted", async () => {
    await must("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
    expect((await send([`ann@${DOMAIN}`], letter({ Subject: "Turned away" }), { env: deaf })).final?.code).toBe(451);
    expect(await mend(HOUR)).toEqual({ mended: 0, failed: 0 });
    expect(await rows("Turned away")).toEqual([]);
  });
});

it("refused mail whose octets could not be deleted is not taken for archived mail", async () => {
  await organisation.origin.set({ steps: { final: "550 5.7.1 spam" } });
  const MAIL = withCalls(env.MAIL, { delete: down("R2") });
  const { final } = await send([`ann@${DOMAIN}`], letter({ Subject: "Refused" }), { env: { ...env, MAIL } as Env });
  expect(final?.code).toBe(550);
  expect(await mend(HOUR)).toEqual({ mended: 0, failed: 0 });
  expect(await rows("Refused")).toEqual([]);
});

it("an address that has changed hands since shows nobody the mail of the one before", async () => {
  await send([`info@${DOMAIN}`], letter({ Subject: "For Ann" }));
  await must("PUT", `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}`, { aliases: [] });
  await must("PUT", `/api/domains/${DOMAIN}/mailboxes/bob@${DOMAIN}`, { aliases: [`info@${DOMAIN}`] });
  expect(await mend(HOUR)).toEqual({ mended: 0, failed: 0 });
  expect((await rows("For Ann")).map(({ mailbox }) => mailbox)).toEqual(["ann"]);
});

/** The last hour that needs no further look, in hours of the era. */
async function swept(): Promise<number | null> {
  const state = await env.DIRECTORY.prepare("SELECT state FROM task WHERE name = 'sweep'").first<string>("state");
  return state === null ? null : (JSON.parse(state) as { hour: number }).hour / HOUR;
}
