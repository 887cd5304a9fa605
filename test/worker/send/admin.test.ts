import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { addCustomer, asOperator, json, OPERATOR } from "../access/client.ts";
import { Clock, createSender, folder, rawOf, type Sender, write } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`admin-${count}.example.org`);
  clock = await Clock.over(sender);
});

const path = (rest = "") => `/api/domains/${sender.domain}/outgoing${rest}`;
const queue = async (query = "") => (await asOperator("GET", `${path()}${query}`)).body;
const items = async () => (await queue()).items as { id: string; recipient: string; attempts: number; reply: string }[];

describe("the queue, for an administrator", () => {
  it("shows who waits, since when and why, in pages over all shards", async () => {
    await sender.smartHost.set({ steps: { rcpt: "450 4.2.0 later" } });
    for (const name of ["a", "b", "c"]) await clock.write({ to: [`${name}@example.net`], subject: name });
    await clock.run();
    const first = await queue("?limit=2");
    expect(first).toMatchObject({ waiting: 3, items: [{ attempts: 1, reply: "450 4.2.0 later" }, {}] });
    const second = await queue(`?limit=2&cursor=${String(first.next)}`);
    const all = [...(first.items as { recipient: string }[]), ...(second.items as { recipient: string }[])];
    expect(all.map(({ recipient }) => recipient).sort()).toEqual(["a@example.net", "b@example.net", "c@example.net"]);
    expect(second.next).toBeNull();
    expect(all[0]).toMatchObject({ writer: `ann@${sender.domain}`, sender: `ann@${sender.domain}`, state: "waiting" });
  });

  it("is tried now where somebody says so, one or all", async () => {
    await sender.smartHost.set({ steps: { rcpt: "450 4.2.0 later" } });
    for (const name of ["a", "b", "c"]) await clock.write({ to: [`${name}@example.net`] });
    await clock.run();
    await sender.smartHost.set({});
    const [one] = await items();
    expect(await asOperator("POST", path(`/${one?.id}/retry`))).toMatchObject({ status: 200, body: { retried: 1 } });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(1);
    expect(await asOperator("POST", path("/retry"))).toMatchObject({ status: 200, body: { retried: 2 } });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(3);
    expect(await queue()).toMatchObject({ items: [], waiting: 0, oldest: null });
  });

  it("gives a message up where somebody takes it out, and its writer hears so", async () => {
    await sender.smartHost.stop();
    const id = await clock.write({ to: ["a@example.net"], subject: "Never mind" });
    const [one] = await items();
    expect((await asOperator("DELETE", path(`/${one?.id}`))).status).toBe(204);
    await sender.smartHost.start();
    await clock.run(3600);
    expect(await sender.smartHost.messages()).toEqual([]);
    expect(await clock.states(id)).toMatchObject([{ state: "cancelled" }]);
    const [report] = await folder(sender.ann, "inbox");
    expect(report).toMatchObject({ subject: "[Not delivered] Never mind" });
    expect(await rawOf(sender.ann, report?.id)).toMatch(/An administrator took it out of the =?\s*queue\./);
    expect(await clock.events("outgoing_cancelled")).toHaveLength(1);
    expect((await asOperator("DELETE", path(`/${one?.id}`))).status).toBe(404);
  });

  it("says nothing to the writer where that is not wanted", async () => {
    await clock.write({ to: ["a@example.net"] });
    const [one] = await items();
    expect((await asOperator("DELETE", path(`/${one?.id}?tell=false`))).status).toBe(204);
    await clock.run(3600);
    expect(await folder(sender.ann, "inbox")).toEqual([]);
    expect(await sender.smartHost.messages()).toEqual([]);
  });

  it("is nobody else's: users, administrators of other customers and other domains see and change nothing", async () => {
    await clock.write({ to: ["a@example.net"] });
    const [one] = await items();
    const other = await createSender(`other-${count}.example.org`);
    const stranger = await addCustomer(700 + count, other.domain);
    const calls: [string, string][] = [
      ["GET", path()],
      ["POST", path("/retry")],
      ["POST", path(`/${one?.id}/retry`)],
      ["DELETE", path(`/${one?.id}`)],
      ["GET", path("/stops")],
      ["PUT", path(`/stops/ann@${sender.domain}`)],
      ["DELETE", path(`/stops/ann@${sender.domain}`)],
      ["GET", `/api/domains/${sender.domain}/dkim`],
      ["POST", `/api/domains/${sender.domain}/dkim`],
    ];
    for (const [method, route] of calls) {
      expect([(await json(method, route, { token: stranger })).status, route]).toEqual([404, route]);
      expect([(await json(method, route, { token: sender.ann })).status, route]).toEqual([403, route]);
      expect([(await json(method, route)).status, route]).toEqual([401, route]);
    }
    // By way of the stranger's own domain.
    const theirs = `/api/domains/${other.domain}/outgoing/${one?.id}`;
    expect((await json("DELETE", theirs, { token: stranger })).status).toBe(404);
    expect((await json("POST", `${theirs}/retry`, { token: stranger })).status).toBe(404);
    expect(await items()).toHaveLength(1);
  });
});

describe("who sends too much", () => {
  const limit = (limits: object) => asOperator("PUT", `/api/domains/${sender.domain}`, { outgoing: { limits } });

  it("is stopped: nothing more is taken or sent until an administrator lets them, and an event says so", async () => {
    await limit({ userHour: 3 });
    await sender.smartHost.set({ steps: { rcpt: "450 4.2.0 later" } });
    for (const name of ["a", "b", "c"]) await clock.write({ to: [`${name}@example.net`] });
    await clock.run();
    await sender.smartHost.set({});
    expect(await write(sender.ann, { to: ["d@example.net"] })).toMatchObject({
      status: 403,
      body: { code: "stopped" },
    });
    expect((await write(sender.bob, { to: ["b@example.net"] })).status).toBe(201);
    await clock.run(3600);
    expect((await sender.smartHost.messages()).map(({ from }) => from)).toEqual([`bob@${sender.domain}`]);
    expect(await clock.events("sending_stopped")).toMatchObject([{ data: { who: `ann@${sender.domain}` } }]);
    const stops = (await asOperator("GET", path("/stops"))).body.items;
    expect(stops).toMatchObject([
      { mailbox: `ann@${sender.domain}`, actor: "system", why: "more than 3 recipients within an hour" },
    ]);

    expect((await asOperator("DELETE", path(`/stops/ann@${sender.domain}`))).status).toBe(204);
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(4);
    expect((await write(sender.ann, { to: ["d@example.net"] })).status).toBe(201);
    expect((await asOperator("GET", path("/stops"))).body.items).toEqual([]);
    expect((await asOperator("DELETE", path(`/stops/ann@${sender.domain}`))).status).toBe(404);
  });

  it("may send again after an hour has passed, where the limit was only neared", async () => {
    await limit({ userHour: 2 });
    await clock.write({ to: ["a@example.net", "b@example.net"] });
    await clock.run(2 * 3600);
    await clock.write({ to: ["c@example.net", "d@example.net"] });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(2);
  });

  it("is nobody whose program comes again while the message cannot be stored", async () => {
    await limit({ userHour: 3, domainHour: 3 });
    const put = async () => Promise.reject(new Error("R2 is down"));
    const MAIL = new Proxy(env.MAIL, { get: (bucket, name) => (name === "put" ? put : Reflect.get(bucket, name)) });
    const failing = { ...env, MAIL } as Env;
    for (let tries = 0; tries < 5; tries++) {
      await expect(clock.write({ to: ["a@example.net", "b@example.net"] }, null, failing)).rejects.toThrow("try again");
    }
    await clock.write({ to: ["a@example.net", "b@example.net"] });
    // What was taken counts.
    await expect(clock.write({ to: ["c@example.net", "d@example.net"] })).rejects.toThrow("more than 3 recipients");
    expect(await clock.events("sending_stopped")).toHaveLength(1);
  });

  it("is stopped by a day's limit too", async () => {
    await limit({ userDay: 3 });
    for (const name of ["a", "b", "c"]) {
      await clock.write({ to: [`${name}@example.net`] });
      await clock.run(2 * 3600);
    }
    await expect(clock.write({ to: ["d@example.net"] })).rejects.toThrow("more than 3 recipients within a day");
  });

  it("as a whole domain is asked to wait, and nobody is stopped", async () => {
    await limit({ domainHour: 2 });
    await clock.write({ to: ["a@example.net", "b@example.net"] });
    expect(await write(sender.bob, { to: ["c@example.net"] })).toMatchObject({ status: 429, body: { code: "rate" } });
    expect(await write(sender.bob, { to: ["c@example.net"] })).toMatchObject({ status: 429 });
    expect(await clock.events("sending_limited")).toHaveLength(1);
    await clock.run(2 * 3600);
    expect((await write(sender.bob, { to: ["c@example.net"] })).status).toBe(201);
  });

  it("can be stopped by an administrator who has seen enough", async () => {
    await clock.write({ to: ["a@example.net"] });
    expect((await asOperator("PUT", path(`/stops/ann@${sender.domain}`))).status).toBe(204);
    await clock.run(3600);
    expect(await sender.smartHost.messages()).toEqual([]);
    expect((await write(sender.ann, { to: ["d@example.net"] })).status).toBe(403);
  });

  it("what was stopped and never released is given back after three days", async () => {
    const id = await clock.write({ to: ["a@example.net"] });
    await asOperator("PUT", path(`/stops/ann@${sender.domain}`));
    await clock.run(3 * 24 * 3600 + 3600);
    expect(await clock.states(id)).toMatchObject([{ state: "expired" }]);
  });

  it("limits are the operator's", async () => {
    const admin = await addCustomer(800 + count, sender.domain);
    const answer = await json("PUT", `/api/domains/${sender.domain}`, {
      token: admin,
      body: { outgoing: { limits: { userHour: 9 } } },
    });
    expect(answer).toMatchObject({ status: 403 });
  });
});

describe("the way out of a domain", () => {
  const put = (outgoing: object, token = OPERATOR) =>
    json("PUT", `/api/domains/${sender.domain}`, { token, body: { outgoing } });

  it.each([
    [{ transport: "smarthost", host: "mail.example.net", port: 25 }, "outgoing.port"],
    [{ transport: "smarthost", host: "not a host" }, "outgoing.host"],
    [{ transport: "cloudflare", host: "mail.example.net" }, "outgoing.host"],
    [{ transport: "gateway", host: "mail.example.net" }, "outgoing.host"],
    [{ transport: "smarthost", host: "mail.example.net", password: "x" }, "outgoing.username"],
    [{ transport: "smarthost", host: "mail.example.net", username: "x" }, "outgoing.password"],
    [{ transport: "pigeon" }, "outgoing.transport"],
    [{ limits: { userHour: -1 } }, "outgoing.limits.userHour"],
  ])("%j is refused", async (outgoing, field) => {
    const { status, body } = await put(outgoing);
    expect([status, (body.errors as { field: string }[])[0]?.field]).toEqual([422, field]);
  });

  it("keeps its password to itself, and forgets it where the server changes", async () => {
    const { body } = await put({
      transport: "smarthost",
      host: "mail.example.net",
      username: "u",
      password: "secret word",
    });
    expect(body.outgoing).toMatchObject({
      host: "mail.example.net",
      port: 465,
      tls: "implicit",
      username: "u",
      passwordSet: true,
    });
    expect(JSON.stringify(body)).not.toContain("secret word");
    const events = await asOperator("GET", `/api/domains/${sender.domain}/events`);
    expect(JSON.stringify(events.body)).not.toContain("secret word");
    expect((await put({ host: "mail.example.net", port: 587 })).body.outgoing).toMatchObject({
      passwordSet: true,
      tls: "starttls",
    });
    expect(await put({ host: "evil.example.net", username: "u" })).toMatchObject({ status: 422 });
  });

  it("a private address is the operator's to set", async () => {
    const admin = await addCustomer(900 + count, sender.domain);
    expect(await put({ host: "10.0.0.1" }, admin)).toMatchObject({
      status: 422,
      body: { errors: [{ field: "outgoing.host" }] },
    });
  });

  it("logs in at the smart host with the password that it was given", async () => {
    await sender.smartHost.set({ user: { name: "relay", password: "pass word" } });
    await put({ username: "relay", password: "pass word" });
    await clock.write({ to: ["a@example.net"] });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(1);
  });

  it("without one, mail to others is refused at once, and mail to colleagues goes", async () => {
    expect((await put({ transport: "none" })).body.outgoing).toMatchObject({ transport: "none" });
    expect(await write(sender.ann, { to: ["a@example.net"] })).toMatchObject({
      status: 409,
      body: { code: "no_way_out" },
    });
    expect((await write(sender.ann, { to: [`bob@${sender.domain}`] })).status).toBe(201);
    await clock.run();
    expect(await folder(sender.bob, "inbox")).toHaveLength(1);
  });

  it("may change while mail waits: it goes out the new way", async () => {
    await sender.smartHost.stop();
    await clock.write({ to: ["a@example.net"] });
    await clock.run();
    await put({ port: sender.origin.port, tls: "none" });
    await clock.run(60);
    expect(await sender.origin.messages()).toHaveLength(1);
  });
});
