import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PartStructure, partsWithin } from "../../../../src/core/mime/structure.ts";
import { readStructure, writeStructure } from "../../../../src/core/mime/structure-form.ts";
import { structureOf } from "../../../../src/core/mime/structure-reader.ts";
import { writeBodyStructure } from "../../../../src/core/protocol/imap/body-structure.ts";
import { writeEnvelope } from "../../../../src/core/protocol/imap/envelope.ts";
import { anyMessage, octets } from "../../mime/messages.ts";
import { readValue, type Value } from "./response.ts";

const lines = (...all: readonly string[]) => octets(all.map((line) => `${line}\r\n`).join(""));

/** From the row alone, as a server would write it. */
function stored(message: Uint8Array) {
  const structure = readStructure(writeStructure(structureOf(message)) ?? "");
  if (!structure) throw new Error("it is too long for a row");
  return structure;
}

const envelope = (...header: readonly string[]) => readValue(writeEnvelope(stored(lines(...header, "")).envelope));
const NOBODY = Array(10).fill(null);

describe("ENVELOPE", () => {
  it("is that of the message, with Sender and Reply-To as From where they are not there", () => {
    const fred = [["Terry Gray", null, "gray", "cac.example"]];
    expect(
      envelope(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
        "From: Terry Gray <gray@cac.example>",
        "Subject: IMAP4rev2 WG mtg summary",
        "To: imap@cac.example",
        "Cc: minutes@cnri.example, John Klensin <KLENSIN@mit.example>",
        "In-Reply-To: <a@cac.example>",
        "Message-Id: <B27397-0100000@cac.example>",
      ),
    ).toEqual([
      "Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
      "IMAP4rev2 WG mtg summary",
      fred,
      fred,
      fred,
      [[null, null, "imap", "cac.example"]],
      [
        [null, null, "minutes", "cnri.example"],
        ["John Klensin", null, "KLENSIN", "mit.example"],
      ],
      null,
      "<a@cac.example>",
      "<B27397-0100000@cac.example>",
    ]);
  });

  it("of a message without a header is all NIL, a subject without a word is empty", () => {
    expect(envelope()).toEqual(NOBODY);
    expect(envelope("Subject:")).toEqual([null, "", ...Array(8).fill(null)]);
  });

  it("leaves encoded words and raw octets as they stand", () => {
    const [, subject, from] = envelope(
      "Subject: =?utf-8?Q?gr=C3=BCn?= \xe9",
      'From: =?iso-8859-1?Q?Keld_J=F8rn?= =?us-ascii?Q?a?= <keld@example.org>, "J\xe9, A" <a@example.org>',
    ) as Value[];
    expect(subject).toBe("=?utf-8?Q?gr=C3=BCn?= \xe9");
    expect(from).toEqual([
      ["=?iso-8859-1?Q?Keld_J=F8rn?= =?us-ascii?Q?a?=", null, "keld", "example.org"],
      ["J\xe9, A", null, "a", "example.org"],
    ]);
  });

  it("writes groups, routes, and names without an address", () => {
    const [, , from, , , to] = envelope(
      "From: Postmaster",
      'To: Friends: a@example.org, B <b@example.org>;, none:;, <@relay.example,@b.example:c@example.org>, "d e"@example.org',
    ) as Value[];
    expect(from).toEqual([[null, null, "Postmaster", ""]]);
    expect(to).toEqual([
      [null, null, "Friends", null],
      [null, null, "a", "example.org"],
      ["B", null, "b", "example.org"],
      [null, null, null, null],
      [null, null, "none", null],
      [null, null, null, null],
      [null, "@relay.example,@b.example", "c", "example.org"],
      [null, null, "d e", "example.org"],
    ]);
  });

  it("takes a field that is there twice for one (RFC 5322 has it once)", () => {
    const [, , from] = envelope("From: a@example.org", "From: b@example.org") as Value[];
    expect(from).toHaveLength(2);
  });
});

const bodystructure = (message: Uint8Array, extended = true) =>
  readValue(writeBodyStructure(stored(message).body, extended));

describe("BODYSTRUCTURE", () => {
  it("of plain text has its octets and lines as they stand", () => {
    expect(bodystructure(lines("Subject: x", "", "one", "two"))).toEqual([
      "text",
      "plain",
      ["charset", "us-ascii"],
      null,
      null,
      "7bit",
      10,
      2,
      null,
      null,
      null,
      null,
    ]);
  });

  it("of a multipart has every part with its extension data; BODY has none", () => {
    const message = lines(
      'Content-Type: multipart/mixed; boundary="b"',
      "",
      "--b",
      "Content-Type: text/plain; charset=utf-8; format=flowed",
      "Content-Language: en, de",
      "",
      "one",
      "--b",
      "Content-Type: image/png; name*0*=utf-8''a%20; name*1=b.png",
      "Content-ID: <dot@example.org>",
      "Content-Description: A dot",
      "Content-Transfer-Encoding: BASE64 (really)",
      "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
      'Content-Disposition: attachment; filename="a b.png"',
      "Content-Location: http://www.example.org/dot.png",
      "",
      "AAEC",
      "--b--",
    );
    const text = ["text", "plain", ["charset", "utf-8", "format", "flowed"], null, null, "7bit", 3, 0];
    const image = [
      "image",
      "png",
      ["name*0*", "utf-8''a%20", "name*1", "b.png"],
      "<dot@example.org>",
      "A dot",
      "base64",
      4,
    ];
    expect(bodystructure(message, false)).toEqual([text, image, "mixed"]);
    expect(bodystructure(message)).toEqual([
      [...text, null, null, ["en", "de"], null],
      [
        ...image,
        "Q2hlY2sgSW50ZWdyaXR5IQ==",
        ["attachment", ["filename", "a b.png"]],
        null,
        "http://www.example.org/dot.png",
      ],
      "mixed",
      ["boundary", "b"],
      null,
      null,
      null,
    ]);
  });

  it("of an attached message has its envelope and its own structure", () => {
    const inner = ["Subject: inner", "From: a@example.org", "", "text"];
    const message = lines(
      "Content-Type: message/rfc822",
      "Content-Disposition: attachment; filename=inner.eml",
      "",
      ...inner,
    );
    const sender = [[null, null, "a", "example.org"]];
    expect(bodystructure(message, false)).toEqual([
      "message",
      "rfc822",
      null,
      null,
      null,
      "7bit",
      lines(...inner).length,
      [null, "inner", sender, sender, sender, null, null, null, null, null],
      ["text", "plain", ["charset", "us-ascii"], null, null, "7bit", 6, 1],
      4,
    ]);
  });

  it("of a message that is encoded has what the grammar wants", () => {
    const message = lines("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "QUJD");
    expect(bodystructure(message, false)).toEqual([
      "message",
      "rfc822",
      null,
      null,
      null,
      "base64",
      6,
      NOBODY,
      ["text", "plain", ["charset", "us-ascii"], null, null, "7bit", 0, 0],
      1,
    ]);
  });

  it("of any octets can be read by a client, and has every part", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const { body, envelope } = stored(message);
        expect(readValue(writeEnvelope(envelope))).toHaveLength(10);
        for (const extended of [true, false]) check(readValue(writeBodyStructure(body, extended)), body, extended);
      }),
      { numRuns: 500 },
    );
  });
});

/** RFC 9051 §9, `body`: the number of fields, and their kinds. */
function check(value: Value, part: PartStructure, extended: boolean): void {
  if (!Array.isArray(value)) throw new Error("a body is a list");
  if (part.kind === "multipart") {
    expect(value).toHaveLength(part.parts.length + (extended ? 5 : 1));
    for (const [index, child] of part.parts.entries()) check(value[index] ?? null, child, extended);
    return;
  }
  expect(value[6]).toBe(part.bodyTo - part.bodyFrom);
  const rest = value.slice(7, extended ? -4 : undefined);
  if (part.type === "text") expect(rest).toEqual([part.lines]);
  else if (part.message) {
    expect(rest).toHaveLength(3);
    expect(rest[2]).toBe(part.lines);
    check(rest[1] ?? null, part.message.body, extended);
  } else expect(rest).toHaveLength(part.type === "message" && part.subtype === "rfc822" ? 3 : 0);
  expect([...partsWithin(part)].length).toBeGreaterThan(0);
}
