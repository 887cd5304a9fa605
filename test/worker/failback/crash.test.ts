/** The object ends without a word, at the worst moments: nothing is lost, and nearly nothing is sent twice. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { OpenedSession } from "../../../src/worker/deliver/session.ts";
import { isOpen, isWriter, type OriginSession } from "../../../src/worker/deliver/session.ts";
import { DomainObject } from "../../../src/worker/domain/object.ts";
import { realWorld } from "../../../src/worker/domain/origin.ts";
import { wakeAll } from "../../../src/worker/failback/wake.ts";
import { TestDomain } from "../domain/fixture.ts";
import { createOrigin, type TakenMessage } from "../origin-control.ts";

const decoder = new TextDecoder();
const bodies = (messages: readonly TakenMessage[]): string[] =>
  messages.map((message) => decoder.decode(message.raw).split("\r\n\r\n")[1]?.trim() ?? "");

async function open() {
  const origin = await createOrigin();
  const domain = await TestDomain.create({ port: origin.port, switching: "manual" });
  const ada = await domain.mailbox("ada");
  await domain.start();
  await domain.run(0);
  return { origin, domain, ada };
}

/** Sessions whose 250 to the message with that number never comes to our knowledge. */
function deafAfter(number: number, heard: () => void): (opened: OpenedSession) => OpenedSession {
  let finals = 0;
  return (opened) => {
    if (!isOpen(opened)) return opened;
    const real = opened.session;
    const begin: OriginSession["begin"] = async (parameters, to) => {
      const writer = await real.begin(parameters, to);
      if (!isWriter(writer)) return writer;
      return {
        lineEndsChanged: false,
        write: (chunk) => writer.write(chunk),
        abort: () => writer.abort(),
        async finish(timeout) {
          const outcome = await writer.finish(timeout);
          finals++;
          if (finals !== number) return outcome;
          heard();
          return new Promise(() => undefined);
        },
      };
    };
    const session = new Proxy(real, {
      get: (target, name) => {
        if (name === "begin") return begin;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { ...opened, session };
  };
}

/**
 * The object starts anew on what the one before has stored, which is stuck for ever where the test has left it.
 * @param begin makes the one before work, until it is stuck
 */
async function restarted(domain: TestDomain, begin: (object: DomainObject) => Promise<void>): Promise<void> {
  await runInDurableObject(domain.object, async (object: DomainObject, state) => {
    await begin(object);
    const next = new DomainObject(state, env);
    await state.blockConcurrencyWhile(async () => undefined); // until it has read its storage
    next.world = { ...realWorld(env), now: () => domain.now, random: () => 0.5, probe: object.world.probe };
    await next.wake(domain.name);
    await next.alarm();
  });
}

describe("after a crash", () => {
  it("between the origin's 250 and our record, that one message is sent again and no other", async () => {
    const { origin, domain, ada } = await open();
    const placements: number[] = [];
    for (const body of ["one", "two", "three"]) {
      placements.push(...(await domain.waiting({ accounts: [ada], body })).placements);
    }
    await restarted(domain, async (object) => {
      await object.report([{ kind: "waiting" }]);
      domain.wait(40);
      await new Promise<void>((stuck) => {
        const deafen = deafAfter(2, stuck);
        object.world = { ...object.world, open: async (route) => deafen(await realWorld(env).open(route)) };
        void object.alarm();
      });
    });
    expect(bodies(await origin.messages())).toEqual(["one", "two", "two", "three"]);
    expect(await domain.states(placements)).toEqual(["gone", "gone", "gone"]);
  });

  it("between our record and D1, nothing is sent again", async () => {
    const { origin, domain, ada } = await open();
    const placements: number[] = [];
    for (const body of ["one", "two"]) placements.push(...(await domain.waiting({ accounts: [ada], body })).placements);
    await restarted(domain, async (object) => {
      await object.report([{ kind: "waiting" }]);
      domain.wait(40);
      await new Promise<void>((stuck) => {
        Object.defineProperty(env.SHARD_0, "batch", {
          configurable: true,
          value: () => {
            stuck();
            return new Promise(() => undefined);
          },
        });
        void object.alarm();
      });
      Reflect.deleteProperty(env.SHARD_0, "batch");
      expect(await domain.states(placements)).toEqual(["waiting", "waiting"]);
    });
    expect(bodies(await origin.messages())).toEqual(["one", "two"]);
    expect(await domain.states(placements)).toEqual(["gone", "gone"]);
  });

  it("in the middle of a run, its numbers and the run go on", async () => {
    const { domain, ada } = await open();
    for (const body of ["one", "two", "three"]) await domain.waiting({ accounts: [ada], body });
    await restarted(domain, async (object) => {
      await object.report([{ kind: "waiting" }]);
      domain.wait(40);
      await new Promise<void>((stuck) => {
        const deafen = deafAfter(1, stuck);
        object.world = { ...object.world, open: async (route) => deafen(await realWorld(env).open(route)) };
        void object.alarm();
      });
      expect((await object.status())?.run).toMatchObject({ startedAt: domain.now });
      domain.wait(7);
    });
    expect((await domain.events("failback_run")).at(-1)?.data).toMatchObject({ delivered: 3, milliseconds: 7000 });
  });
});

describe("where D1 does not take what was delivered", () => {
  it("it is told later, and the origin does not get the mail twice", async () => {
    const { origin, domain, ada } = await open();
    const { placements } = await domain.waiting({ accounts: [ada] });
    await domain.rpc.report([{ kind: "waiting" }]);
    Object.defineProperty(env.SHARD_0, "batch", {
      configurable: true,
      value: () => Promise.reject(new Error("D1 is away")),
    });
    await domain.run(40);
    Reflect.deleteProperty(env.SHARD_0, "batch");
    expect((await domain.events("failback_run"))[0]?.data).toMatchObject({ delivered: 1, end: "storage" });
    expect(await domain.states(placements)).toEqual(["waiting"]);
    await domain.run(60);
    expect(await domain.states(placements)).toEqual(["gone"]);
    expect(await origin.messages()).toHaveLength(1);
  });
});

describe("cron", () => {
  it("wakes each domain with a backlog, though its object knows nothing of it", async () => {
    const { origin, domain, ada } = await open();
    const { placements } = await domain.waiting({ accounts: [ada] });
    await domain.run(300);
    expect(await domain.states(placements)).toEqual(["waiting"]);
    await wakeAll(env);
    await domain.run(0);
    expect(await domain.states(placements)).toEqual(["gone"]);
    expect(await origin.messages()).toHaveLength(1);
  });

  it("lets no object that fails keep the others waiting", async () => {
    const { domain, ada } = await open();
    const broken = await TestDomain.create({ switching: "manual" });
    const eve = await broken.mailbox("eve");
    await broken.waiting({ accounts: [eve] });
    await domain.waiting({ accounts: [ada] });
    const woken: string[] = [];
    const stub = (name: string) => ({
      wake: async () => {
        if (name === broken.name) throw new Error("this object is broken");
        woken.push(name);
      },
    });
    await wakeAll({ ...env, DOMAIN: { getByName: stub } as unknown as typeof env.DOMAIN });
    expect(woken).toContain(domain.name);
  });
});
