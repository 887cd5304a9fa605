import { describe, expect, it } from "vitest";
import { MAX_COMMAND_BYTES } from "../../../../src/core/limits.ts";
import { mailCommand, rcptCommand } from "../../../../src/core/protocol/smtp/command.ts";
import { parseExtensions } from "../../../../src/core/protocol/smtp/ehlo.ts";

const ALL = new Map([
  ["SIZE", "1000"],
  ["8BITMIME", ""],
  ["SMTPUTF8", ""],
]);
const NONE = new Map<string, string>();
const PLAIN = { from: "a@example.org", size: 10, body: "7BIT", smtputf8: false } as const;

describe("MAIL", () => {
  it.each([
    ["names the null sender", { ...PLAIN, from: "" }, NONE, "MAIL FROM:<>"],
    ["gives the size where the server wants it", PLAIN, ALL, "MAIL FROM:<a@example.org> SIZE=10"],
    ["declares 8-bit", { ...PLAIN, body: "8BITMIME" as const }, ALL, "MAIL FROM:<a@example.org> SIZE=10 BODY=8BITMIME"],
    [
      "leaves 8-bit undeclared where the server lacks it",
      { ...PLAIN, body: "8BITMIME" as const },
      NONE,
      "MAIL FROM:<a@example.org>",
    ],
    ["hands SMTPUTF8 on", { ...PLAIN, smtputf8: true }, ALL, "MAIL FROM:<a@example.org> SIZE=10 SMTPUTF8"],
    ["leaves SMTPUTF8 out where no address needs it", { ...PLAIN, smtputf8: true }, NONE, "MAIL FROM:<a@example.org>"],
    [
      "asks for SMTPUTF8 where the address needs it",
      { ...PLAIN, from: "é@example.org" },
      ALL,
      "MAIL FROM:<é@example.org> SIZE=10 SMTPUTF8",
    ],
    [
      "keeps a quoted local part",
      { ...PLAIN, from: '"a b\\">c"@example.org' },
      NONE,
      'MAIL FROM:<"a b\\">c"@example.org>',
    ],
    ["takes SIZE without a number for no limit", PLAIN, new Map([["SIZE", ""]]), "MAIL FROM:<a@example.org> SIZE=10"],
    ["takes SIZE 0 for no limit", PLAIN, new Map([["SIZE", "0"]]), "MAIL FROM:<a@example.org> SIZE=10"],
  ])("%s", (_, parameters, extensions, line) => {
    expect(mailCommand(parameters, extensions)).toEqual({ ok: true, value: line });
  });

  it("may have the announced size, and not one octet more", () => {
    expect(mailCommand({ ...PLAIN, size: 1_000 }, ALL).ok).toBe(true);
    expect(mailCommand({ ...PLAIN, size: 1_001 }, ALL)).toEqual({
      ok: false,
      error: { reason: "too_large", max: 1_000 },
    });
  });

  it("needs SMTPUTF8 for a non-ASCII sender", () => {
    expect(mailCommand({ ...PLAIN, from: "é@example.org" }, NONE)).toEqual({
      ok: false,
      error: { reason: "smtputf8_missing" },
    });
  });
});

describe("RCPT", () => {
  it("keeps the address as it was received, tag and case", () => {
    expect(rcptCommand("Info+Tag@Example.ORG", NONE)).toEqual({ ok: true, value: "RCPT TO:<Info+Tag@Example.ORG>" });
  });

  it("needs SMTPUTF8 for a non-ASCII recipient", () => {
    expect(rcptCommand("é@example.org", NONE).ok).toBe(false);
    expect(rcptCommand("é@example.org", ALL).ok).toBe(true);
  });

  it.each([
    "a@example.org\r\nDATA",
    "a@example.org\nDATA",
    "a@example.org\u0000",
    "a@example.org> NOTIFY=NEVER",
    "a b@example.org",
    "<a@example.org",
    '"a@example.org',
    "\ud800@example.org",
  ])("cannot be made to carry anything else: %j", (address) => {
    expect(rcptCommand(address, ALL)).toEqual({ ok: false, error: { reason: "unsafe_address" } });
  });

  it("may have the greatest length, and not one octet more", () => {
    const rest = "RCPT TO:<@example.org>\r\n".length;
    const local = "a".repeat(MAX_COMMAND_BYTES - rest);
    expect(rcptCommand(`${local}@example.org`, NONE).ok).toBe(true);
    expect(rcptCommand(`${local}a@example.org`, NONE)).toMatchObject({ error: { reason: "line_too_long" } });
  });
});

describe("the reply to EHLO", () => {
  it("names the extensions, in any case", () => {
    const text = "mail.example.org SIZE 1\nPIPELINING\nsize 1000 \nAUTH PLAIN LOGIN\n8bitmime\n-odd-\nX-OWN a b";
    expect([...parseExtensions({ code: 250, text })]).toEqual([
      ["PIPELINING", ""],
      ["SIZE", "1000"],
      ["AUTH", "PLAIN LOGIN"],
      ["8BITMIME", ""],
      ["X-OWN", "a b"],
    ]);
  });

  it("may spell AUTH the old way, or both ways", () => {
    expect(parseExtensions({ code: 250, text: "x\nAUTH PLAIN\nAUTH=LOGIN" }).get("AUTH")).toBe("PLAIN LOGIN");
  });
});
