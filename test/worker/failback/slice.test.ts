/** Slices over ports of the test: several shards, and people who act meanwhile. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../src/core/outcome.ts";
import type { MessageMeta } from "../../../src/worker/archive/meta.ts";
import type { OriginSession } from "../../../src/worker/deliver/session.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { Flights } from "../../../src/worker/failback/flights.ts";
import { type FailbackPorts, flightKey } from "../../../src/worker/failback/ports.ts";
import { runSlice, type SliceResult } from "../../../src/worker/failback/slice.ts";
import type { WaitingMessage } from "../../../src/worker/store/backlog.ts";
import { TestDomain } from "../domain/fixture.ts";

const accepted: Outcome = { kind: "delivered", reply: { code: 250, text: "ok" } };
const OPTIONS = { messages: 500, connections: 4, time: 20_000, early: false };

/** A backlog in memory, an origin that takes everything, and what came of it. */
class Bench {
  now = 1_000_000;
  readonly sent: string[] = [];
  readonly shards: Map<number, WaitingMessage[]>;
  flights: Flights;
  /** Called when a message is about to be sent. */
  before: (to: string) => void = () => undefined;
  answer: (to: string) => Outcome = () => accepted;

  constructor(flights: Flights, shards: readonly number[]) {
    this.flights = flights;
    this.shards = new Map(shards.map((shard) => [shard, []]));
  }

  add(shard: number, id: number, waiting: number, object: string, to: string): void {
    const meta = {
      receipt: { id: object, at: 0, host: "mx.holdfast.test", client: { ip: "", helo: "x", protocol: "ESMTP" } },
      envelope: { from: "", to, body: "7BIT", smtputf8: false },
    } as unknown as MessageMeta;
    this.shards.get(shard)?.push({ id, account: id, waiting, message: id, key: object, size: 1, flags: 0, meta });
  }

  left(): number[] {
    return [...this.shards.values()].flat().map((row) => row.id);
  }

  run(options: Partial<typeof OPTIONS> = {}): Promise<SliceResult> {
    return runSlice(this.ports(), { ...OPTIONS, ...options });
  }

  ports(): FailbackPorts {
    return {
      shards: [...this.shards.keys()],
      flights: this.flights,
      backlog: async (shard, after, limit) =>
        (this.shards.get(shard) ?? [])
          .filter(
            (row) => !after || row.waiting > after.waiting || (row.waiting === after.waiting && row.id > after.id),
          )
          .slice(0, limit),
      raw: async () => ({ size: 1, body: new Response("x").body ?? new ReadableStream() }),
      open: async () => ({ session: this.#session(), greeting: { kind: "delivered", reply: { code: 220, text: "" } } }),
      removeDelivered: async (shard, ids) => this.#remove(shard, ids),
      markRefused: async (shard, ids) => this.#remove(shard, ids),
      clock: () => this.now,
      random: () => 0.5,
      observe: () => undefined,
      event: () => undefined,
      mayGoOn: () => true,
    };
  }

  #remove(shard: number, ids: readonly number[]): void {
    this.shards.set(
      shard,
      (this.shards.get(shard) ?? []).filter((row) => !ids.includes(row.id)),
    );
  }

  #session(): OriginSession {
    return {
      usable: true,
      extensions: new Map(),
      mail: async () => accepted,
      rcpt: async () => accepted,
      data: () => Promise.reject(new Error("not used")),
      reset: async () => accepted,
      noop: async () => accepted,
      close: () => undefined,
      begin: async (_parameters, to) => {
        this.before(to);
        return {
          lineEndsChanged: false,
          write: async () => null,
          abort: () => undefined,
          finish: async () => {
            this.sent.push(to);
            return this.answer(to);
          },
        };
      },
    };
  }
}

async function onBench<T>(shards: readonly number[], test: (bench: Bench) => Promise<T>): Promise<T> {
  const domain = await TestDomain.create();
  await domain.start();
  return runInDurableObject(domain.object, (_object, state) =>
    test(new Bench(new Flights(openDatabase(state.storage)), shards)),
  );
}

describe("the shards of a domain", () => {
  it("are merged, oldest first", async () => {
    await onBench([0, 1, 2], async (bench) => {
      bench.add(0, 1, 10, "a", "first");
      bench.add(0, 2, 40, "d", "fourth");
      bench.add(1, 3, 20, "b", "second");
      bench.add(2, 4, 30, "c", "third");
      const result = await bench.run({ connections: 1 });
      expect(bench.sent).toEqual(["first", "second", "third", "fourth"]);
      expect(result).toMatchObject({ end: "done", delivered: 4 });
      expect(bench.left()).toEqual([]);
    });
  });

  it("an alias over two of them is sent once, and leaves both", async () => {
    await onBench([0, 1], async (bench) => {
      bench.add(0, 1, 10, "a", "info");
      bench.add(1, 2, 10, "a", "info");
      await bench.run();
      expect(bench.sent).toEqual(["info"]);
      expect(bench.left()).toEqual([]);
    });
  });

  it("a copy that one of them shows only after the message went out leaves it too, without another sending", async () => {
    await onBench([0, 1], async (bench) => {
      bench.add(0, 1, 10, "a", "info");
      await bench.run();
      bench.add(1, 2, 10, "a", "info");
      bench.now += 60_000;
      await bench.run();
      expect(bench.sent).toEqual(["info"]);
      expect(bench.left()).toEqual([]);
    });
  });

  it("one message to two addresses goes to both", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.add(0, 2, 10, "a", "bob");
      await bench.run({ connections: 1 });
      expect(bench.sent).toEqual(["ada", "bob"]);
    });
  });
});

describe("a message that a person acts on", () => {
  it("while it is being sent cannot be withdrawn, nor can those that were named with it", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      const key = flightKey("a", "ada");
      let answers: string[] = [];
      bench.before = () => {
        answers = bench.flights.withdraw(["other", key], bench.now);
      };
      await bench.run();
      expect(answers).toEqual([key]);
      expect(bench.flights.get("other")).toBeNull();
      expect(bench.flights.withdraw([key], bench.now)).toEqual([key]); // the origin has it
    });
  });

  it("before its turn is not sent, although the backlog was read before", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.add(0, 2, 20, "b", "bob");
      const key = flightKey("b", "bob");
      bench.before = () => {
        bench.now += 5;
        expect(bench.flights.withdraw([key], bench.now)).toEqual([]);
        bench.flights.settle([key], bench.now);
      };
      await bench.run({ connections: 1 });
      expect(bench.sent).toEqual(["ada"]);
    });
  });

  it("is sent after all where the action failed and was settled", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      const key = flightKey("a", "ada");
      bench.flights.withdraw([key], bench.now);
      await bench.run();
      expect(bench.sent).toEqual([]);
      bench.flights.settle([key], bench.now);
      bench.now += 1;
      await bench.run();
      expect(bench.sent).toEqual(["ada"]);
    });
  });

  it("is blocked a minute at most, should nobody settle it", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.flights.withdraw([flightKey("a", "ada")], bench.now);
      expect(bench.flights.nextDue()).toBe(bench.now + 60_000);
      bench.now += 60_001;
      await bench.run();
      expect(bench.sent).toEqual(["ada"]);
    });
  });
});

describe("a slice", () => {
  it("ends at its number of messages and says that there is more", async () => {
    await onBench([0], async (bench) => {
      for (let i = 1; i <= 7; i++) bench.add(0, i, i, `m${i}`, "ada");
      expect(await bench.run({ messages: 5 })).toMatchObject({ end: "cut", delivered: 5 });
      expect(await bench.run({ messages: 5 })).toMatchObject({ end: "done", delivered: 2 });
    });
  });

  it("ends at its time and says that there is more", async () => {
    await onBench([0], async (bench) => {
      for (let i = 1; i <= 7; i++) bench.add(0, i, i, `m${i}`, "ada");
      bench.before = () => {
        bench.now += 8_000;
      };
      expect(await bench.run({ connections: 1 })).toMatchObject({ end: "cut", delivered: 3 });
    });
  });

  it("reads a backlog of many pages to its end", async () => {
    await onBench([0, 1], async (bench) => {
      for (let i = 1; i <= 250; i++) bench.add(i % 2, i, i, `m${i}`, `user${i}`);
      expect(await bench.run()).toMatchObject({ end: "done", delivered: 250 });
      expect(new Set(bench.sent).size).toBe(250);
      expect(bench.left()).toEqual([]);
    });
  });

  it("forgets, after the whole backlog was read, what is not in it any more", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.answer = () => ({
        kind: "unavailable",
        where: "origin",
        phase: "rcpt",
        reason: "reply",
        reply: { code: 451, text: "" },
      });
      await bench.run();
      bench.shards.set(0, []); // a person discarded it
      expect(bench.flights.countDeferred()).toBe(1);
      bench.now += 3600_000;
      await bench.run();
      expect(bench.flights.countDeferred()).toBe(0);
      expect(bench.flights.nextDue()).toBeNull();
    });
  });

  it("a failure of our own path is no deferral, and ends it", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.answer = () => ({ kind: "unavailable", where: "path", phase: "final", reason: "dropped" });
      expect(await bench.run()).toMatchObject({ end: "unavailable", deferred: 0 });
      expect(bench.flights.get(flightKey("a", "ada"))).toMatchObject({ state: "deferred", attempts: 0 });
    });
  });
});
