import { describe, expect, it } from "vitest";
import { MAX_TEXT_FRAME } from "../../../../src/core/protocol/gateway/frames.ts";
import {
  type ObjectFrame,
  readObjectFrame,
  readWatcherFrame,
  type WatcherFrame,
  writePushFrame,
} from "../../../../src/core/protocol/push/frames.ts";
import { KnownState } from "../../../../src/core/protocol/push/known.ts";
import { WATCH_PAGE } from "../../../../src/core/protocol/push/limits.ts";

describe("a frame of a watch", () => {
  it.each<ObjectFrame>([
    { op: "hello" },
    { op: "changed", account: 2 ** 40, seq: 7 },
    { op: "changed", account: 1, seq: null },
    { op: "ended", account: 1, why: "login" },
    { op: "domain", mode: "emergency", since: 5, cause: "chosen", backlog: { waiting: 3, refused: 0 }, run: null },
    {
      op: "domain",
      mode: "normal",
      since: 5,
      cause: "",
      backlog: null,
      run: { startedAt: 1, delivered: 2, refused: 3, deferred: 4 },
    },
  ])("of the object comes through as it was: %j", (frame) => {
    expect(readObjectFrame(writePushFrame(frame))).toEqual({ ok: true, value: frame });
  });

  it("that names as many mailboxes as it may fits what is read", () => {
    const accounts = Array.from({ length: WATCH_PAGE }, (_, index) => ({ account: 2 ** 40 - index, since: 2 ** 31 }));
    const frame: WatcherFrame = { op: "watch", accounts };
    expect(writePushFrame(frame).length).toBeLessThan(MAX_TEXT_FRAME);
    expect(readWatcherFrame(writePushFrame(frame))).toEqual({ ok: true, value: frame });
    expect(readWatcherFrame(writePushFrame({ op: "watch", accounts: [...accounts, ...accounts] })).ok).toBe(false);
  });

  it.each([
    ["{", "not JSON"],
    ['{"op":"watch","accounts":[]}', "accounts: too_small"],
    ['{"op":"watch","accounts":[{"account":0,"since":null}]}', "accounts.0.account: too_small"],
    ['{"op":"watch","accounts":[{"account":1}]}', "accounts.0.since: invalid_type"],
    ['{"op":"unwatch","accounts":[1.5]}', "accounts.0: invalid_type"],
    ['{"op":"hello"}', "op: invalid_union"],
  ])("of a watcher that cannot be is refused: %s", (text, error) => {
    expect(readWatcherFrame(text)).toEqual({ ok: false, error });
  });
});

describe("what is known of a mailbox", () => {
  it("is the first state that comes, unless it is the one that was known before", () => {
    expect(new KnownState(null).hear(5)).toBe(true);
    expect(new KnownState(4).hear(5)).toBe(true);
    expect(new KnownState(5).hear(5)).toBe(false);
  });

  it("grows: what is told late, or twice, is no news", () => {
    const known = new KnownState(5);
    expect([7, 6, 7, 8].map((seq) => known.hear(seq))).toEqual([true, false, false, true]);
    expect(known.seq).toBe(8);
  });

  it("begins anew where the counter did, which a new connection tells", () => {
    const known = new KnownState(90);
    known.hear(91);
    expect(known.hear(3)).toBe(false);
    known.reconnected();
    expect(known.hear(3)).toBe(true);
    expect(known.hear(4)).toBe(true);
  });

  it("is not known where nobody could read it: whoever listens looks", () => {
    const known = new KnownState(5);
    expect(known.hear(null)).toBe(true);
    expect(known.seq).toBe(5);
  });
});
