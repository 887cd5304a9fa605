import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_REPLY_LINE_BYTES, MAX_REPLY_LINES } from "../../../../src/core/limits.ts";
import type { Reply } from "../../../../src/core/outcome.ts";
import { outcomeOf, ReplyParser } from "../../../../src/core/protocol/smtp/reply.ts";

const octets = (text: string) => new TextEncoder().encode(text);

function parse(text: string | Uint8Array): Reply[] | string {
  const parser = new ReplyParser();
  const pushed = parser.push(typeof text === "string" ? octets(text) : text);
  const replies: Reply[] = [];
  for (let reply = parser.next(); reply; reply = parser.next()) replies.push(reply);
  return pushed.ok ? replies : pushed.error.reason;
}

describe("a reply", () => {
  it.each<[string, Reply[]]>([
    ["250 ok\r\n", [{ code: 250, text: "ok" }]],
    ["250\r\n", [{ code: 250, text: "" }]],
    ["250-a\r\n250-b\r\n250 c\r\n", [{ code: 250, text: "a\nb\nc" }]],
    ["550 5.1.1 no such user\r\n", [{ code: 550, enhanced: "5.1.1", text: "no such user" }]],
    ["550-5.7.1 one\r\n550 5.7.1 two\r\n", [{ code: 550, enhanced: "5.7.1", text: "one\ntwo" }]],
    ["550 5.1.1\r\n", [{ code: 550, enhanced: "5.1.1", text: "" }]],
    // RFC 2034 §4: the class is that of the code; this is text, not a status.
    ["550 4.1.1 no\r\n", [{ code: 550, text: "4.1.1 no" }]],
    ["220 2.3 releases of mail ESMTP\r\n", [{ code: 220, text: "2.3 releases of mail ESMTP" }]],
    // Lines that end with LF alone are understood.
    ["354 go\n", [{ code: 354, text: "go" }]],
    // A pipelining server sends several at once.
    [
      "250 a\r\n550 5.1.1 b\r\n354 c\r\n",
      [
        { code: 250, text: "a" },
        { code: 550, enhanced: "5.1.1", text: "b" },
        { code: 354, text: "c" },
      ],
    ],
    ["250 grüß\r\n", [{ code: 250, text: "grüß" }]],
  ])("%j is understood", (text, replies) => {
    expect(parse(text)).toEqual(replies);
  });

  it("cannot carry control characters on to the sender", () => {
    expect(parse("550 a\rb\u0000c\u001bd\r\n")).toEqual([{ code: 550, text: "a b c d" }]);
  });

  it("that is not UTF-8 is kept readable", () => {
    expect(parse(Uint8Array.from([...octets("550 na"), 0xef, 0x76, ...octets("e\r\n")]))).toEqual([
      { code: 550, text: "na\ufffdve" },
    ]);
  });

  it.each([
    ["hello\r\n", "malformed"],
    ["\r\n", "malformed"],
    ["199 no\r\n", "malformed"],
    ["600 no\r\n", "malformed"],
    ["2500 no\r\n", "malformed"],
    ["250-a\r\n550 b\r\n", "mixed_codes"],
  ])("%j is not one", (text, reason) => {
    expect(parse(text)).toBe(reason);
  });

  it("may have a line of the greatest length, and not one octet more", () => {
    const line = `250 ${"x".repeat(MAX_REPLY_LINE_BYTES - 5)}`;
    expect(parse(`${line}\r\n`)).toHaveLength(1);
    expect(parse(`${line}xx\r\n`)).toBe("line_too_long");
  });

  it("may have the greatest number of lines, and not one more", () => {
    const lines = "250-x\r\n".repeat(MAX_REPLY_LINES - 1);
    expect(parse(`${lines}250 x\r\n`)).toHaveLength(1);
    expect(parse(`${lines}250-x\r\n250 x\r\n`)).toBe("too_many_lines");
  });

  it("is the same however the octets are cut", () => {
    const text = "220-mail.example.org\r\n220 ESMTP\r\n550-5.7.1 é\r\n550 5.7.1 ü\r\n250 2.0.0 ok\r\n";
    const whole = parse(text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (cuts) => {
        const parser = new ReplyParser();
        const all = octets(text);
        for (let at = 0, n = 0; at < all.length; n++) {
          const length = cuts[n % cuts.length] ?? 1;
          parser.push(all.subarray(at, at + length));
          at += length;
        }
        const replies: Reply[] = [];
        for (let reply = parser.next(); reply; reply = parser.next()) replies.push(reply);
        expect(replies).toEqual(whole);
        expect(parser.pending).toBe(false);
      }),
    );
  });

  it("never makes the parser throw, whatever the octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        parse(noise);
      }),
    );
  });

  it("that has begun is pending until its last line", () => {
    const parser = new ReplyParser();
    parser.push(octets("250-a\r\n"));
    expect(parser.pending).toBe(true);
    parser.push(octets("250 b\r\n"));
    expect(parser.peek()).toEqual({ code: 250, text: "a\nb" });
    parser.next();
    expect(parser.pending).toBe(false);
  });
});

describe("what a reply means", () => {
  const phases = ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "final", "reset", "noop"] as const;

  it.each(phases)("at %s: 2xx is delivered, 4xx unavailable, and 3xx a breach of the protocol", (phase) => {
    expect(outcomeOf(phase, { code: 250, text: "" }).kind).toBe("delivered");
    expect(outcomeOf(phase, { code: 450, text: "" })).toMatchObject({ kind: "unavailable", reason: "reply", phase });
    expect(outcomeOf(phase, { code: 354, text: "" })).toMatchObject({ kind: "unavailable", reason: "protocol", phase });
  });

  it("is a refusal only for a 5xx to MAIL, RCPT, DATA and the final dot", () => {
    const refusing = phases.filter((phase) => outcomeOf(phase, { code: 550, text: "" }).kind === "refused");
    expect(refusing).toEqual(["mail", "rcpt", "data", "final"]);
  });
});
