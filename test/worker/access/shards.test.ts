/** Shards as an operator has them, and what goes on where one of them fails or has no tables. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { wakeAll } from "../../../src/worker/failback/wake.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { createOrganisation, letter, must, type Organisation, send } from "../receive/organisation.ts";
import { addUser, asOperator, json, OPERATOR } from "./client.ts";

const DOMAIN = "several.example.org";
let organisation: Organisation;

interface Item {
  readonly subject: string;
}

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
  await chooseNew(1);
  await must("PUT", `/api/domains/${DOMAIN}/mailboxes/second@${DOMAIN}`, {});
  await chooseNew(0);
});

const chooseNew = (shard: unknown) => asOperator("PUT", "/api/shards/new", { shard });
const takesNew = async () =>
  ((await must("GET", "/api/shards")).items as { number: number; takesNew: boolean }[])
    .filter((one) => one.takesNew)
    .map(({ number }) => number);
const shardOf = (address: string) =>
  env.DIRECTORY.prepare("SELECT shard FROM mailbox WHERE address = ?1").bind(address).first<number>("shard");

describe("where new mailboxes go", () => {
  it("is the shard that the operator has chosen, and without a choice the one with the highest number", async () => {
    for (const [choice, shard] of [
      [0, 0],
      [1, 1],
      [0, 0],
      [null, 1],
    ] as const) {
      const answer = await chooseNew(choice);
      expect(answer.status).toBe(200);
      expect(await takesNew()).toEqual([shard]);
      const address = `new-${String(choice)}-${shard}-${Math.random().toString(36).slice(2)}@${DOMAIN}`;
      await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${address}`, {});
      expect(await shardOf(address)).toBe(shard);
    }
    await chooseNew(0);
  });

  it.each([
    ["a shard that is not there", { shard: 7 }, "shard: there is no database bound as SHARD_7"],
    ["a negative number", { shard: -1 }, "shard: "],
    ["more than a binding can be called", { shard: 10_000 }, "shard: "],
    ["half a number", { shard: 0.5 }, "shard: "],
    ["a word", { shard: "1" }, "shard: "],
    ["nothing", {}, "shard: "],
    ["a setting that there is not", { shard: 1, mailbox: "ann" }, "mailbox"],
    ["no object", "[1]", ""],
  ])("is not changed by %s, and the answer says what is wrong", async (_what, body, says) => {
    const answer = await asOperator("PUT", "/api/shards/new", body);
    expect(answer.status).toBe(422);
    expect(String(answer.body.detail)).toContain(says);
    expect(await takesNew()).toEqual([0]);
  });

  it("is for operators to choose", async () => {
    const token = await addUser(`chooser@${DOMAIN}`);
    expect((await json("PUT", "/api/shards/new", { token, body: { shard: 1 } })).status).toBe(403);
    expect((await json("PUT", "/api/shards/new", { body: { shard: 1 } })).status).toBe(401);
    expect(await takesNew()).toEqual([0]);
  });
});

describe("a shard that does not answer", () => {
  const down = new Proxy(env.SHARD_1, {
    get(target, name) {
      if (name === "prepare" || name === "batch")
        return () => {
          throw new Error("secret name of a database");
        };
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const without = { ...({ SHARD_1: down } as Partial<Env>) };
  const search = (query: string) => json("GET", `/api/archive?${query}`, { token: OPERATOR, env: without });

  it("makes a search of its domain a 503 that names it, and no page that looks complete", async () => {
    const { status, body } = await search(`domain=${DOMAIN}`);
    expect(status).toBe(503);
    expect(body).toMatchObject({ code: "shard_unavailable" });
    expect(body.detail).toContain("Shard 1 does not answer");
    expect(JSON.stringify(body)).not.toContain("secret");
    expect((await search(`mailbox=second@${DOMAIN}`)).status).toBe(503);
  });

  it("leaves the search of a mailbox on another shard as it was, a user's own with it", async () => {
    const token = await addUser(`reader@${DOMAIN}`);
    expect((await send([`reader@${DOMAIN}`], letter({ Subject: "Elsewhere" }))).final?.code).toBe(250);
    const found = ({ body }: { body: { items?: unknown } }) => (body.items as Item[]).map(({ subject }) => subject);
    expect(found(await search(`mailbox=reader@${DOMAIN}`))).toEqual(["Elsewhere"]);
    expect(found(await json("GET", "/api/archive", { token, env: without }))).toEqual(["Elsewhere"]);
  });

  it("is told in the list of shards, and to whoever asks for the health of the service", async () => {
    const { body } = await json("GET", "/api/shards", { token: OPERATOR, env: without });
    expect(body.items).toMatchObject([
      { number: 0, state: "ready" },
      { number: 1, state: "no_answer", messages: null },
    ]);
    expect((await json("GET", "/api/health", { env: without })).body).toMatchObject({ failing: ["shard_1"] });
  });
});

describe("a shard whose tables were never made", () => {
  // The directory's database has none of a shard's tables.
  const bound: Env = { ...(env as Env), ...{ SHARD_2: env.DIRECTORY } };
  const operator = (method: string, path: string, body?: unknown) =>
    json(method, path, { token: OPERATOR, env: bound, ...(body === undefined ? {} : { body }) });
  const lost = `lost@${DOMAIN}`;
  const letterTo = async (address: string, subject: string) =>
    (await send([address], letter({ Subject: subject }), { env: bound })).final?.code;
  const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

  beforeEach(() => mode("emergency"));

  it("gets no mailbox, whoever asks for it, and the answer says what is to be done", async () => {
    const says = "shard: SHARD_2 has no tables yet: apply the migrations of migrations/shard to it first";
    expect(await operator("PUT", "/api/shards/new", { shard: 2 })).toMatchObject({
      status: 422,
      body: { detail: says },
    });
    const path = `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}/move`;
    expect(await operator("POST", path, { shard: 2 })).toMatchObject({ status: 422, body: { detail: says } });
    await operator("PUT", "/api/shards/new", { shard: null });
    await operator("PUT", `/api/domains/${DOMAIN}/mailboxes/late@${DOMAIN}`, {});
    expect(await shardOf(`late@${DOMAIN}`)).toBe(1);
    await chooseNew(0);
    expect((await operator("GET", "/api/shards")).body.items).toMatchObject([
      {},
      {},
      { number: 2, state: "no_tables" },
    ]);
    expect((await operator("GET", "/api/health")).body).toMatchObject({ failing: ["shard_2"] });
  });

  it("stands in nobody's way: mail comes, is searched, waits and is given back", async () => {
    expect(await letterTo(`ann@${DOMAIN}`, "Beside it")).toBe(250);
    const { status, body } = await operator("GET", `/api/archive?domain=${DOMAIN}&subject=Beside`);
    expect([status, (body.items as Item[]).map(({ subject }) => subject)]).toEqual([200, ["Beside it"]]);
    await mode("normal");
    await wakeAll(bound);
    await expect
      .poll(async () => (await organisation.origin.messages()).filter(({ accepted }) => accepted).length, {
        timeout: 30_000,
      })
      .toBeGreaterThan(0);
  });

  it("that has mailboxes all the same, as after a loss, loses nothing of theirs and hides nothing", async () => {
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${lost}`, {});
    await env.DIRECTORY.prepare("UPDATE mailbox SET shard = 2 WHERE address = ?1").bind(lost).run();
    await (env.DOMAIN.getByName(DOMAIN) as unknown as { reload(name: string): Promise<void> }).reload(DOMAIN);
    const octets = letter({ Subject: "Comes again" });
    expect((await send([lost], octets, { env: bound })).final?.code).toBe(451);
    expect(await letterTo(`ann@${DOMAIN}`, "Not kept from coming")).toBe(250);
    // What it had is nowhere to be found now: a page without it would look complete.
    for (const query of [`domain=${DOMAIN}`, `mailbox=${lost}`]) {
      expect(await operator("GET", `/api/archive?${query}`)).toMatchObject({
        status: 503,
        body: { code: "shard_unavailable" },
      });
    }
    expect((await operator("GET", `/api/archive?mailbox=ann@${DOMAIN}`)).status).toBe(200);
    // Its tables are made, as those of the first are: the sender's next try is kept.
    const id = await env.DIRECTORY.prepare("SELECT id, domain FROM mailbox WHERE address = ?1")
      .bind(lost)
      .first<{ id: number; domain: number }>();
    const made: Env = { ...bound, ...{ SHARD_2: env.SHARD_1 } };
    await createAccount(env.SHARD_1, id?.id ?? 0, id?.domain ?? 0, Date.now());
    expect((await send([lost], octets, { env: made })).final?.code).toBe(250);
    const found = await json("GET", `/api/archive?mailbox=${lost}`, { token: OPERATOR, env: made });
    expect((found.body.items as Item[]).map(({ subject }) => subject)).toEqual(["Comes again"]);
  });
});
