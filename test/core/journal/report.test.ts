import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { journalAddress, journalSecret } from "../../../src/core/journal/address.ts";
import { parseJournalReport } from "../../../src/core/journal/report.ts";
import { findWrapped } from "../../../src/core/journal/wrapped.ts";
import { structureOf } from "../../../src/core/mime/structure-reader.ts";

/** As Exchange 2010 and later, and Microsoft 365, write it. */
const EXCHANGE = [
  "Sender: kim@example.org",
  "On-Behalf-Of: boss@example.org",
  "Subject: Quarterly figures",
  "Message-Id: <DB9PR08MB1234@example.prod.outlook.com>",
  "To: ann@example.org",
  "To: Zoe@Example.net",
  "Cc: dan@example.org, Expanded: everyone@example.org",
  "Bcc: outside@example.com, Forwarded: eve@example.org",
  "Recipient: late@example.org",
  "",
].join("\r\n");

describe("the text of a journal report", () => {
  it("of Exchange and Microsoft 365 says who sent it, for whom, and to whom it went, lists expanded", () => {
    expect(parseJournalReport(EXCHANGE)).toEqual({
      ok: true,
      value: {
        sender: "kim@example.org",
        onBehalfOf: "boss@example.org",
        recipients: [
          "ann@example.org",
          "Zoe@Example.net",
          "dan@example.org",
          "outside@example.com",
          "late@example.org",
        ],
        unknown: 0,
      },
    });
    expect(parseJournalReport(EXCHANGE.replaceAll("\r\n", "\n"))).toEqual(parseJournalReport(EXCHANGE));
  });

  it("of Exchange 2003 has its recipients on one line, with names", () => {
    const text =
      'Sender: "Kim" <kim@example.org>\nMessage-ID: <x@y>\nRecipients: "Ann" <ann@example.org>, <bob@example.org>\n';
    expect(parseJournalReport(text)).toMatchObject({
      value: { sender: "kim@example.org", recipients: ["ann@example.org", "bob@example.org"] },
    });
  });

  it.each<[string, string]>([
    ["a null sender, as of a report of failure", EXCHANGE.replace("kim@example.org", "<>")],
    ["no sender at all behind the colon", EXCHANGE.replace("kim@example.org", "")],
  ])("with %s is nobody's, and is a report all the same", (_name, text) => {
    expect(parseJournalReport(text)).toMatchObject({ ok: true, value: { sender: "" } });
  });

  it("a recipient twice is one; what is no address of mail is counted and nobody's", () => {
    const text = `${EXCHANGE}To: ANN@example.org\r\nTo: IMCEAEX-_O=ORG/OU=EX\r\n`;
    expect(parseJournalReport(text)).toMatchObject({ value: { recipients: { length: 5 }, unknown: 1 } });
  });

  it("a subject with line ends in it, which a stranger wrote, says nothing of the sender", () => {
    const text = EXCHANGE.replace("Sender: kim@example.org\r\n", "").replace(
      "figures",
      "figures\r\nSender: boss@example.org",
    );
    expect(parseJournalReport(text)).toMatchObject({ ok: false, error: expect.stringContaining("Sender") });
    const second = EXCHANGE.replace(
      "figures",
      "figures\r\nSender: other@example.org\r\nOn-Behalf-Of: other@example.org",
    );
    expect(parseJournalReport(second)).toMatchObject({
      value: { sender: "kim@example.org", onBehalfOf: "boss@example.org" },
    });
  });

  it.each<[string, string, RegExp]>([
    ["nothing", "", /Sender/],
    ["any other text", "Hello,\nhow are you?\n", /Sender/],
    ["no recipients", "Sender: a@b.test\r\nSubject: x\r\n", /to whom/],
    [
      "more recipients than any has",
      `Sender: a@b.test\n${Array.from({ length: 2_001 }, (_, at) => `To: r${at}@b.test\n`).join("")}`,
      /more than 2000/,
    ],
  ])("that has %s is none, and says why", (_name, text, why) => {
    const read = parseJournalReport(text);
    expect(read.ok ? "" : read.error).toMatch(why);
  });

  it("made to be slow is read in its length's time", () => {
    const hostile = [
      `To: a${" ".repeat(500_000)}x`,
      `To: ${"<".repeat(500_000)}`,
      `To: a${", ".repeat(250_000)}`,
      `Cc: ${'"'.repeat(500_000)}`,
    ];
    for (const line of hostile)
      expect(parseJournalReport(`Sender: a@b.test\r\n${line}\r\n`)).toMatchObject({
        ok: true,
        value: { recipients: [], unknown: 1 },
      });
  });

  it("whatever stands in it, it is a report or none, and never an exception; its addresses have no line ends", () => {
    const line = fc.oneof(
      fc.constantFrom(...EXCHANGE.split("\r\n")),
      fc.string({ unit: "binary" }),
      fc.constantFrom("To:", "Sender:", "Recipients: ,;,"),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), fc.constantFrom("\n", "\r\n", "\r"), (lines, end) => {
        const read = parseJournalReport(lines.join(end));
        if (!read.ok) return;
        for (const address of [read.value.sender, ...read.value.recipients]) expect(address).not.toMatch(/[\r\n]/);
      }),
      { numRuns: 200 },
    );
  });
});

const octets = (text: string) => new TextEncoder().encode(text);
const report = (parts: readonly string[]) =>
  octets(
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${parts.map((part) => `--b\r\n${part}\r\n`).join("")}--b--\r\n`,
  );
const TEXT = "Content-Type: text/plain\r\n\r\nSender: a@b.test";
const MESSAGE = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nHello";

describe("where the message in a report lies", () => {
  it("behind the text, as a part", () => {
    const found = findWrapped(structureOf(report([TEXT, MESSAGE])));
    expect(found).toMatchObject({ ok: true, value: { text: { path: "1" }, message: { path: "2", kind: "message" } } });
  });

  it("twice where a rule decrypts: the first is the one that went", () => {
    expect(findWrapped(structureOf(report([TEXT, MESSAGE, MESSAGE])))).toMatchObject({
      value: { message: { path: "2" } },
    });
  });

  it("in base64 too, as some gateways make it", () => {
    const encoded = `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n${btoa("Subject: x\r\n\r\nHello")}`;
    expect(findWrapped(structureOf(report([TEXT, encoded])))).toMatchObject({
      value: { message: { kind: "leaf", size: 19 } },
    });
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["a message alone", octets("Subject: x\r\n\r\nHello\r\n"), /no message attached/],
    ["text alone", report([TEXT]), /no message attached/],
    ["a page before it", report(["Content-Type: text/html\r\n\r\n<p>", MESSAGE]), /no text/],
  ])("nowhere in %s", (_name, message, why) => {
    const found = findWrapped(structureOf(message));
    expect(found.ok ? "" : found.error).toMatch(why);
  });
});

describe("a journal address", () => {
  const secret = "a".repeat(32);
  it("is known by its secret, in any case, at any domain", () => {
    expect(journalSecret(journalAddress(secret, "example.org"))).toBe(secret);
    expect(journalSecret(`JOURNAL-${secret.toUpperCase()}@x.test`)).toBe(secret);
  });
  it.each([
    "journal@example.org",
    "journal-short@example.org",
    `journal-${secret}x@example.org`,
    `x-journal-${secret}@example.org`,
    "",
  ])("%s is none", (address) => expect(journalSecret(address)).toBeNull());
});
