import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { MAX_WATCHED_BY_NAME, WATCH_PAGE, WATCH_SETTLE } from "../../../src/core/protocol/push/limits.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { TestDomain } from "./fixture.ts";
import { ask, changed, domainWith, quiet, settled, step, watch } from "./watching.ts";

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
