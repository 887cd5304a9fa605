import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isOpen, isWriter, type OriginSession } from "../../../src/core/protocol/smtp/conversation.ts";
import { createOrigin, type Origin } from "../origin-control.ts";
import { openBy, TRANSPORTS, type Transport } from "../transports.ts";

describe.each(TRANSPORTS)("over %s", (transport: Transport) => {
  let origin: Origin;
  let session: OriginSession;

  beforeEach(async () => {
    origin = await createOrigin({ tls: "starttls" });
    const opened = await openBy(
      transport,
      { host: "localhost", port: origin.port, tls: "starttls" },
      { helo: "mx.holdfast.test" },
    );
    if (!isOpen(opened)) throw new Error("the origin did not open");
    session = opened.session;
  });

  afterEach(async () => {
    session.close();
    await origin.close();
  });

  const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const HEADER = "Subject: octets\r\n\r\n";

  /** @returns what the origin took, and whether line ends had to change */
  async function transfer(message: Uint8Array, cut: number): Promise<{ raw: Uint8Array; changed: boolean }> {
    const parameters = { from: "a@example.net", size: message.length, body: "8BITMIME", smtputf8: false } as const;
    const writer = await session.begin(parameters, "b@example.org");
    if (!isWriter(writer)) throw new Error(`not begun: ${JSON.stringify(writer)}`);
    for (let at = 0; at < message.length; at += cut)
      expect(await writer.write(message.subarray(at, at + cut))).toBeNull();
    expect(await writer.finish(10_000)).toMatchObject({ kind: "delivered" });
    const raw = (await origin.messages()).at(-1)?.raw;
    if (!raw) throw new Error("nothing arrived");
    return { raw, changed: writer.lineEndsChanged };
  }

  /** A difference is shown by its place: a diff of 100,000 octets helps nobody. */
  function expectSame(actual: Uint8Array, expected: Uint8Array): void {
    let at = 0;
    while (at < expected.length && expected[at] === actual[at]) at++;
    expect({ length: actual.length, differsAt: at }).toEqual({ length: expected.length, differsAt: expected.length });
  }

  const everyOctet = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).filter(
    (c) => !/[\r\n]/.test(c),
  );

  describe("the origin receives the octets that we have", () => {
    it.each<[string, string]>([
      ["with NUL in them", `${HEADER}a\0b\0\r\n`],
      ["with every octet there is but line ends", `${HEADER}${everyOctet.join("")}\r\n`],
      ["with dots at the start of lines", `${HEADER}.\r\n..\r\n...x\r\n.x\r\n\r\n.\r\n`],
      ["beginning with a dot", `.Subject: x\r\n\r\n.\r\n`],
      ["with lines of 100,000 octets", `${HEADER}${"x".repeat(100_000)}\r\n.${"y".repeat(100_000)}\r\n`],
      ["with what would end it elsewhere", `${HEADER}.\r\nQUIT\r\n.\r\nMAIL FROM:<x@example.net>\r\n`],
      ["empty lines at the end", `${HEADER}x\r\n\r\n\r\n`],
      ["none at all", ""],
    ])("%s", async (_, text) => {
      const message = octets(text);
      for (const cut of [message.length > 1_000 ? 997 : 7, message.length || 1]) {
        const { raw, changed } = await transfer(message, cut);
        expectSame(raw, message);
        expect(changed).toBe(false);
      }
    });

    it.each<[string, string, string, boolean]>([
      ["a missing last line end is added", `${HEADER}x`, `${HEADER}x\r\n`, false],
      ["a bare LF becomes CRLF", "Subject: x\n\n.\nb\n", "Subject: x\r\n\r\n.\r\nb\r\n", true],
      ["a bare CR becomes CRLF", `${HEADER}a\r.\rb\r\n`, `${HEADER}a\r\n.\r\nb\r\n`, true],
    ])("but %s", async (_, text, expected, changed) => {
      for (const cut of [1, text.length]) {
        const taken = await transfer(octets(text), cut);
        expectSame(taken.raw, octets(expected));
        expect(taken.changed).toBe(changed);
      }
    });

    it("in a message of 5 MiB over one connection with others", async () => {
      const line = `${"0123456789abcdef".repeat(4)}\r\n`;
      const large = octets(HEADER + line.repeat(80_000));
      expectSame((await transfer(large, 1_000_003)).raw, large);
      expectSame((await transfer(octets(HEADER), 100)).raw, octets(HEADER));
      expect(await origin.report()).toMatchObject({ connections: 1, violations: [] });
    });
  });

  describe("the envelope", () => {
    it("is the one that came: null sender, tag and case", async () => {
      const parameters = { from: "", size: 3, body: "7BIT", smtputf8: false } as const;
      const writer = await session.begin(parameters, "Info+Tag@Example.ORG");
      if (!isWriter(writer)) throw new Error("not begun");
      await writer.write(octets("a\r\n"));
      await writer.finish(10_000);
      expect(await origin.messages()).toMatchObject([
        { from: "", to: ["Info+Tag@Example.ORG"], mailCommand: "MAIL FROM:<> SIZE=3" },
      ]);
    });

    it("keeps a non-ASCII address and declares it", async () => {
      const parameters = { from: "grüße@example.net", size: 3, body: "8BITMIME", smtputf8: true } as const;
      const writer = await session.begin(parameters, "用户@example.org");
      if (!isWriter(writer)) throw new Error("not begun");
      await writer.write(octets("a\r\n"));
      await writer.finish(10_000);
      expect(await origin.messages()).toMatchObject([
        {
          from: "grüße@example.net",
          to: ["用户@example.org"],
          mailCommand: "MAIL FROM:<grüße@example.net> SIZE=3 BODY=8BITMIME SMTPUTF8",
        },
      ]);
    });

    it("leaves nothing behind when the message is given up before its end", async () => {
      const parameters = { from: "a@example.net", size: 100, body: "7BIT", smtputf8: false } as const;
      const writer = await session.begin(parameters, "b@example.org");
      if (!isWriter(writer)) throw new Error("not begun");
      await writer.write(octets(`${HEADER}half of `));
      writer.abort();
      expect(session.usable).toBe(false);
      await expect.poll(async () => (await origin.report()).open).toBe(0);
      expect(await origin.messages()).toEqual([]);
    });
  });
});
