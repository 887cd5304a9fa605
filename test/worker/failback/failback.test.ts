import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { MAX_DEFERRALS_IN_A_ROW, MAX_FAILBACK_CONNECTIONS } from "../../../src/core/limits.ts";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type Origin, type TakenMessage } from "../origin-control.ts";

const decoder = new TextDecoder();

async function open(
  behaviour: Behaviour = {},
): Promise<{ origin: Origin; domain: TestDomain; ada: number; bob: number }> {
  const origin = await createOrigin(behaviour);
  const domain = await TestDomain.create({ port: origin.port, switching: "manual" });
  const ada = await domain.mailbox("ada");
  const bob = await domain.mailbox("bob");
  await domain.start();
  await domain.run(0);
  return { origin, domain, ada, bob };
}

/** An administrator switches to emergency, mail comes, and the administrator switches back. */
async function afterAnOutage(domain: TestDomain, mail: () => Promise<unknown>): Promise<void> {
  await domain.rpc.choose("emergency", "admin@example.org");
  await mail();
  await domain.rpc.choose("normal", "admin@example.org");
  await domain.run(0);
}

const bodies = (messages: readonly TakenMessage[]): string[] =>
  messages.map((message) => decoder.decode(message.raw).split("\r\n\r\n")[1]?.trim() ?? "");

async function lastRun(domain: TestDomain): Promise<Readonly<Record<string, unknown>> | undefined> {
  return (await domain.events("failback_run")).at(-1)?.data;
}

describe("everything still in portal inboxes goes to the origin", () => {
  it("oldest first, then leaves the inbox; its archive copy stays", async () => {
    const { origin, domain, ada, bob } = await open();
    const placements: number[] = [];
    await afterAnOutage(domain, async () => {
      for (const [age, account] of [
        [10, ada],
        [30, bob],
        [20, ada],
      ] as const) {
        const to = `${account === ada ? "ada" : "bob"}@${domain.name}`;
        const one = await domain.waiting({ accounts: [account], to, body: `${age} s old`, at: NOON - age * 1000 });
        placements.push(...one.placements);
      }
    });
    expect(bodies(await origin.messages())).toEqual(["30 s old", "20 s old", "10 s old"]);
    expect(await domain.states(placements)).toEqual(["gone", "gone", "gone"]);
    const kept = await env.SHARD_0.prepare("SELECT count(*) AS rows FROM message WHERE account IN (?1, ?2)")
      .bind(ada, bob)
      .first<number>("rows");
    expect(kept).toBe(3);
    expect(await domain.nextAlarm()).toBe(30);
  });

  it("with one Received and one Delivered-To of ours on top, identical each time, and its octets unchanged", async () => {
    const { origin, domain, ada } = await open({ steps: { final: ["451 4.3.0 later", null] } });
    const stored = await domain.waiting({
      accounts: [ada],
      to: `Ada+Tag@${domain.name}`,
      body: "..dots\r\n\r\n\0\xff",
    });
    await domain.rpc.report([{ kind: "waiting" }]);
    await domain.run(120);
    const [first, second] = await origin.messages();
    expect(first?.accepted).toBe(false);
    expect(second?.raw).toEqual(first?.raw);
    expect(second?.to).toEqual([`Ada+Tag@${domain.name}`]);
    expect(second?.from).toBe("sender@example.net");
    const text = decoder.decode(second?.raw);
    const object = await env.MAIL.get(stored.key);
    const octets = await object?.text();
    expect(text.endsWith(octets ?? "nothing")).toBe(true);
    const trace = text.slice(0, text.length - (octets?.length ?? 0));
    expect(trace).toMatch(/^Received: from mx\.example\.net[\s\S]*\r\nDelivered-To: [^\r]*\r\n$/);
    expect(trace).toContain(`Delivered-To: Ada+Tag@${domain.name}\r\n`);
  });

  it("a message of several mailboxes is sent once, to the address it came for, and leaves all of them", async () => {
    const { origin, domain, ada, bob } = await open();
    const to = `info@${domain.name}`;
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada, bob], to }));
    });
    const messages = await origin.messages();
    expect(messages.map((message) => message.to)).toEqual([[to]]);
    expect(await domain.states(placements)).toEqual(["gone", "gone"]);
  });

  it("many messages go over one connection", async () => {
    const { origin, domain, ada } = await open();
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < 4; i++) await domain.waiting({ accounts: [ada], body: `${i}` });
    });
    expect((await origin.report()).connections).toBe(1);
    expect(await origin.messages()).toHaveLength(4);
  });

  it("each run is an event with its numbers", async () => {
    const { domain, ada, bob } = await open({ steps: { rcpt: [null, "550 5.1.1 no", null] } });
    await afterAnOutage(domain, async () => {
      await domain.waiting({ accounts: [ada] });
      await domain.waiting({ accounts: [bob], to: `bob@${domain.name}` });
      await domain.waiting({ accounts: [ada] });
    });
    expect(await domain.events("failback_run")).toMatchObject([
      { actor: "failback", data: { delivered: 2, refused: 1, deferred: 0, connections: 1, peak: 1, end: "done" } },
    ]);
    expect((await lastRun(domain))?.milliseconds).toBe(0);
  });
});

describe("what the user has dealt with is not redelivered", () => {
  it("a message flagged \\Deleted", async () => {
    const { origin, domain, ada } = await open();
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada] }));
      await env.SHARD_0.prepare("UPDATE placement SET flags = 16 WHERE id = ?1").bind(placements[0]).run();
    });
    expect(await origin.messages()).toEqual([]);
    expect(await domain.states(placements)).toEqual(["waiting"]);
  });

  it("a message moved while another mailbox of the alias keeps it: that one's is sent", async () => {
    const { origin, domain, ada, bob } = await open();
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      const one = await domain.waiting({ accounts: [ada, bob], to: `info@${domain.name}` });
      placements = one.placements;
      expect(await domain.rpc.withdraw([one.flight])).toEqual([]);
      await env.SHARD_0.prepare("UPDATE placement SET waiting = NULL WHERE id = ?1").bind(placements[0]).run();
      await domain.rpc.settle([one.flight]);
      domain.wait(1);
    });
    expect(await origin.messages()).toHaveLength(1);
    expect(await domain.states(placements)).toEqual(["kept", "gone"]);
  });
});

describe("refused", () => {
  it("it stays in the inbox, marked with the origin's reason, and nobody is sent a bounce", async () => {
    const { origin, domain, ada } = await open({ steps: { final: "554 5.7.1 spam\nof the worst kind" } });
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada] }));
    });
    expect(await domain.states(placements)).toEqual(["refused"]);
    const refusal = await env.SHARD_0.prepare("SELECT refusal FROM placement WHERE id = ?1")
      .bind(placements[0])
      .first<string>("refusal");
    expect(JSON.parse(refusal ?? "null")).toMatchObject({ code: 554, enhanced: "5.7.1" });
    await origin.set({});
    await domain.run(3600);
    expect((await origin.messages()).filter((message) => message.accepted)).toEqual([]);
    expect(await domain.nextAlarm()).toBeLessThanOrEqual(30);
  });

  it("it is sent when a person asks for it again", async () => {
    const { origin, domain, ada } = await open({ steps: { rcpt: ["550 5.1.1 no", null] } });
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada] }));
    });
    await env.SHARD_0.prepare("UPDATE placement SET waiting = -waiting WHERE id = ?1").bind(placements[0]).run();
    await domain.rpc.report([{ kind: "waiting" }]);
    await domain.run(60);
    expect(await origin.messages()).toHaveLength(1);
    expect(await domain.states(placements)).toEqual(["gone"]);
  });
});

describe("deferred", () => {
  it.each(["rcpt", "data", "final"] as const)(
    "a 4xx to %s defers that message alone, and the run goes on",
    async (verb) => {
      const { origin, domain, ada, bob } = await open({ steps: { [verb]: ["451 4.7.1 greylisted", null] } });
      let first: number[] = [];
      let second: number[] = [];
      await afterAnOutage(domain, async () => {
        first = (await domain.waiting({ accounts: [ada] })).placements;
        second = (await domain.waiting({ accounts: [bob], to: `bob@${domain.name}` })).placements;
      });
      expect(await domain.states([...first, ...second])).toEqual(["waiting", "gone"]);
      expect(await lastRun(domain)).toMatchObject({ delivered: 1, deferred: 1, end: "done" });
      expect((await domain.rpc.status())?.deferred).toBe(1);
      await domain.run(60);
      expect(await domain.states(first)).toEqual(["gone"]);
      expect((await origin.messages()).filter((message) => message.accepted)).toHaveLength(2);
    },
  );

  it("it is tried again within 60 s at first, then with growing pauses of at most 15 minutes", async () => {
    const { origin, domain, ada } = await open({ steps: { rcpt: "452 4.2.2 mailbox full" } });
    await domain.waiting({ accounts: [ada] });
    await domain.rpc.report([{ kind: "waiting" }]);
    const tries: number[] = [];
    let known = 0;
    for (let second = 0; second < 2 * 3600; second += 10) {
      await domain.run(10);
      const { transcript } = await origin.report();
      const count = transcript.filter((line) => line.startsWith("C: RCPT")).length;
      if (count > known) tries.push(second + 10);
      known = count;
    }
    const pauses = tries.slice(1).map((at, index) => at - (tries[index] ?? 0));
    expect(tries[0]).toBeLessThanOrEqual(60);
    expect(pauses[0]).toBeLessThanOrEqual(60);
    expect(pauses.slice(0, 5)).toEqual([30, 60, 120, 240, 480]);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(910);
    expect(await domain.mode()).toBe("normal");
  }, 60_000);

  it("five such answers in a row for different recipients end the run until later", async () => {
    const { origin, domain, ada } = await open({ steps: { rcpt: "451 4.3.0 not now" } });
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < MAX_DEFERRALS_IN_A_ROW + 3; i++) {
        await domain.waiting({ accounts: [ada], to: `user${i}@${domain.name}`, at: NOON + i * 1000 });
      }
    });
    expect(await lastRun(domain)).toMatchObject({ deferred: MAX_DEFERRALS_IN_A_ROW, end: "deferrals" });
    const { transcript } = await origin.report();
    expect(transcript.filter((line) => line.startsWith("C: RCPT"))).toHaveLength(MAX_DEFERRALS_IN_A_ROW);
    await origin.set({});
    await domain.run(90);
    expect(await origin.messages()).toHaveLength(MAX_DEFERRALS_IN_A_ROW + 3);
  });

  it("any number for one recipient does not end it: the next one's mail goes out", async () => {
    const { origin, domain, ada, bob } = await open();
    await origin.set({ recipients: { [`ada@${domain.name}`]: "452 4.2.2 mailbox full" } });
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < 8; i++) await domain.waiting({ accounts: [ada], at: NOON - 10_000 });
      await domain.waiting({ accounts: [bob], to: `bob@${domain.name}` });
    });
    expect(await lastRun(domain)).toMatchObject({ delivered: 1, deferred: 8, end: "done" });
  });

  it("a single message that met a 4xx in normal mode goes out the same way within 60 s", async () => {
    const { origin, domain, ada } = await open();
    const { placements } = await domain.waiting({ accounts: [ada] });
    await domain.rpc.report([{ kind: "waiting" }]);
    await domain.run(60);
    expect(await origin.messages()).toHaveLength(1);
    expect(await domain.states(placements)).toEqual(["gone"]);
  });
});

describe("a run ends until later", () => {
  it("when there is no connection", async () => {
    const { origin, domain, ada } = await open();
    await origin.stop();
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada] }));
    });
    expect(await lastRun(domain)).toMatchObject({
      delivered: 0,
      end: "unavailable",
      why: expect.stringContaining("connect"),
    });
    await origin.start();
    await domain.run(60);
    expect(await domain.states(placements)).toEqual(["gone"]);
  });

  it.each([
    ["with 421", { steps: { rcpt: [null, { reply: "421 4.3.2 closing", drop: true }, null] } }],
    ["by hanging up before the final reply", { steps: { final: [null, { drop: true }, null] } }],
  ] as const)("when the origin answers %s", async (_how, behaviour) => {
    const { origin, domain, ada } = await open(behaviour);
    const placements: number[] = [];
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < 4; i++)
        placements.push(...(await domain.waiting({ accounts: [ada], at: NOON + i * 1000 })).placements);
    });
    expect(await domain.states(placements)).toEqual(["gone", "waiting", "waiting", "waiting"]);
    expect(await lastRun(domain)).toMatchObject({ delivered: 1, deferred: 1, end: "unavailable" });
    await domain.run(60);
    expect(await domain.states(placements)).toEqual(["gone", "gone", "gone", "gone"]);
    expect((await origin.messages()).filter((message) => message.accepted)).toHaveLength(4);
  });

  it("when the mode changes to emergency", async () => {
    const { origin, domain, ada } = await open({ steps: { final: { delay: 300 } } });
    await domain.rpc.choose("emergency", "admin@example.org");
    for (let i = 0; i < 8; i++) await domain.waiting({ accounts: [ada] });
    await domain.rpc.choose("normal", "admin@example.org");
    const run = domain.alarm();
    await scheduler.wait(400);
    await domain.rpc.choose("emergency", "admin@example.org");
    await run;
    const taken = (await origin.messages()).length;
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(8);
    expect(await lastRun(domain)).toMatchObject({ end: "stopped", delivered: taken });
    await domain.rpc.choose("normal", "admin@example.org");
    await domain.run(0);
    expect(await origin.messages()).toHaveLength(8);
  });
});

describe("a recovering server is fragile", () => {
  it("it gets one connection at first and more while it answers well, at most twenty", async () => {
    const { origin, domain, ada } = await open({ steps: { final: { delay: 100 } } });
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < 160; i++) await domain.waiting({ accounts: [ada] });
    });
    const { peak, messages, transcript } = await origin.report();
    expect(messages).toHaveLength(160);
    expect(peak).toBe(MAX_FAILBACK_CONNECTIONS);
    expect(await lastRun(domain)).toMatchObject({ delivered: 160, connections: 20, peak: 20 });
    const second = transcript.indexOf("C: EHLO mx.holdfast.test", transcript.indexOf("C: EHLO mx.holdfast.test") + 1);
    expect(transcript.slice(0, second).filter((line) => line.startsWith("C: RCPT")).length).toBeGreaterThanOrEqual(5);
  });

  it("where it takes no second connection, the run goes on over the first", async () => {
    const { origin, domain, ada } = await open({ steps: { greeting: [null, "421 4.7.0 too many connections"] } });
    await afterAnOutage(domain, async () => {
      for (let i = 0; i < 20; i++) await domain.waiting({ accounts: [ada] });
    });
    expect(await origin.messages()).toHaveLength(20);
    expect(await lastRun(domain)).toMatchObject({ delivered: 20, connections: 1, end: "done" });
  });
});

describe("nothing is lost from sight", () => {
  it("a message whose octets are missing stays in the backlog and is an event", async () => {
    const { domain, ada } = await open();
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada], missing: true }));
    });
    expect(await domain.states(placements)).toEqual(["waiting"]);
    expect(await domain.events("message_missing")).toHaveLength(1);
  });

  it("when our own storage fails, the message waits and the origin is not blamed", async () => {
    const { origin, domain, ada } = await open();
    await domain.start({
      raw: async () => {
        throw new Error("R2 is away");
      },
    });
    let placements: number[] = [];
    await afterAnOutage(domain, async () => {
      ({ placements } = await domain.waiting({ accounts: [ada] }));
    });
    expect(await lastRun(domain)).toMatchObject({ end: "storage", why: "Error: R2 is away", deferred: 0 });
    expect((await domain.rpc.status())?.mode.doubt).toBe(false);
    await domain.start({});
    await domain.run(60);
    expect(await domain.states(placements)).toEqual(["gone"]);
    expect(await origin.messages()).toHaveLength(1);
  });
});
