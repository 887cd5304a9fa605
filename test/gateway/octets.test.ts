/** What is between 354 and the final dot: handed over octet for octet, or refused. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GATEWAY_FRAME_BYTES, GATEWAY_WINDOW, MAX_MESSAGE_BYTES } from "../../src/core/limits.ts";
import { SmtpClient, startMx } from "./smtp-client.ts";
import { startWorker } from "./worker-double.ts";

async function openData(port: number): Promise<SmtpClient> {
  const client = await SmtpClient.greet(port);
  await client.command("MAIL FROM:<a@example.net> BODY=8BITMIME");
  await client.command("RCPT TO:<b@example.org>");
  expect(await client.command("DATA")).toMatch(/^354 /);
  return client;
}

/** RFC 5321 §4.5.2, on the sender's side. */
const stuffed = (message: Buffer) => Buffer.from(message.toString("latin1").replace(/^\./gm, ".."), "latin1");

describe("octets of a message", () => {
  it.each([
    ["a message of ordinary lines", "Subject: x\r\n\r\nhello\r\n"],
    ["dots at the start of lines", ".\r\n..\r\n.hidden\r\n\r\n.\r\n"],
    ["nothing at all", ""],
    ["empty lines", "\r\n\r\n\r\n"],
    [
      "NUL and all octets of 8-bit mail",
      `\0${String.fromCharCode(...Array.from({ length: 128 }, (_, i) => i + 128))}\r\n`,
    ],
    ["a line of 5,000 octets", `${"x".repeat(5_000)}\r\n`],
    ["no UTF-8", "Subject: \xe4\xff\xfe\r\n\r\n\xc3\x28\r\n"],
    ["an mbox line first", "From a@example.net Tue Nov 24 2026\r\nSubject: x\r\n\r\nx\r\n"],
  ])("reach the Worker as they are: %s", async (_, text) => {
    const { url, heard } = await startWorker();
    const client = await openData((await startMx(url)).port);
    const message = Buffer.from(text, "latin1");
    client.write(Buffer.concat([stuffed(message), Buffer.from(".\r\n")]));
    expect(await client.reply()).toBe("250 2.0.0 Accepted as 01TEST");
    expect(heard.messages).toEqual([message]);
  });

  it("reach the Worker as they are wherever the network cuts them", async () => {
    const { url, heard } = await startWorker();
    const { port } = await startMx(url);
    const lines = fc.array(fc.constantFrom("", ".", "..", ".\r\n.", "a", "a.", "\0", "\xff"), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        lines,
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        async (all, cuts) => {
          const message = Buffer.from(all.map((line) => `${line}\r\n`).join(""), "latin1");
          const client = await openData(port);
          const wire = Buffer.concat([stuffed(message), Buffer.from(".\r\n")]);
          for (let at = 0, turn = 0; at < wire.length; turn++) {
            const length = cuts[turn % cuts.length] ?? 1;
            client.write(wire.subarray(at, at + length));
            at += length;
            await new Promise((resolve) => setImmediate(resolve));
          }
          expect(await client.reply()).toMatch(/^250 /);
          client.destroy();
          expect(heard.messages.at(-1)).toEqual(message);
        },
      ),
      { numRuns: 15 },
    );
  }, 30_000);

  it("of a large message go in frames, a window of them under way", async () => {
    const { url, heard } = await startWorker();
    const client = await openData((await startMx(url)).port);
    const message = Buffer.concat([
      Buffer.from(randomBytes(1_500_000).toString("base64").replace(/.{76}/g, "$&\r\n")),
      Buffer.from("\r\n"),
    ]);
    client.write(Buffer.concat([message, Buffer.from(".\r\n")]));
    expect(await client.reply()).toMatch(/^250 /);
    expect(heard.messages[0]?.equals(message)).toBe(true);
    expect(message.length).toBeGreaterThan(2 * GATEWAY_WINDOW * GATEWAY_FRAME_BYTES);
    expect(heard.underWay).toBeLessThanOrEqual(GATEWAY_WINDOW);
  });

  it("of the largest message are taken, and one more is refused with 552", async () => {
    const { url, heard } = await startWorker();
    const { port } = await startMx(url);
    for (const [size, reply] of [
      [MAX_MESSAGE_BYTES, /^250 2\.0\.0 /],
      [MAX_MESSAGE_BYTES + 1, /^552 5\.3\.4 Message too large, the limit is 26214400 octets$/],
    ] as const) {
      const client = await openData(port);
      const message = Buffer.alloc(size, "x");
      message.write("\r\n", size - 2);
      client.write(message);
      client.write(".\r\n");
      expect(await client.reply()).toMatch(reply);
      expect(await client.command("NOOP")).toMatch(/^250 /);
    }
    expect(heard.messages.map((message) => message.length)).toEqual([MAX_MESSAGE_BYTES]);
  }, 60_000);
});

describe("smuggling", () => {
  const hidden = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: hidden\r\n\r\nx\r\n";

  it.each([
    ["LF.LF", "\n.\n"],
    ["LF.CRLF", "\n.\r\n"],
    ["CR.CR", "\r.\r"],
    ["CR.CRLF", "\r.\r\n"],
    ["CRLF.LF", "\r\n.\n"],
    ["CRLF.CR", "\r\n.\r"],
    ["LF.CR", "\n.\r"],
    ["CRCRLF.CRLF in the middle", "\r\r\nx\r\n.x"],
    ["LF..LF", "\n..\n"],
    ["CRLF NUL . CRLF with a bare LF after it", "\r\n\0.\r\nx\ny"],
  ])("by %s is refused with 550 5.5.2, and what follows is no command", async (_, form) => {
    const { url, heard } = await startWorker();
    const client = await openData((await startMx(url)).port);
    client.write(`Subject: outer\r\n\r\nbody${form}${hidden}.\r\n`);
    expect(await client.reply()).toMatch(/^550 5\.5\.2 Bare CR or LF/);
    // The next reply is that of the next command: nothing in between was taken for one.
    expect(await client.command("NOOP")).toBe("250 2.0.0 OK");
    expect(heard.messages).toEqual([]);
    expect(heard.frames.map((frame) => frame.op)).toEqual(["mail", "rcpt", "abort"]);
  });

  it("is looked for across the places where the network cuts", async () => {
    const { url, heard } = await startWorker();
    const client = await openData((await startMx(url)).port);
    for (const char of "a\r\nb\n.\r\nc\r\n.\r\n") {
      client.write(char);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(await client.reply()).toMatch(/^550 5\.5\.2 /);
    expect(heard.messages).toEqual([]);
  });

  it("a sender that ends its message with bare line feeds hears 550 5.5.2 and does not wait for ever", async () => {
    const { url, heard } = await startWorker();
    const mx = await startMx(url, {
      memoryBytes: 1_000_000,
      connections: 10,
      connectionsPerAddress: 10,
      data: { whole: 60_000, bareLinePause: 50 },
    });
    const client = await openData(mx.port);
    client.write("Subject: x\n\nbody\n.\n");
    expect(await client.reply()).toMatch(/^550 5\.5\.2 Bare CR or LF/);
    expect(await client.reply()).toBeNull();
    expect(heard.messages).toEqual([]);
  });

  it("a message that does not arrive in time hears 451 4.4.2", async () => {
    const { url, heard } = await startWorker();
    const mx = await startMx(url, {
      memoryBytes: 1_000_000,
      connections: 10,
      connectionsPerAddress: 10,
      data: { whole: 50, bareLinePause: 60_000 },
    });
    const client = await openData(mx.port);
    client.write("Subject: x\r\n\r\nbo");
    expect(await client.reply()).toBe("451 4.4.2 The message did not arrive in time");
    expect(await client.reply()).toBeNull();
    expect(heard.messages).toEqual([]);
  });
});
