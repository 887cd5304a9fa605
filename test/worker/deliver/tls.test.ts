import { afterEach, describe, expect, it } from "vitest";
import { isOpen, type OpenedSession } from "../../../src/core/protocol/smtp/conversation.ts";
import type { OpenRoute } from "../../../src/worker/deliver/origin.ts";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { openBy, TRANSPORTS, type Transport } from "../transports.ts";

/** Long, so that a busy machine does not turn a failed handshake into a timeout. */
const LIMIT = 5_000;
const LIMITS = { connect: 10_000, greeting: LIMIT, command: LIMIT, recipient: LIMIT, data: LIMIT, write: LIMIT };

let origin: Origin;
afterEach(() => origin.close());

describe.each(TRANSPORTS)("over %s", (transport: Transport) => {
  async function open(behaviour: Behaviour, route: Partial<OpenRoute>): Promise<OpenedSession> {
    origin = await createOrigin(behaviour);
    const whole: OpenRoute = { host: "localhost", port: origin.port, tls: "none", ...route };
    return openBy(transport, whole, { helo: "mx.holdfast.test", limits: LIMITS });
  }

  const unavailable = (phase: string, reason: string) => ({ kind: "unavailable", where: "origin", phase, reason });

  describe.each(["implicit", "starttls"] as const)("TLS %s", (tls) => {
    const phase = tls === "implicit" ? "connect" : "starttls";

    it("carries the conversation with a trusted server", async () => {
      const opened = await open({ tls }, { tls });
      if (!isOpen(opened)) throw new Error(JSON.stringify(opened));
      expect(await opened.session.noop()).toMatchObject({ kind: "delivered" });
      opened.session.close();
      await expect.poll(async () => (await origin.report()).transcript.at(-2)).toBe("C: QUIT");
    });

    it("carries the credentials", async () => {
      const user = { name: "relay", password: "pässword" };
      const opened = await open({ tls, user }, { tls, username: user.name, password: user.password });
      expect(isOpen(opened)).toBe(true);
    });

    it.each(["stranger", "misnamed"] as const)(
      "is not begun with a %s's certificate, and nothing is said in clear text",
      async (certificate) => {
        const opened = await open(
          { tls, certificate, user: { name: "u", password: "p" } },
          { tls, username: "u", password: "p" },
        );
        expect(opened).toMatchObject(unavailable(phase, "tls"));
        expect((await origin.report()).transcript.filter((line) => /^C: (AUTH|MAIL)/.test(line))).toEqual([]);
      },
    );
  });

  describe("a server that does not do TLS as the route says", () => {
    it("is unavailable where TLS is implicit and it greets in clear text", async () => {
      expect(await open({}, { tls: "implicit" })).toMatchObject(unavailable("connect", "tls"));
    });

    it("is unavailable where it does not announce STARTTLS", async () => {
      const opened = await open({}, { tls: "starttls", username: "u", password: "p" });
      expect(opened).toMatchObject(unavailable("starttls", "unsupported"));
      expect((await origin.report()).transcript.filter((line) => line.startsWith("C:"))).toEqual([
        "C: EHLO mx.holdfast.test",
      ]);
    });

    it("is unavailable where it sends something else than a handshake", async () => {
      const behaviour: Behaviour = {
        tls: "starttls",
        steps: { starttls: { reply: "220 go", garbage: "not TLS at all\r\n" } },
      };
      const opened = await open(behaviour, { tls: "starttls" });
      expect(opened).toMatchObject({ kind: "unavailable", where: "origin", phase: "starttls" });
    });

    it("is unavailable where somebody puts answers behind its 220", async () => {
      const steps = { starttls: { reply: "220 go", trailing: "250-origin.test\r\n250 AUTH PLAIN\r\n" } };
      const opened = await open({ tls: "starttls", steps }, { tls: "starttls", username: "u", password: "p" });
      expect(opened).toMatchObject(unavailable("starttls", "protocol"));
    });
  });
});
