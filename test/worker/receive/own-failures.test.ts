/** When a part of our own fails: never lost, never permanently rejected, never less available than the origin. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator } from "../access/client.ts";
import { down, fails, withCalls } from "../broken.ts";
import { createOrganisation, kept, letter, must, type Organisation, send } from "./organisation.ts";

let organisation: Organisation;
const DOMAIN = "faults.example";
const ANN = `ann@${DOMAIN}`;
const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
const taken = async () => (await organisation.origin.messages()).filter((message) => message.accepted).length;

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
});
beforeEach(async () => {
  await organisation.origin.set({});
  await mode("normal");
});

const withBroken = (broken: Partial<Env>): Env => ({ ...(env as Env), ...broken });
const brokenStore = withBroken({ MAIL: withCalls(env.MAIL, { put: fails("R2") }) });
const brokenIndex = withBroken({
  SHARD_0: withCalls(env.SHARD_0, {
    batch: fails("D1"),
    prepare: down("D1"),
  }),
});
const brokenObject = withBroken({
  DOMAIN: withCalls(env.DOMAIN, {
    getByName: down("the object"),
    get: down("the object"),
  }),
});
const brokenDirectory = withBroken({
  DIRECTORY: withCalls(env.DIRECTORY, {
    prepare: down("D1"),
    batch: fails("D1"),
  }),
});

describe("never less available than the origin: in normal mode a message that the origin takes is accepted", () => {
  it.each([
    ["R2 fails", brokenStore, "octets"],
    ["the index fails", brokenIndex, "row"],
  ])("although %s; the missing archive copy becomes an event", async (_what, broken, missing) => {
    const before = await taken();
    expect((await send([ANN], letter(), { env: broken })).final?.code).toBe(250);
    expect((await taken()) - before).toBe(1);
    const { body } = await asOperator("GET", `/api/domains/${DOMAIN}/events`);
    const [event] = (body as { items: { kind: string; data: { missing: string } }[] }).items;
    expect(event).toMatchObject({ kind: "archive_copy_missing", data: { missing } });
  });

  it.each([
    ["the domain's object fails", brokenObject],
    ["the directory fails", brokenDirectory],
  ])("although %s", async (_what, broken) => {
    const before = await taken();
    expect((await send([ANN], letter({ Subject: "Still archived" }), { env: broken })).final?.code).toBe(250);
    expect((await taken()) - before).toBe(1);
    expect((await kept(DOMAIN)).at(-1)).toMatchObject({ subject: "Still archived", inInbox: false });
  });
});

describe("store before you accept: what should go to the portal and cannot be stored is a temporary failure", () => {
  it.each([
    ["R2", brokenStore],
    ["the index", brokenIndex],
  ])("when %s fails", async (_what, broken) => {
    await mode("emergency");
    const rows = (await kept(DOMAIN)).length;
    expect((await send([ANN], letter(), { env: broken })).final).toMatchObject({ code: 451, enhanced: "4.3.0" });
    expect(await kept(DOMAIN)).toHaveLength(rows);
  });

  it("and the sender's next try is kept once", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Next try" });
    await send([ANN], octets, { env: brokenIndex });
    expect((await send([ANN], octets)).final?.code).toBe(250);
    expect((await kept(DOMAIN)).filter((row) => row.subject === "Next try")).toHaveLength(1);
  });
});

describe("the plan", () => {
  it("is made by D1 where the domain's object does not answer: emergency mode holds", async () => {
    await mode("emergency");
    const before = await taken();
    expect((await send([ANN], letter({ Subject: "Planned by D1" }), { env: brokenObject })).final?.code).toBe(250);
    expect(await taken()).toBe(before);
    expect((await kept(DOMAIN)).at(-1)).toMatchObject({ subject: "Planned by D1", inInbox: true });
    expect((await send([`stranger@${DOMAIN}`], letter(), { env: brokenObject })).rcpt[0]?.code).toBe(550);
  });

  it("is a temporary failure without either", async () => {
    const neither = { ...brokenObject, DIRECTORY: brokenDirectory.DIRECTORY };
    expect((await send([ANN], letter(), { env: neither })).rcpt[0]).toMatchObject({ code: 451, enhanced: "4.3.0" });
  });
});
