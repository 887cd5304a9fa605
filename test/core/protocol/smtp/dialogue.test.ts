import { describe, expect, it } from "vitest";
import { BODY_RATE, COMMAND_TIMEOUT, GREETING_TIMEOUT, WRITE_TIMEOUT } from "../../../../src/core/limits.ts";
import type { Outcome } from "../../../../src/core/outcome.ts";
import { isOpen, isWriter, type OriginSession } from "../../../../src/core/protocol/smtp/conversation.ts";
import { openSession } from "../../../../src/core/protocol/smtp/open.ts";
import { HELLO, PIPELINING, play, script } from "./play.ts";
import { ManualTiming, ScriptedWire } from "./script.ts";

const MESSAGE = new TextEncoder().encode(".x\r\n");
const PARAMETERS = { from: "a@example.net", size: 4, body: "7BIT", smtputf8: false } as const;

async function send(session: OriginSession, to = "b@example.org"): Promise<Outcome> {
  const writer = await session.begin(PARAMETERS, to);
  return isWriter(writer) ? ((await writer.write(MESSAGE)) ?? (await writer.finish(1_000))) : writer;
}

const one = async (session: OriginSession) => [await send(session)];
const two = async (session: OriginSession) => [await send(session), await send(session, "c@example.org")];

const GROUP = "C: MAIL FROM:<a@example.net>\nC: RCPT TO:<b@example.org>\nC: DATA";
const NEXT_GROUP = "C: MAIL FROM:<a@example.net>\nC: RCPT TO:<c@example.org>\nC: DATA";
const BODY = "C: ..x\nC: .";

const DELIVERED = { kind: "delivered" };
const reply = (code: number) => ({ reply: { code } });

describe("a message", () => {
  it("goes step by step where the server does no pipelining", async () => {
    const dialogue = script(
      HELLO,
      "C: MAIL FROM:<a@example.net>",
      "S: 250 ok",
      "C: RCPT TO:<b@example.org>",
      "S: 250 ok",
      "C: DATA",
      "S: 354 go",
      BODY,
      "S: 250 2.0.0 queued as 1",
    );
    const { outcomes, usable } = await play(dialogue, {}, one);
    expect(outcomes).toEqual([{ kind: "delivered", reply: { code: 250, enhanced: "2.0.0", text: "queued as 1" } }]);
    expect(usable).toBe(true);
  });

  it("goes in one round trip and its body where the server does pipelining", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go", BODY, "S: 250 queued");
    expect((await play(dialogue, {}, one)).outcomes).toMatchObject([DELIVERED]);
  });

  it("follows another on the same connection, without RSET after an acceptance", async () => {
    const dialogue = script(
      PIPELINING,
      GROUP,
      "S: 250 ok|250 ok|354 go",
      BODY,
      "S: 250 queued",
      NEXT_GROUP,
      "S: 250 ok|250 ok|354 go",
      BODY,
      "S: 250 queued",
    );
    expect((await play(dialogue, {}, two)).outcomes).toMatchObject([DELIVERED, DELIVERED]);
  });

  it("goes to several recipients, each with an answer of its own", async () => {
    const dialogue = script(
      PIPELINING,
      "C: MAIL FROM:<a@example.net>",
      "S: 250 ok",
      "C: RCPT TO:<b@example.org>",
      "S: 550 5.1.1 unknown",
      "C: RCPT TO:<c@example.org>",
      "S: 450 4.2.0 greylisted",
      "C: RCPT TO:<d@example.org>",
      "S: 250 ok",
      "C: DATA",
      "S: 354 go",
      BODY,
      "S: 250 queued",
    );
    const { outcomes } = await play(dialogue, {}, async (session) => {
      const answers = [await session.mail(PARAMETERS)];
      for (const name of ["b", "c", "d"]) answers.push(await session.rcpt(`${name}@example.org`));
      const writer = await session.data();
      if (!isWriter(writer)) return [...answers, writer];
      await writer.write(MESSAGE);
      return [...answers, await writer.finish(1_000)];
    });
    expect(outcomes).toMatchObject([
      DELIVERED,
      { kind: "refused", phase: "rcpt" },
      { kind: "unavailable", phase: "rcpt", reason: "reply" },
      DELIVERED,
      DELIVERED,
    ]);
  });

  it("is left without its final dot only by hanging up", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go", "C: ..x");
    const { usable } = await play(dialogue, {}, async (session) => {
      const writer = await session.begin(PARAMETERS, "b@example.org");
      if (!isWriter(writer)) return [writer];
      await writer.write(MESSAGE);
      writer.abort();
      return [];
    });
    expect(usable).toBe(false);
  });
});

describe("pipelined answers", () => {
  it.each<[string, string, string, object]>([
    [
      "a refused recipient with DATA refused",
      "S: 250 ok|550 5.1.1 no|554 no recipients",
      "",
      { phase: "rcpt", ...reply(550) },
    ],
    [
      "a refused recipient with 354",
      "S: 250 ok|550 5.1.1 no|354 go",
      "C: .\nS: 554 no recipients",
      { phase: "rcpt", ...reply(550) },
    ],
    ["a refused sender with all refused", "S: 550 5.7.1 no|503 MAIL?|503 RCPT?", "", { phase: "mail", ...reply(550) }],
    [
      "a refused sender with 354",
      "S: 550 5.7.1 no|503 MAIL?|354 go",
      "C: .\nS: 554 nothing",
      { phase: "mail", ...reply(550) },
    ],
    [
      "a deferred recipient with DATA refused",
      "S: 250 ok|450 4.2.2 full|503 RCPT?",
      "",
      { kind: "unavailable", phase: "rcpt", ...reply(450) },
    ],
    [
      "a deferred sender",
      "S: 451 4.3.0 later|503 MAIL?|503 RCPT?",
      "",
      { kind: "unavailable", phase: "mail", ...reply(451) },
    ],
    ["DATA alone refused", "S: 250 ok|250 ok|554 5.7.1 no", "", { kind: "refused", phase: "data", ...reply(554) }],
    [
      "DATA alone deferred",
      "S: 250 ok|250 ok|451 4.3.0 later",
      "",
      { kind: "unavailable", phase: "data", ...reply(451) },
    ],
  ])("%s leave the connection usable for the next message", async (_, answers, between, expected) => {
    const again = script("C: RSET", NEXT_GROUP, "S: 250 reset|250 ok|250 ok|354 go", BODY, "S: 250 queued");
    // After the lone dot the transaction is over, and no RSET is needed.
    const next = between === "" ? again : again.replace("C: RSET\n", "").replace("250 reset|", "");
    const { outcomes, usable } = await play(script(PIPELINING, GROUP, answers, between, next), {}, two);
    expect(outcomes).toMatchObject([expected, DELIVERED]);
    expect(usable).toBe(true);
  });

  it("that take a recipient without a sender and then 354 get no empty message", async () => {
    const { outcomes, usable } = await play(script(PIPELINING, GROUP, "S: 451 later|250 ok|354 go"), {}, one);
    expect(outcomes).toMatchObject([{ kind: "unavailable", phase: "mail", ...reply(451) }]);
    expect(usable).toBe(false);
  });

  it.each<[string, string, object]>([
    ["after a refusal of the sender", "S: 550 no|(hangs up)", { kind: "refused", phase: "mail" }],
    ["after a refusal of the recipient", "S: 250 ok|550 no|(hangs up)", { kind: "refused", phase: "rcpt" }],
    [
      "before the recipient's answer",
      "S: 250 ok|(hangs up)",
      { kind: "unavailable", phase: "rcpt", reason: "dropped" },
    ],
    ["before DATA's answer", "S: 250 ok|250 ok|(hangs up)", { kind: "unavailable", phase: "data", reason: "dropped" }],
  ])("that end with the connection %s count as far as they came", async (_, answers, expected) => {
    const dialogue = script(PIPELINING, GROUP, answers.replace("|(hangs up)", "\nS: (hangs up)"));
    expect(await play(dialogue, {}, one)).toMatchObject({ outcomes: [expected], usable: false });
  });

  it("with 421 among them end the connection", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|421 4.3.2 closing");
    const { outcomes, usable } = await play(dialogue, {}, one);
    expect(outcomes).toMatchObject([{ kind: "unavailable", phase: "rcpt", reason: "reply", ...reply(421) }]);
    expect(usable).toBe(false);
  });
});

describe("a server out of step", () => {
  it.each<[string, string, object]>([
    ["answers MAIL twice", "S: 250 ok|250 ok", { kind: "unavailable", phase: "rcpt", reason: "protocol" }],
    ["answers MAIL with 354", "S: 354 go", { kind: "unavailable", phase: "mail", reason: "protocol" }],
  ])("%s: nothing is taken for an answer to something else", async (_, answers, expected) => {
    const dialogue = script(HELLO, "C: MAIL FROM:<a@example.net>", answers);
    expect(await play(dialogue, {}, one)).toMatchObject({ outcomes: [expected], usable: false });
  });

  it("accepts the message before it was sent: that is not a delivery", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go|250 queued");
    expect(await play(dialogue, {}, one)).toMatchObject({
      outcomes: [{ kind: "unavailable", phase: "data", reason: "protocol" }],
      usable: false,
    });
  });

  it("takes DATA with 250", async () => {
    expect(await play(script(PIPELINING, GROUP, "S: 250 ok|250 ok|250 ok"), {}, one)).toMatchObject({
      outcomes: [{ kind: "unavailable", phase: "data", reason: "protocol" }],
      usable: false,
    });
  });

  it("does not accept RSET: the connection is of no use for another message", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|550 no|554 no", "C: RSET", NEXT_GROUP, "S: 500 what?");
    expect(await play(dialogue, {}, two)).toMatchObject({
      outcomes: [{ kind: "refused" }, { kind: "unavailable", phase: "reset", reason: "reply", ...reply(500) }],
      usable: false,
    });
  });

  it("does not accept RSET, step by step: the same", async () => {
    const dialogue = script(HELLO, "C: RSET", "S: 451 no");
    expect(await play(dialogue, {}, async (session) => [await session.reset()])).toMatchObject({
      outcomes: [{ kind: "unavailable", phase: "reset", reason: "reply", ...reply(451) }],
      usable: false,
    });
  });

  it("says 421 unasked between two messages: that is heard as the answer to the next", async () => {
    const dialogue = script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go", BODY, "S: 250 queued|421 4.4.2 idle");
    expect(await play(dialogue, {}, two)).toMatchObject({
      outcomes: [DELIVERED, { kind: "unavailable", phase: "mail", reason: "reply", ...reply(421) }],
      usable: false,
    });
  });
});

describe("what we refuse ourselves", () => {
  it.each<[string, string, object, string, object]>([
    [
      "a message larger than the announced size",
      "SIZE 3",
      PARAMETERS,
      "b@example.org",
      { phase: "mail", reply: { code: 552, enhanced: "5.3.4" } },
    ],
    [
      "a non-ASCII sender without SMTPUTF8",
      "DSN",
      { ...PARAMETERS, from: "é@example.net" },
      "b@example.org",
      { phase: "mail", reply: { code: 550, enhanced: "5.6.7" } },
    ],
    [
      "a non-ASCII recipient without SMTPUTF8",
      "DSN",
      PARAMETERS,
      "é@example.org",
      { phase: "rcpt", reply: { code: 550, enhanced: "5.6.7" } },
    ],
    [
      "a sender with a line end in it",
      "DSN",
      { ...PARAMETERS, from: "a\r\nDATA" },
      "b@example.org",
      { phase: "mail", reply: { code: 553, enhanced: "5.1.7" } },
    ],
    [
      "a recipient with a parameter in it",
      "DSN",
      PARAMETERS,
      "b@example.org> X=<",
      { phase: "rcpt", reply: { code: 553, enhanced: "5.1.3" } },
    ],
  ])("%s, without a word to the server", async (_, extension, parameters, to, expected) => {
    const dialogue = script("S: 220 hi", "C: EHLO mx.test", `S: 250-x|250-PIPELINING|250 ${extension}`);
    const played = await play(dialogue, {}, async (session) => {
      const outcome = await session.begin({ ...PARAMETERS, ...parameters }, to);
      return isWriter(outcome) ? [] : [outcome];
    });
    expect(played).toMatchObject({ outcomes: [{ kind: "refused", ...expected }], usable: true });
  });
});

describe("time", () => {
  it("ends the wait for a greeting at its limit, not before", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire("S: (silence)");
    let outcome: unknown = null;
    void openSession(wire, { helo: "mx.test", tls: "none", timing }).then((opened) => {
      outcome = opened;
    });
    await timing.advance(GREETING_TIMEOUT - 1);
    expect(outcome).toBeNull();
    await timing.advance(1);
    expect(outcome).toMatchObject({ kind: "unavailable", phase: "greeting", reason: "timeout" });
    expect(wire.closed).toBe(true);
  });

  it("is cut short by the deadline of the conversation", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire("S: 220 hi\nC: EHLO mx.test\nS: (silence)");
    let outcome: unknown = null;
    void openSession(wire, { helo: "mx.test", tls: "none", timing, deadline: 100 }).then((opened) => {
      outcome = opened;
    });
    await timing.advance(99);
    expect(outcome).toBeNull();
    await timing.advance(1);
    expect(outcome).toMatchObject({ kind: "unavailable", phase: "ehlo", reason: "timeout" });
    expect(COMMAND_TIMEOUT).toBeGreaterThan(100);
  });

  it("for the reply to the final dot is not cut short by the deadline", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire(script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go", BODY, "S: (silence)"));
    const opened = await openSession(wire, { helo: "mx.test", tls: "none", timing, deadline: 1_000 });
    if (!isOpen(opened)) throw new Error("not open");
    const writer = await opened.session.begin(PARAMETERS, "b@example.org");
    if (!isWriter(writer)) throw new Error("no writer");
    await writer.write(MESSAGE);
    let outcome: unknown = null;
    void writer.finish(600_000).then((finished) => {
      outcome = finished;
    });
    await timing.advance(599_999);
    expect(outcome).toBeNull();
    await timing.advance(1);
    expect(outcome).toMatchObject({ kind: "unavailable", phase: "final", reason: "timeout" });
  });

  it("runs out for a server that takes each piece in time but the whole far too slowly", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire(script(PIPELINING, GROUP, "S: 250 ok|250 ok|354 go"));
    const opened = await openSession(wire, { helo: "mx.test", tls: "none", timing });
    if (!isOpen(opened)) throw new Error("not open");
    const writer = await opened.session.begin(PARAMETERS, "b@example.org");
    if (!isWriter(writer)) throw new Error("no writer");
    const slowly = 0.9 * WRITE_TIMEOUT;
    wire.write = () => new Promise((resolve) => void timing.after(slowly, resolve));
    const piece = new Uint8Array(1_000);
    const outcomes: unknown[] = [];
    for (let n = 0; n < 3; n++) {
      void writer.write(piece).then((outcome) => outcomes.push(outcome));
      await timing.advance(slowly);
    }
    // The first is within the limit of a piece; the second has what is left of it, and what its octets earned.
    expect(outcomes).toMatchObject([null, { kind: "unavailable", phase: "data", reason: "timeout" }, {}]);
    expect(3 * piece.length).toBeLessThan((BODY_RATE * slowly) / 1000);
  });

  it("is one for a command and its reply", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire(HELLO);
    const opened = await openSession(wire, { helo: "mx.test", tls: "none", timing });
    if (!isOpen(opened)) throw new Error("not open");
    wire.write = () => new Promise((resolve) => void timing.after(COMMAND_TIMEOUT / 2, resolve));
    let outcome: unknown = null;
    void opened.session.noop().then((answer) => {
      outcome = answer;
    });
    await timing.advance(COMMAND_TIMEOUT - 1);
    expect(outcome).toBeNull();
    await timing.advance(1);
    expect(outcome).toMatchObject({ kind: "unavailable", phase: "noop", reason: "timeout" });
  });

  it("is one for STARTTLS and its handshake", async () => {
    const timing = new ManualTiming();
    const wire = new ScriptedWire("S: 220 hi\nC: EHLO mx.test\nS: 250-x|250 STARTTLS\nC: STARTTLS\nS: 220 go");
    const write = wire.write.bind(wire);
    wire.write = async (octets) => {
      await new Promise<void>((resolve) => void timing.after(1_000, resolve));
      await write(octets);
    };
    wire.startTls = () => new Promise(() => undefined);
    let outcome: unknown = null;
    void openSession(wire, { helo: "mx.test", tls: "starttls", timing }).then((opened) => {
      outcome = opened;
    });
    // EHLO took one second, and so did STARTTLS.
    await timing.advance(1_000 + COMMAND_TIMEOUT - 1);
    expect(outcome).toBeNull();
    await timing.advance(1);
    expect(outcome).toMatchObject({ kind: "unavailable", phase: "starttls", reason: "timeout" });
  });
});
