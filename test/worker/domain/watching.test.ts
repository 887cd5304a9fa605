/** Until when somebody watches, and what those hear who watch a failback or the domain. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { MAX_WATCHERS_PER_ACCOUNT, WATCH_SETTLE, WATCH_SILENCE } from "../../../src/core/protocol/push/limits.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { createOrigin } from "../origin-control.ts";
import { TestDomain } from "./fixture.ts";
import { ask, changed, domainWith, LONG_AGO, open, report, settled, watch } from "./watching.ts";

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
