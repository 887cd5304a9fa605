/** What a run takes of the origin, of the platform and of D1, and what it does when they give way. */
import { describe, expect, it } from "vitest";
import { FLIGHT_LEASE, MAX_BUFFERED_BYTES } from "../../../src/core/limits.ts";
import type { Outcome } from "../../../src/core/outcome.ts";
import { flightKey, type RawMessage } from "../../../src/worker/failback/ports.ts";
import { prove } from "../../../src/worker/failback/proof.ts";
import { accepted, type Bench, inMemory, onBench } from "./bench.ts";

const deferral: Outcome = {
  kind: "unavailable",
  where: "origin",
  phase: "final",
  reason: "reply",
  reply: { code: 451, enhanced: "4.3.0", text: "later" },
};

function fill(bench: Bench, messages: number): void {
  for (let i = 1; i <= messages; i++) bench.add(0, i, i, `m${i}`, `user${i}`);
}

/** A connection's turn: the others go on meanwhile. */
async function others(): Promise<void> {
  await scheduler.wait(1);
}

describe("a recovering server is fragile: a run", () => {
  it("backs off when it defers, and adds connections again when it answers well", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 80);
      let finals = 0;
      bench.answer = async () => {
        await others();
        finals++;
        return finals === 30 || finals === 31 ? deferral : accepted;
      };
      expect(await bench.run()).toMatchObject({ end: "done", delivered: 78, deferred: 2, peak: 4 });
      const before = Math.max(...bench.widths.slice(0, 30));
      const after = Math.min(...bench.widths.slice(34, 40));
      expect(before).toBe(4);
      expect(after).toBe(1);
      expect(Math.max(...bench.widths.slice(40))).toBeGreaterThan(1);
      expect(bench.open).toBe(0);
    });
  });

  it("ends at a timeout, whatever the step, and the message waits", async () => {
    for (const phase of ["mail", "rcpt", "data", "final"] as const) {
      await onBench([0], async (bench) => {
        fill(bench, 3);
        bench.answer = () => ({ kind: "unavailable", where: "origin", phase, reason: "timeout" });
        expect(await bench.run()).toMatchObject({ end: "unavailable", delivered: 0, deferred: 1 });
        expect(bench.left()).toEqual([1, 2, 3]);
      });
    }
  });
});

describe("the six connections of an invocation", () => {
  /** Counts the bodies of R2 that are open at the same time. */
  function counted(octets: () => Uint8Array<ArrayBuffer>): {
    most: number;
    open: number;
    raw: () => Promise<RawMessage>;
  } {
    const count = { most: 0, open: 0, raw };
    async function raw(): Promise<RawMessage> {
      count.open++;
      count.most = Math.max(count.most, count.open);
      await others();
      const rest = [octets()];
      const size = rest[0]?.length ?? 0;
      const body = new ReadableStream<Uint8Array>(
        {
          async pull(controller) {
            await others();
            const chunk = rest.shift();
            if (chunk) return controller.enqueue(chunk);
            count.open--;
            controller.close();
          },
          cancel() {
            count.open--;
          },
        },
        { highWaterMark: 0 },
      );
      return { size, body, whole: () => new Response(body).arrayBuffer() };
    }
    return count;
  }

  it("are kept: over four connections to the origin, R2 is read by one at a time", async () => {
    for (const size of [10, MAX_BUFFERED_BYTES + 1]) {
      await onBench([0], async (bench) => {
        fill(bench, 40);
        const count = counted(() => new Uint8Array(size));
        bench.raw = count.raw;
        bench.answer = async () => {
          await others();
          return accepted;
        };
        expect(await bench.run()).toMatchObject({ end: "done", delivered: 40, peak: 4 });
        expect(count).toMatchObject({ most: 1, open: 0 });
      });
    }
  });

  it("are given back where the origin does not want the octets", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 3);
      const count = counted(() => new Uint8Array(MAX_BUFFERED_BYTES + 1));
      bench.raw = count.raw;
      bench.begin = () => ({ kind: "refused", phase: "rcpt", reply: { code: 550, text: "no" } });
      expect(await bench.run()).toMatchObject({ end: "done", refused: 3 });
      expect(count).toMatchObject({ most: 1, open: 0 });
    });
  });
});

describe("a claim", () => {
  it("whose run ended without a word holds the message until its lease ends, then it is sent", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 1);
      expect(bench.flights.claim(flightKey("m1", "user1"), 0, bench.now, bench.now, false)).toBe(0);
      bench.now += FLIGHT_LEASE;
      await bench.run();
      expect(bench.sent).toEqual([]);
      bench.now += 1;
      await bench.run();
      expect(bench.sent).toEqual(["user1"]);
      expect(bench.left()).toEqual([]);
    });
  });

  it("is made by one run alone", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 30);
      bench.answer = async () => {
        await others();
        return accepted;
      };
      const [one, two] = await Promise.all([bench.run(), bench.run()]);
      expect(one.delivered + two.delivered).toBe(30);
      expect(new Set(bench.sent).size).toBe(bench.sent.length);
    });
  });
});

describe("refused alike", () => {
  it("messages are marked in one write", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 20);
      bench.answer = (to) => ({
        kind: "refused",
        phase: "rcpt",
        reply: { code: 550, enhanced: "5.1.1", text: to === "user7" ? "moved away" : "no such user" },
      });
      expect(await bench.run()).toMatchObject({ refused: 20 });
      expect(bench.markings.map((ids) => ids.length).sort((a, b) => a - b)).toEqual([1, 19]);
    });
  });
});

describe("octets whose line ends were changed", () => {
  it("are an event once the origin has decided, not at each try", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 1);
      bench.lineEndsChanged = true;
      bench.answer = () => deferral;
      await bench.run();
      expect(bench.events).toEqual([]);
      bench.answer = () => accepted;
      bench.now += 3600_000;
      await bench.run();
      expect(bench.events.map((event) => event.kind)).toEqual(["line_ends_changed"]);
    });
  });
});

describe("the proof", () => {
  it("sends exactly one message, the oldest", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 5);
      expect(await prove(bench.ports(), [])).toMatchObject({ ok: true });
      expect(bench.sent).toEqual(["user1"]);
    });
  });

  it("where the octets of the oldest are missing, is the next one", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 3);
      bench.raw = async (key) => (key === "m1" ? null : inMemory("x"));
      expect(await prove(bench.ports(), [])).toMatchObject({ ok: true });
      expect(bench.sent).toEqual(["user2"]);
      expect(bench.left()).toEqual([1, 3]);
    });
  });

  it("of a message that is refused or deferred is none", async () => {
    for (const answer of [deferral, { kind: "refused", phase: "final", reply: { code: 554, text: "no" } } as const]) {
      await onBench([0], async (bench) => {
        fill(bench, 2);
        bench.answer = () => answer;
        expect(await prove(bench.ports(), ["postmaster"])).toMatchObject({ ok: false });
        expect(bench.sent).toEqual(["user1"]);
      });
    }
  });

  it("is not held up by a message that the origin defers for a reason of its own: the next proof tries another", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 3);
      bench.answer = (to) => (to === "user1" ? deferral : accepted);
      expect(await prove(bench.ports(), [])).toMatchObject({ ok: false });
      // Long after its pause: it is the oldest still.
      bench.now += 3600_000;
      expect(await prove(bench.ports(), [])).toMatchObject({ ok: true });
      expect(bench.sent).toEqual(["user1", "user2"]);
    });
  });

  it("leaves a message that it passes over its count of tries, also when its pause has been over for a while", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 1);
      bench.answer = () => deferral;
      await bench.run();
      const before = bench.flights.get(flightKey("m1", "user1"));
      expect(before).toMatchObject({ state: "deferred", attempts: 1 });
      // An alarm comes a little late.
      bench.now = (before?.dueAt ?? 0) + 1;
      expect(await bench.run({ deferred: "none" })).toMatchObject({ end: "done", deferred: 0 });
      expect(bench.flights.get(flightKey("m1", "user1"))).toEqual(before);
    });
  });

  it("goes to a message that was deferred before where all were", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 1);
      bench.answer = () => deferral;
      await prove(bench.ports(), []);
      bench.answer = () => accepted;
      expect(await prove(bench.ports(), [])).toMatchObject({ ok: true });
      expect(bench.sent).toEqual(["user1", "user1"]);
    });
  });

  it("while our own storage gives no message is MAIL, RCPT and RSET: the origin is not less available for it", async () => {
    await onBench([0], async (bench) => {
      fill(bench, 2);
      bench.raw = () => Promise.reject(new Error("R2 is away"));
      expect(await prove(bench.ports(), ["postmaster"])).toMatchObject({ ok: true });
      expect(bench.sent).toEqual([]);
      expect(bench.left()).toEqual([1, 2]);
    });
  });

  it("by MAIL, RCPT and RSET asks for the next address where one is refused, and needs the RSET too", async () => {
    await onBench([0], async (bench) => {
      const asked: string[] = [];
      bench.rcpt = (to) => {
        asked.push(to);
        return to === "gone" ? { kind: "refused", phase: "rcpt", reply: { code: 550, text: "no" } } : accepted;
      };
      expect(await prove(bench.ports(), ["gone", "ada", "bob"])).toMatchObject({ ok: true });
      expect(asked).toEqual(["gone", "ada"]);
      bench.reset = () => ({ kind: "unavailable", where: "origin", phase: "reset", reason: "dropped" });
      expect(await prove(bench.ports(), ["ada"])).toMatchObject({ ok: false });
    });
  });
});
