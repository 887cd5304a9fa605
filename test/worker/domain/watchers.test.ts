import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  MAX_WATCHED_BY_NAME,
  MAX_WATCHERS_PER_ACCOUNT,
  WATCH_PAGE,
  WATCH_SETTLE,
  WATCH_SILENCE,
} from "../../../src/core/protocol/push/limits.ts";
import type { AccountChange, Report } from "../../../src/worker/domain/contract.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { createOrigin } from "../origin-control.ts";
import { TestWatcher } from "../push/watcher.ts";
import { TestDomain } from "./fixture.ts";

const open: TestWatcher[] = [];

afterEach(() => {
  vi.restoreAllMocks();
  for (const watcher of open.splice(0)) if (!watcher.closed) watcher.close();
});

const ask = (domain: TestDomain, path: string) =>
  domain.object.fetch(`https://domain.invalid/${path}`, { headers: { upgrade: "websocket" } });

async function watch(domain: TestDomain, path: string): Promise<TestWatcher> {
  const watcher = new TestWatcher(await ask(domain, path));
  open.push(watcher);
  expect((await watcher.take(1))[0]).toEqual({ op: "hello" });
  return watcher;
}

/** One that knows the state its mailbox is in, so that it hears only what comes. */
const settled = (domain: TestDomain, account: number) => watch(domain, `account/${account}?since=0`);

const report = (domain: TestDomain, ...reports: Report[]) => domain.rpc.report(reports);
const changed = (domain: TestDomain, ...changes: AccountChange[]) => report(domain, { kind: "changed", changes });
const step = (account: number) =>
  env.SHARD_0.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(account).run();

/** Waits for everything that is under way to the watchers. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 50));

/** No mail was planned of late that would make the object look at a new watcher's mailbox once more. */
const LONG_AGO = { pause: () => Promise.resolve(), stamp: () => Date.now() + WATCH_SETTLE + 1000 };

async function domainWith(...locals: string[]): Promise<{ domain: TestDomain; accounts: number[] }> {
  const domain = await TestDomain.create();
  const accounts: number[] = [];
  for (const local of locals) accounts.push(await domain.mailbox(local));
  await domain.start(LONG_AGO);
  return { domain, accounts };
}

describe("a watcher of a mailbox", () => {
  it("hears the mailbox's state at once, unless it knows it", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    await step(ada);
    const stranger = await watch(domain, `account/${ada}`);
    expect(await stranger.take(1)).toEqual([{ op: "changed", account: ada, seq: 1 }]);
    const acquaintance = await watch(domain, `account/${ada}?since=1`);
    await quiet();
    expect(acquaintance.frames).toEqual([]);
  });

  it("hears each change of its mailbox, and of no other", async () => {
    const { domain, accounts } = await domainWith("ada", "bob");
    const [ada = 0, bob = 0] = accounts;
    const [first, second, other] = [
      await settled(domain, ada),
      await settled(domain, ada),
      await settled(domain, bob),
    ] as const;
    await changed(domain, { account: ada, seq: 4 });
    for (const watcher of [first, second]) {
      expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 4 }]);
    }
    expect(other.frames).toEqual([]);
  });

  it("hears the state as D1 has it where whoever changed the mailbox did not say", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const watcher = await settled(domain, ada);
    await step(ada);
    await step(ada);
    await changed(domain, { account: ada });
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 2 }]);
  });

  it("hears that nobody knows where D1 does not answer, and looks for itself", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const prepare = vi.spyOn(env.SHARD_0, "prepare").mockImplementation(() => {
      throw new Error("D1 is away");
    });
    const watcher = await watch(domain, `account/${ada}?since=0`);
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: null }]);
    prepare.mockRestore();
  });

  it("hears it once more where whoever changed the mailbox had no answer: it may be done later", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const over = Promise.withResolvers<void>();
    const pause = vi.fn((_milliseconds: number) => over.promise);
    const watcher = await settled(domain, ada);
    await runInDurableObject(domain.object, (object: DomainObject) => {
      object.world = { ...object.world, pause };
    });
    await changed(domain, { account: ada, pending: true });
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 0 }]);
    await vi.waitFor(() => expect(pause.mock.calls).toEqual([[WATCH_SETTLE]]));
    await step(ada);
    over.resolve();
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 1 }]);
  });

  it("is answered its pings, and hears on after the object was taken from memory", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const watcher = await settled(domain, ada);
    await evictDurableObject(domain.object);
    watcher.send("ping");
    await vi.waitFor(() => expect(watcher.pongs).toBe(1));
    await changed(domain, { account: ada, seq: 9 });
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 9 }]);
    expect((await domain.rpc.plan("ada"))?.watched).toBe(true);
  });

  it("is turned away where there is no such mailbox, or no such domain", async () => {
    const { domain, accounts } = await domainWith("ada");
    expect((await ask(domain, `account/${(accounts[0] ?? 0) + 1000}`)).status).toBe(404);
    expect((await ask(await TestDomain.create(), "account/1")).status).toBe(404);
    expect((await ask(domain, "elsewhere")).status).toBe(400);
    expect((await domain.object.fetch("https://domain.invalid/domain")).status).toBe(400);
  });

  it("may not name others", async () => {
    const { domain, accounts } = await domainWith("ada", "bob");
    const [ada = 0, bob = 0] = accounts;
    const watcher = await settled(domain, ada);
    watcher.say({ op: "watch", accounts: [{ account: bob, since: null }] });
    expect(await watcher.end()).toEqual({ code: 1002, reason: "only a gateway names mailboxes" });
  });
});

describe("the plan for a message", () => {
  it("says that someone watches only where it is so: the mailbox, or the domain", async () => {
    const { domain, accounts } = await domainWith("ada", "bob");
    const [ada = 0] = accounts;
    const watched = async () => {
      const plans = [await domain.rpc.plan("ada"), await domain.rpc.plan("bob")];
      return plans.map((plan) => plan?.watched);
    };
    expect(await watched()).toEqual([false, false]);
    const watcher = await settled(domain, ada);
    expect(await watched()).toEqual([true, false]);
    watcher.close();
    await vi.waitFor(async () => expect(await watched()).toEqual([false, false]));
    await watch(domain, "domain");
    expect(await watched()).toEqual([true, true]);
  });

  it("that was made just before someone came is made up for: the mailbox is looked at once more", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const over = Promise.withResolvers<void>();
    const pause = vi.fn((_milliseconds: number) => over.promise);
    await runInDurableObject(domain.object, (object: DomainObject) => {
      object.world = { ...object.world, pause };
    });
    expect((await domain.rpc.plan("ada"))?.watched).toBe(false);
    const watcher = await settled(domain, ada);
    await vi.waitFor(() => expect(pause.mock.calls).toEqual([[WATCH_SETTLE]]));
    // The mail is stored, and whoever stored it was told that nobody watches.
    await step(ada);
    expect(watcher.frames).toEqual([]);
    over.resolve();
    expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 1 }]);
  });

  it("that was made long before is not: then D1 is not asked again", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const pause = vi.fn(() => Promise.resolve());
    await runInDurableObject(domain.object, async (object: DomainObject) => {
      await object.plan("ada");
      const later = Date.now() + 3 * WATCH_SETTLE;
      object.world = { ...object.world, pause, stamp: () => later };
    });
    await settled(domain, ada);
    await quiet();
    expect(pause).not.toHaveBeenCalled();
  });
});

describe("a gateway", () => {
  it("hears of the mailboxes that it names, as long as it does", async () => {
    const { domain, accounts } = await domainWith("ada", "bob", "eve");
    const [ada = 0, bob = 0, eve = 0] = accounts;
    const gateway = await watch(domain, "gateway");
    await step(bob);
    gateway.say({
      op: "watch",
      accounts: [
        { account: ada, since: 0 },
        { account: bob, since: 0 },
        { account: 999_999, since: null },
      ],
    });
    expect(await gateway.take(2)).toEqual([
      { op: "ended", account: 999_999, why: "gone" },
      { op: "changed", account: bob, seq: 1 },
    ]);
    await changed(domain, { account: ada, seq: 2 }, { account: bob, seq: 3 }, { account: eve, seq: 4 });
    expect(await gateway.take(2)).toEqual([
      { op: "changed", account: ada, seq: 2 },
      { op: "changed", account: bob, seq: 3 },
    ]);
    gateway.say({ op: "unwatch", accounts: [ada] });
    await vi.waitFor(async () => expect((await domain.rpc.plan("ada"))?.watched).toBe(false));
    expect((await domain.rpc.plan("bob"))?.watched).toBe(true);
  });

  it("hears on of what it has named after the object was taken from memory", async () => {
    const { domain, accounts } = await domainWith("ada", "bob");
    const [ada = 0, bob = 0] = accounts;
    const gateway = await watch(domain, "gateway");
    gateway.say({ op: "watch", accounts: [{ account: ada, since: null }] });
    await gateway.take(1);
    await evictDurableObject(domain.object);
    await changed(domain, { account: ada, seq: 5 }, { account: bob, seq: 6 });
    expect(await gateway.take(1)).toEqual([{ op: "changed", account: ada, seq: 5 }]);
    expect((await domain.rpc.plan("bob"))?.watched).toBe(false);
  });

  it("that names more mailboxes than fit hears of all of them", async () => {
    const { domain } = await domainWith();
    const count = MAX_WATCHED_BY_NAME + 1;
    const first = 1_000_000;
    const numbers = JSON.stringify(Array.from({ length: count + 1 }, (_, number) => number));
    await env.DIRECTORY.batch([
      env.DIRECTORY.prepare(
        `INSERT INTO mailbox (id, domain, address, created_at)
         SELECT ?2 + value, ?1, 'm' || value || '@${domain.name}', 0 FROM json_each(?3)`,
      ).bind(domain.id, first, numbers),
      env.DIRECTORY.prepare(
        "INSERT INTO address (domain, local, mailbox) SELECT ?1, 'm' || value, ?2 + value FROM json_each(?3)",
      ).bind(domain.id, first, numbers),
      env.DIRECTORY.prepare("UPDATE domain SET version = version + 1 WHERE id = ?1").bind(domain.id),
    ]);
    await domain.rpc.reload(domain.name);
    const gateway = await watch(domain, "gateway");
    for (let at = 0; at < count; at += WATCH_PAGE) {
      const length = Math.min(WATCH_PAGE, count - at);
      const accounts = Array.from({ length }, (_, index) => ({ account: first + at + index, since: null }));
      gateway.say({ op: "watch", accounts });
    }
    await gateway.take(count);
    await evictDurableObject(domain.object);
    await changed(domain, { account: first + count - 1, seq: 1 }, { account: first + count, seq: 2 });
    expect(await gateway.take(2)).toHaveLength(2);
  });

  it.each([
    ["hello", "not JSON"],
    ['{"op":"watch","accounts":[]}', "accounts: too_small"],
  ])("that says %s is left", async (text, reason) => {
    const { domain } = await domainWith();
    const gateway = await watch(domain, "gateway");
    gateway.send(text);
    expect(await gateway.end()).toEqual({ code: 1002, reason });
  });
});

describe("too many watchers", () => {
  it("of one mailbox are turned away, until one is gone without a word", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    for (let count = 0; count < MAX_WATCHERS_PER_ACCOUNT; count++) await settled(domain, ada);
    expect((await ask(domain, `account/${ada}`)).status).toBe(429);
    await runInDurableObject(domain.object, (object: DomainObject) => {
      const later = Date.now() + WATCH_SETTLE + 2000 + WATCH_SILENCE;
      object.world = { ...object.world, stamp: () => later };
    });
    await settled(domain, ada);
    expect(await open[0]?.end()).toEqual({ code: 1001, reason: "no ping for too long" });
  });

  it("one that does not read is left, and comes again for what it has missed", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const watcher = await settled(domain, ada);
    const changes = Array.from({ length: 30_000 }, (_, seq) => ({ account: ada, seq }));
    for (let at = 0; at < changes.length; at += 1000) await changed(domain, ...changes.slice(at, at + 1000));
    expect((await watcher.end()).code).toBe(1013);
    expect((await domain.rpc.plan("ada"))?.watched).toBe(false);
  });

  it("one that pings reads", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const watcher = await settled(domain, ada);
    for (let at = 0; at < 30; at++) {
      await changed(domain, ...Array.from({ length: 1000 }, (_, seq) => ({ account: ada, seq: at * 1000 + seq })));
      watcher.send("ping");
      await vi.waitFor(() => expect(watcher.pongs).toBe(at + 1));
      // The platform stamps pings in whole milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(watcher.closed).toBeNull();
    expect(watcher.frames).toHaveLength(30_000);
  });
});

describe("a watch ends", () => {
  async function both(domain: TestDomain, account: number) {
    const person = await settled(domain, account);
    const gateway = await watch(domain, "gateway");
    gateway.say({ op: "watch", accounts: [{ account, since: null }] });
    await gateway.take(1);
    return { person, gateway };
  }
  const bump = (domain: TestDomain) =>
    env.DIRECTORY.prepare("UPDATE domain SET version = version + 1 WHERE id = ?1").bind(domain.id).run();

  it("with the login that it rests on", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const { person, gateway } = await both(domain, ada);
    await report(domain, { kind: "login_changed", accounts: [ada] });
    const ended = { op: "ended", account: ada, why: "login" };
    expect(await person.take(1)).toEqual([ended]);
    expect(await person.end()).toEqual({ code: 1000, reason: "login" });
    expect(await gateway.take(1)).toEqual([ended]);
    expect(gateway.closed).toBeNull();
    expect((await domain.rpc.plan("ada"))?.watched).toBe(false);
  });

  it("with its mailbox", async () => {
    const { domain, accounts } = await domainWith("ada", "bob");
    const [ada = 0, bob = 0] = accounts;
    const { person, gateway } = await both(domain, ada);
    const other = await settled(domain, bob);
    await env.DIRECTORY.batch([
      env.DIRECTORY.prepare("DELETE FROM address WHERE mailbox = ?1").bind(ada),
      env.DIRECTORY.prepare("DELETE FROM mailbox WHERE id = ?1").bind(ada),
    ]);
    await bump(domain);
    await domain.rpc.reload(domain.name);
    expect(await person.end()).toEqual({ code: 1000, reason: "gone" });
    expect(await gateway.take(1)).toEqual([{ op: "ended", account: ada, why: "gone" }]);
    expect(other.closed).toBeNull();
  });

  it("when the mailbox has moved to another shard", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const { person, gateway } = await both(domain, ada);
    await env.DIRECTORY.prepare("UPDATE mailbox SET shard = 1 WHERE id = ?1").bind(ada).run();
    await bump(domain);
    await domain.rpc.reload(domain.name);
    expect(await person.end()).toEqual({ code: 1000, reason: "moved" });
    expect(await gateway.take(1)).toEqual([{ op: "ended", account: ada, why: "moved" }]);
  });

  it("with its domain, for all", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const { person, gateway } = await both(domain, ada);
    await env.DIRECTORY.batch(
      [
        "DELETE FROM address WHERE domain = ?1",
        "DELETE FROM mailbox WHERE domain = ?1",
        "DELETE FROM domain WHERE id = ?1",
      ].map((sql) => env.DIRECTORY.prepare(sql).bind(domain.id)),
    );
    await domain.rpc.reload(domain.name);
    for (const watcher of [person, gateway]) expect(await watcher.end()).toEqual({ code: 1000, reason: "gone" });
  });

  it("not by a change of the directory that does not concern it", async () => {
    const { domain, accounts } = await domainWith("ada");
    const [ada = 0] = accounts;
    const { person } = await both(domain, ada);
    await domain.mailbox("bob");
    await bump(domain);
    await domain.rpc.reload(domain.name);
    await changed(domain, { account: ada, seq: 3 });
    expect(await person.take(1)).toEqual([{ op: "changed", account: ada, seq: 3 }]);
  });
});

describe("what failback changes", () => {
  it.each([
    ["delivered", {}, { waiting: 0, refused: 0 }],
    ["refused", { steps: { rcpt: "550 5.1.1 no" } }, { waiting: 0, refused: 1 }],
  ] as const)("is told: a message that was %s", async (_, behaviour, backlog) => {
    const origin = await createOrigin(behaviour);
    const domain = await TestDomain.create({ port: origin.port, switching: "manual" });
    const ada = await domain.mailbox("ada");
    const bob = await domain.mailbox("bob");
    await domain.start(LONG_AGO);
    await domain.run(0);
    await domain.waiting({ accounts: [ada] });
    const [hers, his, administrator] = [
      await watch(domain, `account/${ada}?since=1`),
      await settled(domain, bob),
      await watch(domain, "domain"),
    ] as const;
    expect(await administrator.take(1)).toMatchObject([{ backlog: { waiting: 1, refused: 0 } }]);
    await report(domain, { kind: "waiting" });
    await domain.run(60);
    expect(await hers.take(1)).toEqual([{ op: "changed", account: ada, seq: 2 }]);
    await vi.waitFor(() => expect(administrator.frames.at(-1)).toMatchObject({ backlog, run: null }));
    expect(his.frames).toEqual([]);
  });

  it("is told where D1 did it and its answer was lost", async () => {
    const origin = await createOrigin();
    const domain = await TestDomain.create({ port: origin.port, switching: "manual" });
    const ada = await domain.mailbox("ada");
    await domain.start(LONG_AGO);
    await domain.run(0);
    const { placements } = await domain.waiting({ accounts: [ada] });
    const hers = await watch(domain, `account/${ada}?since=1`);
    const gateway = await watch(domain, "gateway");
    gateway.say({ op: "watch", accounts: [{ account: ada, since: 1 }] });
    let lost = 0;
    const db = env.SHARD_0;
    const [prepare, batch] = [db.prepare.bind(db), db.batch.bind(db)];
    vi.spyOn(db, "prepare").mockImplementation((sql) => {
      if (lost === 0 && sql.includes("SET seq = seq + n.changes")) lost = 1;
      return prepare(sql);
    });
    vi.spyOn(db, "batch").mockImplementation(async (statements) => {
      const results = await batch(statements);
      if (lost !== 1) return results as never;
      lost = 2;
      throw new Error("the connection was lost");
    });
    await report(domain, { kind: "waiting" });
    await domain.run(60);
    expect(lost).toBe(2);
    expect(await domain.states(placements)).toEqual(["gone"]);
    for (const watcher of [hers, gateway]) {
      expect(await watcher.take(1)).toEqual([{ op: "changed", account: ada, seq: 2 }]);
    }
  });
});

describe("a watcher of the domain", () => {
  it("hears mode and backlog at once, and again when the mode changes", async () => {
    const { domain, accounts } = await domainWith("ada");
    await domain.waiting({ accounts });
    const watcher = await watch(domain, "domain");
    expect(await watcher.take(1)).toMatchObject([
      { op: "domain", mode: "normal", backlog: { waiting: 1, refused: 0 }, run: null },
    ]);
    await domain.rpc.choose("emergency", "admin@example.org");
    expect(await watcher.take(1)).toMatchObject([{ mode: "emergency", cause: "chosen by admin@example.org" }]);
  });

  it("hears of mail that waits, in few words for many messages", async () => {
    const { domain, accounts } = await domainWith("ada");
    const watcher = await watch(domain, "domain");
    await watcher.take(1);
    await runInDurableObject(domain.object, (object: DomainObject) => {
      object.world = { ...object.world, pause: (milliseconds) => new Promise((go) => setTimeout(go, milliseconds)) };
    });
    for (let count = 0; count < 30; count++) {
      await domain.waiting({ accounts });
      await report(domain, { kind: "waiting" });
    }
    await vi.waitFor(() => expect(watcher.frames.at(-1)).toMatchObject({ backlog: { waiting: 30 } }), {
      timeout: 20_000,
    });
    expect(watcher.frames.length).toBeLessThan(15);
  });

  it("hears nothing while nothing happens, and D1 is not asked", async () => {
    const { domain, accounts } = await domainWith("ada");
    const user = await settled(domain, accounts[0] ?? 0);
    const watcher = await watch(domain, "domain");
    await watcher.take(1);
    await vi.waitFor(async () => expect(await domain.nextAlarm()).not.toBeNull());
    const asked = vi.spyOn(env.SHARD_0, "prepare");
    const before = asked.mock.calls.length;
    for (let count = 0; count < 5; count++) await domain.wait(30).alarm();
    const counts = asked.mock.calls.slice(before).filter(([sql]) => /count\(\*\)|a\.seq/.test(sql));
    asked.mockRestore();
    expect(counts).toEqual([]);
    expect([watcher.frames, user.frames]).toEqual([[], []]);
  });
});
