import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MessageEncoder } from "../../../../src/core/protocol/smtp/message-encoder.ts";

const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (bytes: Iterable<number>) => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");

function encode(
  message: Uint8Array,
  cuts: readonly number[] = [message.length || 1],
): { wire: string; changed: boolean } {
  const encoder = new MessageEncoder();
  const out: number[] = [];
  for (let at = 0, n = 0; at < message.length; n++) {
    const length = cuts[n % cuts.length] ?? 1;
    out.push(...encoder.encode(message.subarray(at, at + length)));
    at += length;
  }
  out.push(...encoder.end());
  return { wire: text(out), changed: encoder.lineEndsChanged };
}

/** A receiver, written from RFC 5321 §4.5.2 alone: reads lines that end with CRLF up to a line that is a dot. */
function receive(wire: string): { message: string; rest: string } {
  let message = "";
  let at = 0;
  for (;;) {
    const end = wire.indexOf("\r\n", at);
    if (end < 0) throw new Error("no end of the message");
    const line = wire.slice(at, end);
    at = end + 2;
    if (line === ".") return { message, rest: wire.slice(at) };
    message += `${line.startsWith(".") ? line.slice(1) : line}\r\n`;
  }
}

/** What must arrive, by regular expressions instead of by octets: each CRLF, CR and LF is one line end. */
function canonical(message: string): string {
  const lines = message.replace(/\r\n|\r|\n/g, "\r\n");
  return lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`;
}

/** Mostly what is special, so that every meeting of CR, LF and dot occurs. */
const hostile = fc
  .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(13, 10, 46) }, fc.integer({ min: 0, max: 255 })), {
    maxLength: 60,
  })
  .map((list) => Uint8Array.from(list));
const cuts = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 });

describe("the octets of a message on the wire", () => {
  it.each<[string, string, string, boolean]>([
    ["a plain message goes as it is", "a\r\nb\r\n", "a\r\nb\r\n.\r\n", false],
    ["an empty message is a lone dot", "", ".\r\n", false],
    ["a missing last line end is added", "a", "a\r\n.\r\n", false],
    ["a dot at the start is doubled", ".a\r\n", "..a\r\n.\r\n", false],
    ["a lone dot is doubled", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n", false],
    ["a dot within a line is not", "a.b\r\n", "a.b\r\n.\r\n", false],
    ["a bare LF becomes CRLF", "a\nb\n", "a\r\nb\r\n.\r\n", true],
    ["a bare CR becomes CRLF", "a\rb\r\n", "a\r\nb\r\n.\r\n", true],
    ["a bare CR at the end becomes CRLF", "a\r", "a\r\n.\r\n", true],
    ["two CRs in front of an LF are two line ends", "a\r\r\nb\r\n", "a\r\n\r\nb\r\n.\r\n", true],
    ["a smuggled end with LF is none", "a\n.\nMAIL FROM:<x>\r\n", "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n", true],
    ["a smuggled end with CR is none", "a\r.\rMAIL FROM:<x>\r\n", "a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n", true],
    ["NUL and 8-bit go as they are", "\u0000\u00ff\u0080\r\n", "\u0000\u00ff\u0080\r\n.\r\n", false],
  ])("%s", (_, message, wire, changed) => {
    expect(encode(octets(message))).toEqual({ wire, changed });
  });

  it("are the same however the message is cut", () => {
    fc.assert(
      fc.property(hostile, cuts, (message, where) => {
        expect(encode(message, where)).toEqual(encode(message));
      }),
      { numRuns: 2_000 },
    );
  });

  it("are for any receiver the message, with all line ends CRLF, and nothing behind it", () => {
    fc.assert(
      fc.property(hostile, cuts, (message, where) => {
        const { wire } = encode(message, where);
        expect(receive(wire)).toEqual({ message: canonical(text(message)), rest: "" });
      }),
      { numRuns: 2_000 },
    );
  });

  it("are said to have changed exactly where a bare CR or LF was", () => {
    fc.assert(
      fc.property(hostile, cuts, (message, where) => {
        const bare = /\r(?!\n)|(?<!\r)\n/.test(text(message));
        expect(encode(message, where).changed).toBe(bare);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are not copied where nothing has to change", () => {
    const message = octets("Subject: x\r\n\r\nbody\r\n");
    expect(new MessageEncoder().encode(message)).toBe(message);
  });
});
