/** Further invocations that send for a run: what becomes of their messages when they, or the domain's object, end without a word. */

import { env } from "cloudflare:test";
import { RpcTarget } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FLIGHT_LEASE } from "../../../src/core/limits.ts";
import type { Route } from "../../../src/worker/domain/contract.ts";
import type { CarrierRpc } from "../../../src/worker/failback/carrier.ts";
import type { Assignment, Desk, Orders, Recalled, Report } from "../../../src/worker/failback/exchange.ts";
import { type Carrier, flightKey } from "../../../src/worker/failback/ports.ts";
import { NOON, TestDomain } from "../domain/fixture.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { accepted, type Bench, onBench } from "./bench.ts";

const nothing: Recalled = { reports: [], busy: [] };
const delivered = (key: string): Report => ({ kind: "sent", key, outcome: accepted, took: 1, lineEndsChanged: false });

function fill(bench: Bench, messages: number): void {
  for (let i = 1; i <= messages; i++) bench.add(0, i, i, `m${i}`, `user${i}`);
  // The connections of this invocation leave something for the others.
  bench.answer = async () => {
    await scheduler.wait(2);
    return accepted;
  };
}

/** Another invocation that takes one message and is then lost, once. */
function losing(recalled: (slot: number, key: string) => Recalled | Promise<never>): {
  readonly carrier: Carrier;
  readonly held: string[];
} {
  const held: string[] = [];
  let slot = -1;
  let asked = false;
  const carrier: Carrier = {
    async carry(mine, desk) {
      if (asked) return [];
      asked = true;
      const { claimed } = await desk.exchange(mine, [{ kind: "connected" }], true);
      if (!claimed) return [];
      slot = mine;
      held.push(claimed.key);
      throw new Error("lost");
    },
    recall: async () => recalled(slot, held[0] ?? ""),
  };
  return { carrier, held };
}

const userOf = (key: string | undefined) => key?.split("\n")[1];

describe("where another invocation is lost", () => {
  it("and says when it is called back that a message was delivered, it is not sent again", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 60);
      const { carrier, held } = losing((slot, key) => ({ ...nothing, reports: [{ slot, report: delivered(key) }] }));
      bench.carriers = () => carrier;
      expect(await bench.run({ connections: 20 })).toMatchObject({ end: "done", delivered: 60 });
      expect(held).toHaveLength(1);
      expect(bench.sent).not.toContain(userOf(held[0]));
      expect(bench.left()).toEqual([]);
    });
  });

  it("and knows nothing when it is called back, its message is sent by another", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 60);
      const { carrier, held } = losing(() => nothing);
      bench.carriers = () => carrier;
      expect(await bench.run({ connections: 20 })).toMatchObject({ end: "done", delivered: 60 });
      expect(bench.sent.filter((to) => to === userOf(held[0]))).toHaveLength(1);
    });
  });

  it.each<[string, (slot: number) => Recalled | Promise<never>]>([
    ["and does not answer when it is called back", () => Promise.reject(new Error("away"))],
    ["and still waits for the reply to a final dot", (slot) => ({ reports: [], busy: [slot] })],
  ])("%s, its message stays claimed until the lease ends", async (_how, recalled) => {
    await onBench([0], async (bench) => {
      fill(bench, 60);
      const { carrier, held } = losing(recalled);
      bench.carriers = () => carrier;
      await bench.run({ connections: 20 });
      expect(bench.sent).toHaveLength(59);
      expect(bench.left()).toHaveLength(1);
      // A person hears 409 meanwhile.
      expect(bench.flights.withdraw([held[0] ?? ""], bench.now)).toEqual(held);
      await bench.run({ connections: 20 });
      expect(bench.sent).toHaveLength(59);
      bench.now += FLIGHT_LEASE + 1;
      await bench.run({ connections: 20 });
      expect(bench.sent.slice(59)).toEqual([userOf(held[0])]);
      expect(bench.left()).toEqual([]);
    });
  });
});

describe("after the domain's object has died while others sent for it", () => {
  it("they are called back first: what they delivered is not sent again, what they left is", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 3);
      const key = (n: number) => flightKey(`m${n}`, `user${n}`);
      for (const n of [1, 2, 3]) bench.flights.claim(key(n), 3 + n, bench.now, bench.now, false);
      bench.flights.recover();
      const asked: (readonly number[])[] = [];
      bench.carriers = () => ({
        carry: async () => [],
        recall: async (slots) => {
          asked.push(slots);
          return { reports: [{ slot: 4, report: delivered(key(1)) }], busy: [6] };
        },
      });
      expect(await bench.run()).toMatchObject({ delivered: 1 });
      expect(asked.flat().sort()).toEqual([4, 5, 6]);
      expect(bench.sent).toEqual(["user2"]);
      expect(bench.left()).toEqual([3]);
    });
  });
});

describe("an invocation that sends", () => {
  const orders = (claimed: Assignment | null): Orders => ({ claimed, hint: null, stop: false });

  /** A desk of the test's; it answers with what is given, and then no more. */
  class TestDesk extends RpcTarget implements Desk {
    readonly heard: Report[] = [];
    readonly #answers: (Orders | Error)[];

    constructor(answers: (Orders | Error)[]) {
      super();
      this.#answers = answers;
    }

    async exchange(_slot: number, reports: readonly Report[]): Promise<Orders> {
      const answer = this.#answers.shift() ?? orders(null);
      if (answer instanceof Error) throw answer;
      this.heard.push(...reports);
      return answer;
    }
  }

  async function mail(origin: Origin, bodies: readonly string[]) {
    const domain = await TestDomain.create({ port: origin.port });
    const ada = await domain.mailbox("ada");
    const assignments: Assignment[] = [];
    for (const body of bodies) {
      const { key, flight } = await domain.waiting({ accounts: [ada], body, at: NOON });
      const meta = await env.SHARD_0.prepare("SELECT meta FROM message WHERE key = ?1").bind(key).first<string>("meta");
      assignments.push({ key: flight, object: key, meta: JSON.parse(meta ?? "null"), size: 50 });
    }
    const route: Route = { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none" };
    return { assignments, route, carrier: env.CARRIER.getByName(`${domain.name}/1`) as unknown as CarrierRpc };
  }

  it("sends no final dot where the domain's object does not confirm what became of the message before", async () => {
    const origin = await createOrigin();
    const { assignments, route, carrier } = await mail(origin, ["one", "two", "three"]);
    const [one = null, two = null] = assignments;
    const desk = new TestDesk([orders(one), orders(two), new Error("gone")]);
    const unheard = await carrier.carry(4, route, desk);
    expect(unheard).toMatchObject([{ kind: "sent", key: one?.key, outcome: { kind: "delivered" } }]);
    const { messages, transcript } = await origin.report();
    expect(messages).toHaveLength(1);
    // The second was announced, and its octets may have been sent; its end was not.
    expect(transcript.filter((line) => line === "C: DATA")).toHaveLength(2);
    // Should the answer not arrive.
    expect(await carrier.recall([4])).toEqual({ reports: [{ slot: 4, report: unheard[0] }], busy: [] });
  });

  it("leaves what has not had its final dot when it is told to stop", async () => {
    const origin = await createOrigin();
    const { assignments, route, carrier } = await mail(origin, ["one", "two"]);
    const [one = null, two = null] = assignments;
    const desk = new TestDesk([orders(one), orders(two), { ...orders(null), stop: true }]);
    await carrier.carry(4, route, desk);
    expect(await origin.messages()).toHaveLength(1);
    expect(desk.heard.map((report) => report.kind)).toEqual(["connected", "sent", "returned"]);
  });

  it("called back, waits for a reply that is due, or says that it is still waiting", async () => {
    const origin = await createOrigin({ steps: { final: { delay: 3_000 } } });
    const { assignments, route, carrier } = await mail(origin, ["one"]);
    const desk = new TestDesk([orders(assignments[0] ?? null), orders(null), new Error("gone")]);
    const carried = carrier.carry(5, route, desk);
    await expect.poll(async () => (await origin.messages()).length, { timeout: 10_000 }).toBe(1);
    expect(await carrier.recall([5])).toEqual({ reports: [], busy: [5] });
    await carried;
    expect(await carrier.recall([5])).toMatchObject({ reports: [{ slot: 5, report: { kind: "sent" } }], busy: [] });
  }, 20_000);

  it("has four connections at most, whoever asks", async () => {
    const origin = await createOrigin({ steps: { greeting: { delay: 500 } } });
    const { assignments, route, carrier } = await mail(origin, ["1", "2", "3", "4", "5"]);
    const desks = assignments.map((one) => new TestDesk([orders(one)]));
    await Promise.all(desks.map((desk, index) => carrier.carry(4 + index, route, desk)));
    expect(desks.map((desk) => desk.heard.length).sort()).toEqual([0, 2, 2, 2, 2]);
    expect((await origin.report()).peak).toBe(4);
  });
});

describe("a message announced behind the one before", () => {
  it("is the next one, where the origin does pipelining; one connection announces all but the first", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 5);
      bench.extensions = ["PIPELINING"];
      await bench.run({ connections: 1 });
      expect(bench.sent).toEqual(["user1", "user2", "user3", "user4", "user5"]);
      expect(bench.announced).toEqual(["user2", "user3", "user4", "user5"]);
    });
  });

  it("that the origin never answers is sent again without announcing, and nothing more is announced", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 4);
      bench.extensions = ["PIPELINING"];
      let begun = 0;
      bench.begin = () => {
        begun++;
        return begun === 2 ? { kind: "unavailable", where: "origin", phase: "mail", reason: "timeout" } : null;
      };
      expect(await bench.run({ connections: 1 })).toMatchObject({ end: "done", delivered: 4, deferred: 0 });
      expect(bench.sent).toEqual(["user1", "user2", "user3", "user4"]);
      expect(bench.announced).toEqual(["user2"]);
    });
  });

  it("is given back unsent where the one before ends the run", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 3);
      bench.extensions = ["PIPELINING"];
      bench.answer = () => ({ kind: "unavailable", where: "origin", phase: "final", reason: "dropped" });
      expect(await bench.run({ connections: 1 })).toMatchObject({ end: "unavailable", deferred: 1 });
      expect(bench.flights.get(flightKey("m2", "user2"))).toMatchObject({ state: "deferred", attempts: 0 });
    });
  });
});
