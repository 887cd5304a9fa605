import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  FIRST_WATCH_RETRY,
  LAST_WATCH_RETRY,
  WATCH_LINGER,
  WATCH_PAGE,
  WATCH_PING,
  WATCH_SILENCE,
} from "../../src/core/protocol/push/limits.ts";
import { type Change, DomainWatch } from "../../src/gateway/domain-watch.ts";
import { Watches } from "../../src/gateway/watches.ts";
import { PushDouble } from "./push-double.ts";

afterEach(() => void vi.useRealTimers());

/** Timers stand still from here on, sockets do not. */
const holdTime = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });

async function start() {
  const worker = await PushDouble.start();
  const lines: string[] = [];
  const watch = new DomainWatch(worker.link, "example.org", { random: () => 0.5, say: (line) => lines.push(line) });
  onTestFinished(() => watch.close());
  const heard: Change[] = [];
  const hear = (change: Change) => void heard.push(change);
  return { worker, watch, lines, heard, hear };
}

const changed = (seq: number | null): Change => ({ kind: "changed", seq });

describe("a gateway's watch of a domain", () => {
  it("is one connection for however many mailboxes, and each listener hears of its own", async () => {
    const { worker, watch } = await start();
    const heard = new Map<number, Change[]>();
    for (let account = 1; account <= 300; account++) {
      heard.set(account, []);
      watch.watch(account, 0, (change) => void heard.get(account)?.push(change));
    }
    await vi.waitFor(() => expect(worker.frames.flatMap(({ accounts }) => accounts as unknown[])).toHaveLength(300));
    expect(worker.frames.map(({ accounts }) => accounts.length)).toEqual([WATCH_PAGE, 300 - WATCH_PAGE]);
    expect(worker.paths).toEqual(["/gateway/watch/example.org"]);
    worker.say({ op: "changed", account: 7, seq: 3 });
    worker.say({ op: "changed", account: 8, seq: null });
    await vi.waitFor(() => expect(heard.get(8)).toEqual([changed(null)]));
    expect(heard.get(7)).toEqual([changed(3)]);
    expect([...heard.values()].flat()).toHaveLength(2);
  });

  it("tells what was missed while it was away, once", async () => {
    const { worker, watch, heard, hear } = await start();
    worker.states.set(1, 5);
    watch.watch(1, 5, hear);
    watch.watch(2, 0, hear);
    await vi.waitFor(() => expect(worker.frames.length).toBeGreaterThan(0));
    worker.drop();
    worker.states.set(1, 8);
    await vi.waitFor(() => expect(heard).toEqual([changed(8)]), { timeout: 10_000 });
    expect(worker.paths).toHaveLength(2);
    worker.drop();
    await vi.waitFor(() => expect(worker.paths).toHaveLength(3), { timeout: 10_000 });
    await vi.waitFor(() => expect(worker.frames.at(-1)).toMatchObject({ accounts: [{ account: 1, since: 8 }, {}] }));
    expect(heard).toEqual([changed(8)]);
  });

  it("tells neither twice nor backwards", async () => {
    const { worker, watch, heard, hear } = await start();
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.sockets.size).toBe(1));
    for (const seq of [4, 3, 4, 5]) worker.say({ op: "changed", account: 1, seq });
    await vi.waitFor(() => expect(heard).toEqual([changed(4), changed(5)]));
  });

  it("ends for a mailbox whose login, place or self has gone, and may begin anew", async () => {
    const { worker, watch, heard, hear } = await start();
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.sockets.size).toBe(1));
    worker.say({ op: "ended", account: 1, why: "login" });
    worker.say({ op: "changed", account: 1, seq: 9 });
    await vi.waitFor(() => expect(heard).toEqual([{ kind: "ended", why: "login" }]));
    watch.watch(1, 9, hear);
    await vi.waitFor(() => expect(worker.frames.at(-1)).toEqual({ op: "watch", accounts: [{ account: 1, since: 9 }] }));
    worker.say({ op: "changed", account: 1, seq: 10 });
    await vi.waitFor(() => expect(heard.at(-1)).toEqual(changed(10)));
  });

  it("of a mailbox that two sessions have goes on for the one that is left", async () => {
    const { worker, watch, heard, hear } = await start();
    const other = vi.fn();
    const leave = watch.watch(1, 0, other);
    const last = watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.sockets.size).toBe(1));
    leave();
    leave();
    worker.say({ op: "changed", account: 1, seq: 2 });
    await vi.waitFor(() => expect(heard).toEqual([changed(2)]));
    expect(other).not.toHaveBeenCalled();
    last();
    await vi.waitFor(() => expect(worker.frames.at(-1)).toEqual({ op: "unwatch", accounts: [1] }));
  });

  it("tells a second session at once what the first has heard", async () => {
    const { worker, watch, heard, hear } = await start();
    const first = vi.fn();
    worker.states.set(1, 6);
    watch.watch(1, 0, first);
    await vi.waitFor(() => expect(first).toHaveBeenCalledWith(changed(6)));
    watch.watch(1, 4, hear);
    await vi.waitFor(() => expect(heard).toEqual([changed(6)]));
    watch.watch(1, 6, hear);
    worker.say({ op: "changed", account: 1, seq: 7 });
    await vi.waitFor(() => expect(heard).toEqual([changed(6), changed(7), changed(7)]));
    expect(first).toHaveBeenCalledTimes(2);
  });

  it("goes on for the others where one listener fails", async () => {
    const { worker, watch, lines, heard, hear } = await start();
    watch.watch(1, 0, () => {
      throw new Error("the session is broken");
    });
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.sockets.size).toBe(1));
    worker.say({ op: "changed", account: 1, seq: 2 });
    await vi.waitFor(() => expect(heard).toEqual([changed(2)]));
    expect(lines).toEqual(["a listener of example.org failed: Error: the session is broken"]);
  });
});

describe("a Worker that cannot be had", () => {
  it("is asked again after growing pauses, and the first answer begins them anew", async () => {
    const { worker, watch, lines, hear } = await start();
    worker.status = 503;
    holdTime();
    watch.watch(1, 0, hear);
    const pauses: number[] = [];
    for (let tries = 1; tries <= 9; tries++) {
      await vi.waitFor(() => expect(lines).toHaveLength(tries));
      const pause = Math.min(LAST_WATCH_RETRY, FIRST_WATCH_RETRY * 2 ** (tries - 1));
      expect(lines.at(-1)).toBe(
        `the watch of example.org ended (the Worker answered 503) and begins again in ${pause} ms`,
      );
      pauses.push(pause);
      if (tries === 9) worker.status = 101;
      await vi.advanceTimersByTimeAsync(pause - 1);
      expect(worker.paths).toHaveLength(tries);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(pauses.at(-1)).toBe(LAST_WATCH_RETRY);
    await vi.waitFor(() => expect(worker.frames).toHaveLength(1));
    worker.drop();
    await vi.waitFor(() => expect(lines).toHaveLength(10));
    expect(lines.at(-1)).toContain(`begins again in ${FIRST_WATCH_RETRY} ms`);
  });

  it("is not asked for a mailbox that nobody watches any more", async () => {
    const { worker, watch, lines, hear } = await start();
    worker.status = 503;
    const leave = watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(lines).toHaveLength(1));
    holdTime();
    leave();
    await vi.advanceTimersByTimeAsync(10 * LAST_WATCH_RETRY);
    expect(worker.paths).toHaveLength(1);
  });

  it("that says what it should not is left, and asked again", async () => {
    const { worker, watch, lines, hear } = await start();
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.sockets.size).toBe(1));
    worker.send("hello?");
    await vi.waitFor(() => expect(lines[0]).toContain("the object said something unexpected"));
    await vi.waitFor(() => expect(worker.frames).toHaveLength(2), { timeout: 10_000 });
  });

  it("that falls silent is left, not before it had its time; one that answers pings is not", async () => {
    const { worker, watch, lines, hear } = await start();
    holdTime();
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.frames).toHaveLength(1));
    for (let pings = 1; pings <= 10; pings++) {
      await vi.advanceTimersByTimeAsync(WATCH_PING);
      await vi.waitFor(() => expect(worker.pings).toBe(pings));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(lines).toEqual([]);
    worker.answers = false;
    await vi.advanceTimersByTimeAsync(WATCH_PING);
    await vi.waitFor(() => expect(worker.pings).toBe(11));
    // Its ping is not answered: it does not ping again, so that the object sees that it does not read.
    await vi.advanceTimersByTimeAsync(WATCH_SILENCE);
    await vi.waitFor(() => expect(lines[0]).toContain("the object did not answer"));
    expect(worker.pings).toBe(11);
  });
});

describe("a connection that nobody needs", () => {
  it("stays for a while, for the next session, and is closed then", async () => {
    const { worker, watch, hear } = await start();
    const leave = watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.frames).toHaveLength(1));
    holdTime();
    leave();
    await vi.advanceTimersByTimeAsync(WATCH_LINGER - 1);
    const again = watch.watch(2, 0, hear);
    await vi.advanceTimersByTimeAsync(WATCH_LINGER);
    expect(worker.sockets.size).toBe(1);
    again();
    await vi.advanceTimersByTimeAsync(WATCH_LINGER);
    vi.useRealTimers();
    await vi.waitFor(() => expect(worker.sockets.size).toBe(0));
    expect(worker.paths).toHaveLength(1);
    expect(watch.idle).toBe(true);
  });

  it("is closed with the gateway", async () => {
    const { worker, watch, hear } = await start();
    watch.watch(1, 0, hear);
    await vi.waitFor(() => expect(worker.frames).toHaveLength(1));
    watch.close();
    await vi.waitFor(() => expect(worker.sockets.size).toBe(0));
    expect(() => watch.watch(1, 0, hear)).toThrow("closed");
  });
});

it("a gateway has one watch for each domain", async () => {
  const worker = await PushDouble.start();
  const watches = new Watches(worker.link, { say: () => undefined });
  onTestFinished(() => watches.close());
  watches.watch("example.org", 1, 0, () => undefined);
  watches.watch("example.org", 2, 0, () => undefined);
  watches.watch("example.net", 3, 0, () => undefined);
  await vi.waitFor(() => expect(worker.frames.flatMap(({ accounts }) => accounts as unknown[])).toHaveLength(3));
  expect(worker.paths.sort()).toEqual(["/gateway/watch/example.net", "/gateway/watch/example.org"]);
});
