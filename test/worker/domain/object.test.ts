import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { PROBES_KEPT } from "../../../src/core/limits.ts";
import type { Outcome } from "../../../src/core/outcome.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { EventLog } from "../../../src/worker/domain/log.ts";
import { ProbeRing } from "../../../src/worker/domain/probes.ts";
import { dead, good, NOON, probeResult, TestDomain, withoutDirectory } from "./fixture.ts";

async function inDirectory(domain: TestDomain): Promise<{ mode: string; mode_since: number } | null> {
  return env.DIRECTORY.prepare("SELECT mode, mode_since FROM domain WHERE id = ?1").bind(domain.id).first();
}

describe("the object of a domain", () => {
  it("knows nothing and stores nothing until it is told to take the directory's facts", async () => {
    const domain = await TestDomain.create();
    expect(await domain.rpc.plan("ada")).toBeNull();
    expect(await domain.rpc.status()).toBeNull();
    expect(await domain.rpc.events(null, 10)).toEqual([]);
    await runInDurableObject(domain.object, (_object, state) => {
      expect(state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'facts'").toArray()).toEqual([]);
    });
  });

  it("answers for an address with mode, mailboxes and route", async () => {
    const domain = await TestDomain.create();
    const ada = await domain.mailbox("ada", { aliases: ["info"] });
    const bob = await domain.mailbox("bob", { aliases: ["info"] });
    await domain.start();
    expect(await domain.rpc.plan("Ada+lists")).toMatchObject({
      domain: { id: domain.id, name: domain.name, route: { port: 9 } },
      mode: "normal",
      recipient: { status: "covered", holders: [{ account: ada, mailbox: `ada@${domain.name}` }] },
      unseen: false,
      source: "object",
    });
    const info = await domain.rpc.plan("info");
    expect(info?.recipient.holders.map((holder) => holder.account)).toEqual([ada, bob]);
  });

  it("takes changes of the directory when it is told, and keeps its mode", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.rpc.choose("emergency", "admin@example.org");
    await domain.mailbox("eve");
    await env.DIRECTORY.prepare("UPDATE domain SET version = version + 1 WHERE id = ?1").bind(domain.id).run();
    await domain.rpc.reload(domain.name);
    expect(await domain.rpc.plan("eve")).toMatchObject({ mode: "emergency", recipient: { status: "covered" } });
  });

  it("lets an address go with its mailbox, and writes only what is not the same", async () => {
    const domain = await TestDomain.create();
    for (const local of ["ada", "bob", "eve"]) await domain.mailbox(local);
    await domain.start();
    await env.DIRECTORY.batch([
      env.DIRECTORY.prepare("DELETE FROM address WHERE domain = ?1 AND local = 'bob'").bind(domain.id),
      env.DIRECTORY.prepare("UPDATE domain SET version = version + 1 WHERE id = ?1").bind(domain.id),
    ]);
    await runInDurableObject(domain.object, async (object, state) => {
      state.storage.sql.exec(
        "CREATE TRIGGER spared BEFORE DELETE ON address WHEN old.local <> 'bob' BEGIN SELECT RAISE(ABORT, 'written'); END",
      );
      await object.reload(domain.name);
    });
    expect(await domain.rpc.plan("bob")).toMatchObject({ recipient: { status: "unknown" } });
    expect(await domain.rpc.plan("eve")).toMatchObject({ recipient: { status: "covered" } });
  });

  it("keeps its copy when the directory does not answer", async () => {
    const domain = await TestDomain.create();
    await domain.mailbox("ada");
    await domain.start();
    await withoutDirectory(async () => {
      expect(await domain.failureOf((object) => object.reload(domain.name))).toBe("Error: D1 is away");
      expect(await domain.rpc.plan("ada")).toMatchObject({ recipient: { status: "covered" } });
    });
  });

  it("forgets a domain that the directory has no more", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await env.DIRECTORY.prepare("DELETE FROM domain WHERE id = ?1").bind(domain.id).run();
    await domain.rpc.reload(domain.name);
    expect(await domain.rpc.plan("ada")).toBeNull();
    expect(await domain.nextAlarm()).toBeNull();
  });

  it("begins in the mode that the directory has, should it have lost its own", async () => {
    const domain = await TestDomain.create({ mode: "emergency" });
    await domain.start();
    expect(await domain.mode()).toBe("emergency");
  });
});

describe("a change of mode", () => {
  it("is stored, logged with its cause, and written to the directory", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    const view = await domain.rpc.choose("emergency", "admin@example.org");
    expect(view).toMatchObject({ mode: "emergency", since: NOON, choice: { actor: "admin@example.org" } });
    expect(await inDirectory(domain)).toEqual({ mode: "emergency", mode_since: NOON });
    expect(await domain.events("mode_changed")).toMatchObject([
      {
        actor: "admin@example.org",
        at: NOON,
        data: { from: "normal", to: "emergency", cause: "chosen by admin@example.org" },
      },
    ]);
  });

  it("holds although the directory does not hear of it, and the alarm tells it later", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await withoutDirectory(async () => {
      await domain.rpc.choose("emergency", "admin@example.org");
      expect((await domain.rpc.plan("ada"))?.mode).toBe("emergency");
      await domain.run(12);
    });
    expect((await inDirectory(domain))?.mode).toBe("normal");
    await domain.run(12);
    expect(await inDirectory(domain)).toEqual({ mode: "emergency", mode_since: NOON });
  });

  it("cannot be chosen for a domain that the object does not know", async () => {
    const domain = await TestDomain.create();
    expect(await domain.failureOf((object) => object.choose("emergency", "admin@example.org"))).toContain(
      "knows no domain",
    );
  });
});

describe("probes by alarm", () => {
  it("come every 30 s while the origin answers", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.run(0);
    expect(await domain.nextAlarm()).toBe(30);
    await domain.run(90);
    const status = await domain.rpc.status();
    expect(status?.probes.map((probe) => (probe.at - NOON) / 1000)).toEqual([90, 60, 30, 0]);
    expect(status?.mode).toMatchObject({ doubt: false, goodSince: NOON });
  });

  it("come every 5 s while it is in doubt, and a dead origin is in emergency mode within a minute", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.run(0);
    domain.probe = dead;
    await domain.run(59);
    expect(await domain.mode()).toBe("emergency");
    const [changed] = await domain.events("mode_changed");
    expect(changed).toMatchObject({
      actor: "probe",
      data: { cause: "4 failed probes in 15 s: connect, no_connection" },
    });
    expect(await inDirectory(domain)).toMatchObject({ mode: "emergency" });
  });

  it("come at once after a delivery went badly", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.run(1);
    await domain.rpc.report([{ kind: "outcome", recipient: "ada@example.org", outcome: dead }]);
    expect(await domain.nextAlarm()).toBe(0);
    expect((await domain.rpc.plan("ada"))?.doubt).toBe(true);
  });

  it("are set again whatever happens in the handler", async () => {
    const domain = await TestDomain.create();
    await domain.start({
      probe: () => {
        throw new Error("a defect");
      },
    });
    await domain.alarm();
    expect(await domain.nextAlarm()).toBe(30);
    expect(await domain.events("rounds_failed")).toMatchObject([{ data: { error: "Error: a defect" } }]);
  });

  it("are made of no origin without continuity, nor without a route", async () => {
    const off = await TestDomain.create({ continuity: false });
    const nowhere = await TestDomain.create({ routeless: true });
    for (const domain of [off, nowhere]) {
      await domain.start();
      await domain.run(120);
      expect((await domain.rpc.status())?.probes).toEqual([]);
    }
  });

  it("are remembered, the last 500", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await runInDurableObject(domain.object, (_object, state) => {
      const ring = new ProbeRing(openDatabase(state.storage));
      for (let at = 1; at <= PROBES_KEPT + 5; at++) ring.add(probeResult(good), at);
      const kept = ring.last(PROBES_KEPT + 5).map((probe) => probe.at);
      expect(kept).toHaveLength(PROBES_KEPT);
      expect([kept[0], kept.at(-1)]).toEqual([PROBES_KEPT + 5, 6]);
    });
  });
});

describe("an alarm that was lost", () => {
  it("is set again when cron wakes the object", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.run(0);
    await runInDurableObject(domain.object, (_object, state) => state.storage.deleteAlarm());
    expect(await domain.nextAlarm()).toBeNull();
    await domain.rpc.wake(domain.name);
    expect(await domain.nextAlarm()).toBeLessThanOrEqual(30);
  });

  it("does not keep an object that lost all from coming back", async () => {
    const domain = await TestDomain.create();
    await domain.rpc.wake(domain.name);
    expect(await domain.rpc.plan("ada")).not.toBeNull();
  });

  it("brings changes of the directory that the object did not hear of", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    await domain.mailbox("ada");
    await env.DIRECTORY.prepare("UPDATE domain SET version = version + 1 WHERE id = ?1").bind(domain.id).run();
    await domain.rpc.wake(domain.name);
    expect(await domain.rpc.plan("ada")).toMatchObject({ recipient: { status: "covered" } });
  });
});

describe("the log", () => {
  it("is read newest first, page by page", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    const event = (number: number) => ({
      kind: "event" as const,
      event: { kind: "tested", actor: "test", data: { number } },
    });
    await domain.rpc.report([1, 2, 3].map(event));
    const [newest, ...rest] = await domain.rpc.events(null, 2);
    expect(newest?.data).toEqual({ number: 3 });
    expect(rest[0]?.data).toEqual({ number: 2 });
    expect(await domain.rpc.events(rest[0]?.seq ?? 0, 2)).toMatchObject([{ data: { number: 1 } }]);
  });

  it("shows by its hashes that an entry was changed or taken out", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    for (const number of [1, 2, 3, 4]) {
      await domain.rpc.report([{ kind: "event", event: { kind: "tested", actor: "test", data: { number } } }]);
    }
    await runInDurableObject(domain.object, (_object, state) => {
      const log = new EventLog(openDatabase(state.storage));
      expect(log.firstBreak()).toBeNull();
      state.storage.sql.exec(`UPDATE log SET data = '{"number":5}' WHERE seq = 2`);
      expect(log.firstBreak()).toBe(2);
      state.storage.sql.exec(`UPDATE log SET data = '{"number":2}' WHERE seq = 2`);
      expect(log.firstBreak()).toBeNull();
      state.storage.sql.exec("DELETE FROM log WHERE seq = 3");
      expect(log.firstBreak()).toBe(4);
    });
  });
});

describe("an address that the origin has accepted and nobody registered", () => {
  it("is news once a day, and listed until it is registered", async () => {
    const domain = await TestDomain.create();
    await domain.start();
    expect((await domain.rpc.plan("Sales+x"))?.unseen).toBe(true);
    await domain.rpc.report([{ kind: "seen", local: "Sales+x" }]);
    expect((await domain.rpc.plan("sales"))?.unseen).toBe(false);
    expect(await domain.rpc.seen(10)).toEqual([{ local: "sales", firstAt: NOON, lastAt: NOON, messages: 1 }]);
    domain.wait(25 * 3600);
    expect((await domain.rpc.plan("sales"))?.unseen).toBe(true);
    await domain.mailbox("sales");
    await domain.rpc.reload(domain.name);
    expect(await domain.rpc.seen(10)).toEqual([]);
  });
});

it("one deferral is no doubt, yet asks to hear of the mail that the origin takes after it", async () => {
  const domain = await TestDomain.create();
  await domain.start();
  const full: Outcome = {
    kind: "unavailable",
    where: "origin",
    phase: "rcpt",
    reason: "reply",
    reply: { code: 452, text: "full" },
  };
  await domain.rpc.report([{ kind: "outcome", recipient: "ada@example.org", outcome: full }]);
  expect(await domain.rpc.plan("ada")).toMatchObject({ doubt: true });
  expect((await domain.rpc.status())?.mode.doubt).toBe(false);
  await domain.rpc.report([{ kind: "outcome", recipient: "ada@example.org", outcome: good }]);
  expect(await domain.rpc.plan("ada")).toMatchObject({ doubt: false });
});

it("a report of a success while nothing is in doubt writes nothing", async () => {
  const domain = await TestDomain.create();
  await domain.start();
  await domain.run(1);
  const written = await runInDurableObject(domain.object, async (object, state) => {
    const cursor = state.storage.sql.exec("SELECT mode FROM facts");
    const before = JSON.stringify(cursor.toArray());
    await object.report([{ kind: "outcome", recipient: "ada@example.org", outcome: good }]);
    return JSON.stringify(state.storage.sql.exec("SELECT mode FROM facts").toArray()) !== before;
  });
  expect(written).toBe(false);
});
