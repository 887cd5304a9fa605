/** Slices over ports of the test: several shards, and people who act meanwhile. */
import { describe, expect, it } from "vitest";
import { FLIGHT_MEMORY } from "../../../src/core/limits.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { onBench } from "./bench.ts";

const LATER = { code: 451, enhanced: "4.2.0", text: "later" };

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

  it("one of them that does not answer keeps the others' mail from nobody; its own goes out when it does", async () => {
    await onBench([0, 1, 2], async (bench) => {
      bench.add(0, 1, 20, "b", "second");
      bench.add(1, 2, 10, "a", "first");
      bench.add(2, 3, 30, "c", "third");
      bench.down.add(1);
      const result = await bench.run({ connections: 1 });
      expect(bench.sent).toEqual(["second", "third"]);
      expect(result).toMatchObject({ end: "partly", why: "Error: shard 1 is down", delivered: 2 });
      expect(bench.left()).toEqual([2]);
      bench.down.clear();
      expect(await bench.run()).toMatchObject({ end: "done", delivered: 1 });
      expect(bench.sent).toEqual(["second", "third", "first"]);
    });
  });

  it("an alias over two of them, one of which does not answer, is sent once, and leaves the other when that answers", async () => {
    await onBench([0, 1], async (bench) => {
      bench.add(0, 1, 10, "a", "info");
      bench.add(1, 2, 10, "a", "info");
      bench.down.add(1);
      await bench.run();
      expect(bench.left()).toEqual([2]);
      bench.down.clear();
      bench.now += 2 * FLIGHT_MEMORY;
      expect(await bench.run()).toMatchObject({ end: "done" });
      expect(bench.sent).toEqual(["info"]);
      expect(bench.left()).toEqual([]);
    });
  });

  it("what is deferred is not forgotten while one of them does not answer", async () => {
    await onBench([0, 1], async (bench) => {
      bench.add(1, 1, 10, "a", "ada");
      bench.answer = () => ({ kind: "unavailable", where: "origin", phase: "rcpt", reason: "reply", reply: LATER });
      await bench.run();
      bench.down.add(1);
      bench.now += 10 * FLIGHT_MEMORY;
      await bench.run();
      expect(bench.flights.get(flightKey("a", "ada"))).toMatchObject({ state: "deferred", attempts: 1 });
    });
  });

  it("none of which answers end the run, as all of our storage", async () => {
    await onBench([0, 1], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.down.add(0).add(1);
      expect(await bench.run()).toMatchObject({ end: "storage", delivered: 0 });
      expect(bench.sent).toEqual([]);
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

  it("who shares it with somebody else is sent only after both are done with their copies", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "info");
      const key = flightKey("a", "info");
      bench.flights.withdraw([key], bench.now);
      bench.flights.withdraw([key], bench.now);
      bench.flights.settle([key], bench.now);
      bench.now += 1;
      await bench.run();
      expect(bench.sent).toEqual([]);
      bench.flights.settle([key], bench.now);
      bench.now += 1;
      await bench.run();
      expect(bench.sent).toEqual(["info"]);
    });
  });

  it("is blocked a minute at most, should nobody settle it", async () => {
    await onBench([0], async (bench) => {
      bench.add(0, 1, 10, "a", "ada");
      bench.flights.withdraw([flightKey("a", "ada")], bench.now);
      expect(bench.flights.nextDue()).toBe(bench.now + 60_001);
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
