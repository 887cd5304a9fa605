import { afterEach, describe, expect, it } from "vitest";
import type { Outcome, Phase, Unavailable } from "../../../src/core/outcome.ts";
import { isOpen, isWriter } from "../../../src/core/protocol/smtp/conversation.ts";
import type { OpenRoute } from "../../../src/worker/deliver/origin.ts";
import type { Behaviour, StepDetail, Verb } from "../../support/origin-behaviour.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { openBy, TRANSPORTS, type Transport } from "../transports.ts";

/** Of a silent server, that is to be given up at once, in the phase in which it falls silent. */
const LIMIT = 500;
/** Long, so that a busy machine does not turn another outcome, or another phase's, into a timeout. */
const LONG = { connect: 10_000, greeting: 10_000, command: 10_000, recipient: 10_000, data: 10_000, write: 10_000 };
const WAITS = {
  greeting: "greeting",
  ehlo: "command",
  starttls: "command",
  auth: "command",
  mail: "recipient",
  rcpt: "recipient",
  data: "data",
  final: "data",
} as const;
const shortIn = (phase: keyof typeof WAITS) => ({ ...LONG, [WAITS[phase]]: LIMIT });
const USER = { name: "relay@example.org", password: "correct horse" };
const MESSAGE = new TextEncoder().encode("Subject: outcome\r\n\r\nhello\r\n");

let origin: Origin | undefined;
afterEach(async () => {
  await origin?.close();
  origin = undefined;
});

describe.each(TRANSPORTS)("over %s", (transport: Transport) => {
  interface Ended {
    readonly outcome: Outcome;
    readonly usable: boolean;
  }

  /** One message over a connection of its own, as far as it gets. */
  async function deliver(behaviour: Behaviour, pipelining: boolean, limits = LONG): Promise<Ended> {
    const extensions = pipelining ? ["PIPELINING", "8BITMIME"] : ["8BITMIME"];
    origin = await createOrigin({ extensions, ...behaviour });
    const credentials = behaviour.user ? { username: behaviour.user.name, password: behaviour.user.password } : {};
    const route: OpenRoute = { host: "localhost", port: origin.port, tls: behaviour.tls ?? "none", ...credentials };
    const opened = await openBy(transport, route, { helo: "mx.holdfast.test", limits });
    if (!isOpen(opened)) return { outcome: opened, usable: false };
    const { session } = opened;
    const parameters = { from: "a@example.net", size: MESSAGE.length, body: "7BIT", smtputf8: false } as const;
    const writer = await session.begin(parameters, "b@example.org");
    const outcome = isWriter(writer) ? ((await writer.write(MESSAGE)) ?? (await writer.finish(limits.data))) : writer;
    return { outcome, usable: session.usable };
  }

  const BEFORE_MAIL = ["greeting", "ehlo", "starttls", "auth"] as const;
  const FOR_MAIL = ["mail", "rcpt", "data", "final"] as const;

  function behaviourFor(phase: Verb, step: StepDetail): Behaviour {
    return {
      steps: { [phase]: step },
      ...(phase === "starttls" ? { tls: "starttls" } : {}),
      ...(phase === "auth" ? { user: USER } : {}),
    };
  }

  const unavailable = (phase: Phase, reason: Unavailable["reason"]) => ({
    kind: "unavailable",
    where: "origin",
    phase,
    reason,
  });

  describe.each([true, false])("with pipelining %s", (pipelining) => {
    it("delivers", async () => {
      const { outcome, usable } = await deliver({}, pipelining);
      expect(outcome).toEqual({ kind: "delivered", reply: { code: 250, enhanced: "2.0.0", text: "queued" } });
      expect(usable).toBe(true);
      expect((await origin?.messages())?.map(({ from, to, accepted }) => ({ from, to, accepted }))).toEqual([
        { from: "a@example.net", to: ["b@example.org"], accepted: true },
      ]);
      expect((await origin?.report())?.violations).toEqual([]);
    });

    describe.each([...BEFORE_MAIL, ...FOR_MAIL])("%s", (phase) => {
      it("that hears 451 leaves the message undelivered for now", async () => {
        const { outcome, usable } = await deliver(behaviourFor(phase, { reply: "451 4.3.0 later" }), pipelining);
        expect(outcome).toMatchObject({
          ...unavailable(phase, "reply"),
          reply: { code: 451, enhanced: "4.3.0", text: "later" },
        });
        expect(usable).toBe(FOR_MAIL.some((other) => other === phase));
      });

      it("that hears 421 ends the connection", async () => {
        const { outcome, usable } = await deliver(behaviourFor(phase, { reply: "421 4.3.2 closing" }), pipelining);
        expect(outcome).toMatchObject({ ...unavailable(phase, "reply"), reply: { code: 421 } });
        expect(usable).toBe(false);
      });

      it("that is cut off leaves the message undelivered for now", async () => {
        const { outcome, usable } = await deliver(behaviourFor(phase, { drop: true }), pipelining);
        expect(outcome).toMatchObject(unavailable(phase, "dropped"));
        expect(usable).toBe(false);
      });

      it("that is met with silence is given up", async () => {
        const { outcome, usable } = await deliver(behaviourFor(phase, { silent: true }), pipelining, shortIn(phase));
        expect(outcome).toMatchObject(unavailable(phase, "timeout"));
        expect(usable).toBe(false);
      });

      it("that is answered one octet at a time is given up after its total time", async () => {
        // Each octet comes well within the limit, the reply as a whole does not.
        const { outcome, usable } = await deliver(
          behaviourFor(phase, { octetEvery: LIMIT / 5 }),
          pipelining,
          shortIn(phase),
        );
        expect(outcome).toMatchObject(unavailable(phase, "timeout"));
        expect(usable).toBe(false);
      });

      it("that hears no SMTP is given up", async () => {
        const { outcome, usable } = await deliver(behaviourFor(phase, { reply: "HTTP/1.1 400 Bad" }), pipelining);
        expect(outcome).toMatchObject(unavailable(phase, "protocol"));
        expect(usable).toBe(false);
      });
    });

    it.each(BEFORE_MAIL)("takes a 5xx to %s for an unavailable origin, not for a refusal", async (phase) => {
      const { outcome } = await deliver(behaviourFor(phase, { reply: "554 5.7.1 no" }), pipelining);
      expect(outcome).toMatchObject({ ...unavailable(phase, "reply"), reply: { code: 554 } });
    });

    it.each(FOR_MAIL)("takes a 5xx to %s for a refusal in the origin's own words", async (phase) => {
      const reply = "550-5.7.1 we do not\n550 5.7.1 want this";
      const { outcome, usable } = await deliver(behaviourFor(phase, { reply }), pipelining);
      expect(outcome).toEqual({
        kind: "refused",
        phase,
        reply: { code: 550, enhanced: "5.7.1", text: "we do not\nwant this" },
      });
      expect(usable).toBe(true);
    });
  });

  describe("no connection", () => {
    it("to a closed port is unavailable", async () => {
      origin = await createOrigin();
      await origin.stop();
      const route: OpenRoute = { host: "127.0.0.1", port: origin.port, tls: "none" };
      expect(await openBy(transport, route, { helo: "mx.holdfast.test" })).toMatchObject(
        unavailable("connect", "no_connection"),
      );
    });

    it("to a name that does not exist is unavailable", async () => {
      const route: OpenRoute = { host: "nowhere.invalid", port: 2525, tls: "none" };
      const outcome = await openBy(transport, route, { helo: "mx.holdfast.test" });
      const { where, ...rest } = unavailable("connect", "no_connection");
      expect(outcome).toMatchObject(rest);
      // A gateway knows whether its name server answered; the platform does not say.
      if (transport === "smtp") expect(outcome).toMatchObject({ where });
    });
  });

  describe("a server that stops taking octets in the middle of a message", () => {
    /** More than the kernel's buffers on loopback hold. */
    const large = new Uint8Array(12 * 1024 * 1024).fill(0x61);

    async function send(behaviour: Behaviour, limits = LONG): Promise<Outcome> {
      origin = await createOrigin(behaviour);
      const opened = await openBy(
        transport,
        { host: "127.0.0.1", port: origin.port, tls: "none" },
        { helo: "mx.holdfast.test", limits },
      );
      if (!isOpen(opened)) return opened;
      const parameters = { from: "", size: large.length, body: "7BIT", smtputf8: false } as const;
      const writer = await opened.session.begin(parameters, "b@example.org");
      if (!isWriter(writer)) return writer;
      const ended = await writer.write(large);
      expect(opened.session.usable).toBe(ended === null);
      return ended ?? writer.finish(limits.data);
    }

    it("is given up", async () => {
      expect(await send({ stopReadingAfter: 1_000 }, { ...LONG, write: LIMIT })).toMatchObject(
        unavailable("data", "timeout"),
      );
    });

    it("is unavailable when it hangs up without a word", async () => {
      expect(await send({ cutAfter: { octets: 100_000 } })).toMatchObject(unavailable("data", "dropped"));
    });

    it("has refused the message when it says so", async () => {
      const outcome = await send({ cutAfter: { octets: 100_000, reply: "552 5.3.4 too large" } });
      expect(outcome).toEqual({
        kind: "refused",
        phase: "data",
        reply: { code: 552, enhanced: "5.3.4", text: "too large" },
      });
    });
  });
});
