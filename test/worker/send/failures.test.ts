/** Each call that fails, before it takes effect or after: what was accepted goes out, what was not does not, nothing goes out twice. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import worker from "../../../src/worker/index.ts";
import { OutboundObject } from "../../../src/worker/send/object.ts";
import type { OutboundRpc } from "../../../src/worker/send/object-contract.ts";
import { down, fails, withCalls } from "../broken.ts";
import { Clock, createSender, folder, outbound, type Sender, write } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`failures-${count}.example.org`);
  clock = await Clock.over(sender);
});

/** D1 as it is, but for statements that begin so; a batch is told by its first. */
function failing(database: D1Database, when: "before" | "after", batches = 1): D1Database {
  let left = batches;
  return withCalls(database, {
    batch: async (statements: D1PreparedStatement[]) => {
      if (left-- <= 0) return database.batch(statements);
      if (when === "after") await database.batch(statements);
      throw new Error("D1 is down");
    },
  });
}

/** D1 as it is, but that it takes no such statement. */
function without(database: D1Database, beginning: RegExp): D1Database {
  return withCalls(database, {
    prepare: (sql: string) => (beginning.test(sql) ? down("D1")() : database.prepare(sql)),
  });
}

const MESSAGE = { to: ["zoe@example.net"], subject: "Hello" };
const KEY = { "idempotency-key": "k-1" };
const sent = async () => (await sender.smartHost.messages()).length;
const inSent = () => folder(sender.ann, "sent");

describe("where a store fails while a message is sent, its writer hears 503 and sends again by the same name", () => {
  const cases: [string, () => Partial<Env>][] = [
    ["R2", () => ({ MAIL: withCalls(env.MAIL, { put: fails("R2") }) })],
    ["the directory", () => ({ DIRECTORY: without(env.DIRECTORY, /^SELECT d\.id, d\.name, d\.continuity/) })],
    ["the shard, before it took the message", () => ({ SHARD_0: failing(env.SHARD_0, "before") })],
    ["the shard, after it took the message", () => ({ SHARD_0: failing(env.SHARD_0, "after") })],
    ["the shard, asked whether it has the message", () => ({ SHARD_0: without(env.SHARD_0, /FROM outgoing o/) })],
    ["the outbound object", () => ({ OUTBOUND: withCalls(env.OUTBOUND, { getByName: down("the object") }) })],
  ];
  it.each(cases)("%s: it is sent once, and once in Sent", async (_what, broken) => {
    const first = await write(sender.ann, MESSAGE, KEY, broken());
    expect(first).toMatchObject({ status: 503, body: { code: "temporary" } });
    await clock.enter();
    const second = await write(sender.ann, MESSAGE, KEY);
    expect(second.status).toBe(201);
    await clock.run(60);
    expect(await sent()).toBe(1);
    expect(await inSent()).toHaveLength(1);
  });

  it("a failure before anything was accepted sends nothing, even where nobody tries again", async () => {
    for (const [, broken] of cases.filter(([what]) => !what.includes("after")))
      await write(sender.ann, MESSAGE, {}, broken());
    await clock.run(3600);
    expect(await sent()).toBe(0);
    expect(await inSent()).toEqual([]);
  });

  it("octets without their rows are not taken for a message by the hourly sweep", async () => {
    await write(sender.ann, MESSAGE, KEY, { SHARD_0: failing(env.SHARD_0, "before") });
    const at = Math.ceil(Date.now() / 3600_000) * 3600_000 + 17 * 60_000;
    await worker.scheduled({ cron: "17 * * * *", scheduledTime: at, noRetry: () => undefined }, env as Env);
    expect(await folder(sender.ann, "archive")).toEqual([]);
  });

  it("a lost call to the object costs a minute: the cron wakes it", async () => {
    const deaf = (name: string) => {
      const object = env.OUTBOUND.getByName(name) as unknown as OutboundRpc;
      return { admit: (asked: Parameters<OutboundRpc["admit"]>[0]) => object.admit(asked), wake: fails("the object") };
    };
    const answer = await write(sender.ann, MESSAGE, KEY, { OUTBOUND: withCalls(env.OUTBOUND, { getByName: deaf }) });
    expect(answer.status).toBe(201);
    expect(await clock.next()).toBeNull();
    await worker.scheduled({ cron: "* * * * *", scheduledTime: Date.now(), noRetry: () => undefined }, env as Env);
    await clock.run();
    expect(await sent()).toBe(1);
  });
});

describe("where something fails while the queue is worked off", () => {
  it("D1, told of a delivery: it is told later, and the message is not sent again", async () => {
    const id = await clock.write(MESSAGE);
    clock.env = { ...env, SHARD_0: without(env.SHARD_0, /^UPDATE outgoing_recipient/) } as Env;
    await clock.enter();
    await clock.run();
    expect(await sent()).toBe(1);
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
    expect(await clock.next()).toBe(60);
    clock.env = env as Env;
    await clock.enter();
    await clock.run(60);
    expect(await sent()).toBe(1);
    expect(await clock.states(id)).toMatchObject([{ state: "delivered" }]);
  });

  it("D1, in between: an object that starts anew knows what was delivered", async () => {
    const id = await clock.write(MESSAGE);
    clock.env = { ...env, SHARD_0: without(env.SHARD_0, /^UPDATE outgoing_recipient/) } as Env;
    await clock.enter();
    await clock.run();
    clock.env = env as Env;
    await anew(async (next) => {
      await next.alarm();
    });
    expect(await sent()).toBe(1);
    expect(await clock.states(id)).toMatchObject([{ state: "delivered" }]);
  });

  it("the object, between the final dot and its reply: that one message is sent again, and no other", async () => {
    await sender.smartHost.set({ steps: { final: [null, { silent: true, taken: true }, null] } });
    for (const to of ["one@example.net", "two@example.net", "three@example.net"]) await clock.write({ to: [to] });
    await runInDurableObject(outbound(sender.domain), async (object: OutboundObject) => {
      // Stuck for as long as a reply may take.
      object.alarm().catch(() => "cut off");
      while ((await sender.smartHost.messages()).length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
    });
    await anew(async (next) => {
      await next.alarm();
    });
    const to = (await sender.smartHost.messages()).map((message) => message.to[0] ?? "").sort();
    expect(new Set(to).size).toBe(3);
    expect(to).toHaveLength(4);
  });

  it("R2: the message waits, and goes out when R2 answers again", async () => {
    const id = await clock.write(MESSAGE);
    clock.env = { ...env, MAIL: withCalls(env.MAIL, { get: fails("R2") }) } as Env;
    await clock.enter();
    await clock.run();
    expect(await clock.states(id)).toMatchObject([{ state: "waiting" }]);
    clock.env = env as Env;
    await clock.enter();
    await clock.run(60);
    expect(await sent()).toBe(1);
  });

  it("its octets are gone: an administrator hears of it, and in the end the writer", async () => {
    const id = await clock.write(MESSAGE);
    const { objects } = await env.MAIL.list({ include: ["customMetadata"] });
    for (const { key, customMetadata } of objects) {
      if (customMetadata?.domain === sender.domain && customMetadata.direction === "out") await env.MAIL.delete(key);
    }
    await clock.run(3 * 24 * 3600);
    expect(await clock.events("message_missing")).toHaveLength(1);
    expect(await clock.states(id)).toMatchObject([{ state: "expired" }]);
    expect((await folder(sender.ann, "inbox")).map(({ subject }) => subject)).toContain("[Not delivered] Hello");
  });

  it("the directory: nothing is lost, the run comes again", async () => {
    await clock.write(MESSAGE);
    clock.env = { ...env, DIRECTORY: withCalls(env.DIRECTORY, { prepare: down("D1") }) } as Env;
    await clock.enter();
    await clock.run();
    expect([await sent(), await clock.next()]).toEqual([0, 60]);
    clock.env = env as Env;
    await clock.enter();
    await clock.run(60);
    expect(await sent()).toBe(1);
  });

  it("a report that was stored, and of which that was not heard, is in the inbox once", async () => {
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    await clock.write(MESSAGE);
    // The third statement of this kind would say that the report is done.
    let told = 0;
    const deaf = withCalls(env.SHARD_0, {
      prepare: (sql: string) =>
        sql.startsWith("UPDATE outgoing_recipient") && ++told > 1 ? down("D1")() : env.SHARD_0.prepare(sql),
    });
    clock.env = { ...env, SHARD_0: deaf } as Env;
    await clock.enter();
    await clock.run();
    await runInDurableObject(outbound(sender.domain), (_object, state) => {
      // Died before it was recorded.
      state.storage.sql.exec("DELETE FROM progress");
    });
    clock.env = env as Env;
    await clock.enter();
    await clock.run(120);
    expect(await folder(sender.ann, "inbox")).toHaveLength(1);
    expect(await clock.next()).toBeNull();
  });

  it("a report that was stored and answered as if it was not, is in the inbox once: the next is the same, octet for octet", async () => {
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    await clock.write(MESSAGE);
    const late = withCalls(env.SHARD_0, {
      batch: async (statements: D1PreparedStatement[]) => {
        await env.SHARD_0.batch(statements);
        clock.now += 10_000;
        throw new Error("D1 took too long");
      },
    });
    clock.env = { ...env, SHARD_0: late } as Env;
    await clock.enter();
    await clock.run();
    expect(await folder(sender.ann, "inbox")).toHaveLength(1);
    clock.env = env as Env;
    await clock.enter();
    await clock.run(3600);
    expect(await folder(sender.ann, "inbox")).toHaveLength(1);
    expect(await clock.next()).toBeNull();
  });

  /** The object starts anew on what the one before has stored. */
  async function anew(act: (next: OutboundObject) => Promise<void>): Promise<void> {
    await runInDurableObject(outbound(sender.domain), async (_object: OutboundObject, state) => {
      const next = new OutboundObject(state, env as Env);
      await state.blockConcurrencyWhile(async () => undefined); // until it has read its storage
      clock.into(next);
      await act(next);
    });
  }
});

describe("many at once", () => {
  it("each message goes out once, however often the object is woken", async () => {
    await Promise.all(
      Array.from({ length: 40 }, async (_, number) => {
        await clock.write({ to: [`r${number}@example.net`] });
        if (number % 5 === 0) await clock.run();
      }),
    );
    await clock.run();
    const to = (await sender.smartHost.messages()).map((message) => message.to[0]);
    expect([to.length, new Set(to).size]).toEqual([40, 40]);
  });
});
