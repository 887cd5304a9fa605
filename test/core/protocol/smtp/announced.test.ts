/** RFC 2920 §3.1: the commands of the next message right behind the final dot of the one before. */
import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../../src/core/outcome.ts";
import { isWriter, type MailParameters, type OriginSession } from "../../../../src/core/protocol/smtp/conversation.ts";
import { HELLO, PIPELINING, play, script } from "./play.ts";

const MESSAGE = new TextEncoder().encode(".x\r\n");
const PARAMETERS: MailParameters = { from: "a@example.net", size: 4, body: "7BIT", smtputf8: false };
const [B, C] = ["b@example.org", "c@example.org"];

const group = (to: string) => `C: MAIL FROM:<a@example.net>\nC: RCPT TO:<${to}>\nC: DATA`;
const BODY = "C: ..x\nC: .";
const READY = "S: 250 ok|250 ok|354 go";
const DELIVERED = { kind: "delivered" };

/** Sends to b, with the message to c announced. */
async function first(session: OriginSession, next = { parameters: PARAMETERS, to: C }): Promise<Outcome> {
  const writer = await session.begin(PARAMETERS, B);
  return isWriter(writer) ? ((await writer.write(MESSAGE)) ?? (await writer.finish(1_000, next))) : writer;
}

async function second(session: OriginSession): Promise<Outcome> {
  const writer = await session.begin(PARAMETERS, C);
  return isWriter(writer) ? ((await writer.write(MESSAGE)) ?? (await writer.finish(1_000))) : writer;
}

const both = async (session: OriginSession) => [await first(session), await second(session)];

describe("a message that was announced behind the one before", () => {
  it("needs one round trip: its 354 comes with the answer to the one before", async () => {
    const dialogue = script(
      PIPELINING,
      group(B),
      READY,
      BODY,
      group(C),
      "S: 250 2.0.0 queued as 1|250 ok|250 ok|354 go",
      BODY,
      "S: 250 2.0.0 queued as 2",
    );
    const { outcomes, usable } = await play(dialogue, {}, both);
    expect(outcomes).toMatchObject([{ reply: { text: "queued as 1" } }, { reply: { text: "queued as 2" } }]);
    expect(usable).toBe(true);
  });

  it("is announced only where the server does pipelining", async () => {
    const steps = (to: string) =>
      `C: MAIL FROM:<a@example.net>\nS: 250 ok\nC: RCPT TO:<${to}>\nS: 250 ok\nC: DATA\nS: 354 go\n${BODY}\nS: 250 queued`;
    const { outcomes } = await play(script(HELLO, steps(B), steps(C)), {}, both);
    expect(outcomes).toMatchObject([DELIVERED, DELIVERED]);
  });

  it("is not announced where the server would not take it: the refusal is that message's own", async () => {
    const sized = "S: 220 hi\nC: EHLO mx.test\nS: 250-x|250-SIZE 9|250 PIPELINING";
    const large = { ...PARAMETERS, size: 10 };
    const sizes = "C: MAIL FROM:<a@example.net> SIZE=4\nC: RCPT TO:<b@example.org>\nC: DATA";
    const { outcomes, usable } = await play(script(sized, sizes, READY, BODY, "S: 250 queued"), {}, async (session) => {
      const one = await first(session, { parameters: large, to: C });
      const two = await session.begin(large, C);
      return isWriter(two) ? [one] : [one, two];
    });
    expect(outcomes).toMatchObject([DELIVERED, { kind: "refused", phase: "mail", reply: { code: 552 } }]);
    expect(usable).toBe(true);
  });

  it.each<[string, string, object, object]>([
    ["refused", "554 5.7.1 spam", { kind: "refused", phase: "final" }, DELIVERED],
    ["deferred", "451 4.3.0 later", { kind: "unavailable", phase: "final", reason: "reply" }, DELIVERED],
  ])("goes on where the one before was %s", async (_how, final, one, two) => {
    const dialogue = script(
      PIPELINING,
      group(B),
      READY,
      BODY,
      group(C),
      `S: ${final}|250 ok|250 ok|354 go`,
      BODY,
      "S: 250 queued",
    );
    expect((await play(dialogue, {}, both)).outcomes).toMatchObject([one, two]);
  });

  it.each<[string, string, string, object]>([
    ["its sender is refused", "550 5.7.1 no|503 MAIL?|503 RCPT?", "", { phase: "mail", reply: { code: 550 } }],
    ["its recipient is refused", "250 ok|550 5.1.1 no|554 none", "", { phase: "rcpt", reply: { code: 550 } }],
    ["its recipient is refused with 354", "250 ok|550 5.1.1 no|354 go", "C: .\nS: 554 none", { phase: "rcpt" }],
    ["its recipient is deferred", "250 ok|450 4.2.2 full|503 RCPT?", "", { kind: "unavailable", phase: "rcpt" }],
    ["DATA is refused", "250 ok|250 ok|554 5.7.1 no", "", { kind: "refused", phase: "data" }],
  ])("has its own outcome where %s", async (_what, replies, more, outcome) => {
    const dialogue = script(PIPELINING, group(B), READY, BODY, group(C), `S: 250 queued|${replies}`, more);
    expect((await play(dialogue, {}, both)).outcomes).toMatchObject([DELIVERED, outcome]);
  });

  it("after 421 to the one before is not begun, and the connection is closed", async () => {
    const dialogue = script(PIPELINING, group(B), READY, BODY, group(C), "S: 421 4.3.2 closing");
    const { outcomes, usable } = await play(dialogue, {}, async (session) => [await first(session)]);
    expect(outcomes).toMatchObject([{ kind: "unavailable", phase: "final", reply: { code: 421 } }]);
    expect(usable).toBe(false);
  });

  it("is reset before the next where its recipient was refused", async () => {
    const dialogue = script(
      PIPELINING,
      group(B),
      READY,
      BODY,
      group(C),
      "S: 250 queued|250 ok|550 5.1.1 no|554 none",
      `C: RSET\n${group(C)}`,
      "S: 250 reset|250 ok|250 ok|354 go",
      BODY,
      "S: 250 queued",
    );
    const { outcomes } = await play(dialogue, {}, async (session) => [...(await both(session)), await second(session)]);
    expect(outcomes).toMatchObject([DELIVERED, { kind: "refused" }, DELIVERED]);
  });

  it("that is given up after all is left by hanging up: a QUIT would be its text", async () => {
    const dialogue = script(PIPELINING, group(B), READY, BODY, group(C), "S: 250 queued|250 ok|250 ok|354 go");
    const { outcomes, usable } = await play(dialogue, {}, async (session) => {
      const one = await first(session);
      session.close();
      return [one];
    });
    expect(outcomes).toMatchObject([DELIVERED]);
    expect(usable).toBe(false);
  });

  it("is never taken for another one: whoever asks for anything else loses the connection", async () => {
    const uses = [
      (session: OriginSession) => session.begin(PARAMETERS, "d@example.org"),
      (session: OriginSession) => session.noop(),
    ];
    for (const use of uses) {
      const dialogue = script(PIPELINING, group(B), READY, BODY, group(C), "S: 250 queued|250 ok|250 ok|354 go");
      const { outcomes, usable } = await play(dialogue, {}, async (session) => {
        const one = await first(session);
        const other = await use(session);
        return isWriter(other as never) ? [one] : [one, other as Outcome];
      });
      expect(outcomes).toMatchObject([DELIVERED, { kind: "unavailable", reason: "dropped" }]);
      expect(usable).toBe(false);
    }
  });
});
