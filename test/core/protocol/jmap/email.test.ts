import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { partsWithin } from "../../../../src/core/mime/structure.ts";
import { readStructure, writeStructure } from "../../../../src/core/mime/structure-form.ts";
import { structureOf } from "../../../../src/core/mime/structure-reader.ts";
import { type EmailBodyPart, emailBody } from "../../../../src/core/protocol/jmap/body-parts.ts";
import { headerProperties } from "../../../../src/core/protocol/jmap/header-properties.ts";
import { anyMessage, octets } from "../../mime/messages.ts";

function stored(message: Uint8Array) {
  const structure = readStructure(writeStructure(structureOf(message)) ?? "");
  if (!structure) throw new Error("it is too long for a row");
  return structure;
}

const properties = (...header: readonly string[]) => headerProperties(stored(octets(`${header.join("\r\n")}\r\n\r\n`)));

/** A part of this type, `named` or `attached` behind it; a list is a multipart: its subtype, its parts. */
type Tree = string | Tree[];

function message(tree: Tree, depth = 0): string {
  if (typeof tree === "string") {
    const [type, ...words] = tree.split(" ");
    const named = words.includes("named") ? "; name=x" : "";
    const attached = words.includes("attached") ? "Content-Disposition: attachment\n" : "";
    return `Content-Type: ${type}${named}\n${attached}Content-Id: <${tree.replaceAll(" ", "-")}>\n\ntext`;
  }
  const [subtype, ...parts] = tree;
  const boundary = `b${depth}`;
  const inner = parts.map((part) => `--${boundary}\n${message(part, depth + 1)}\n`).join("");
  return `Content-Type: multipart/${subtype}; boundary=${boundary}\n\n${inner}--${boundary}--`;
}

/** The types of the text body, the HTML body and the attachments. */
function bodies(tree: Tree) {
  const { textBody, htmlBody, attachments } = emailBody(stored(octets(message(tree))), ({ path }) => path);
  const types = (parts: readonly EmailBodyPart[]) => parts.map(({ cid }) => cid);
  return [types(textBody), types(htmlBody), types(attachments)];
}

describe("the bodies of an Email (RFC 8621 §4.1.4)", () => {
  it("of the standard's own example are these", () => {
    const alternative: Tree = [
      "alternative",
      ["mixed", "text/plain b", "image/jpeg c", "text/plain d"],
      ["related", "text/html e", "image/jpeg f"],
    ];
    const within: Tree = ["mixed", alternative, "image/jpeg attached g", "application/x-excel h", "message/rfc822 j"];
    const letters = (lists: (string | null)[][]) => lists.map((ids) => ids.map((id) => id?.at(-1)).join(""));
    expect(letters(bodies(["mixed", "text/plain a", within, "text/plain k"]))).toEqual(["abcdk", "aek", "cfghj"]);
  });

  it.each<[string, Tree, unknown]>([
    ["plain text is both", "text/plain", [["text/plain"], ["text/plain"], []]],
    ["HTML alone is both", "text/html", [["text/html"], ["text/html"], []]],
    ["an alternative is each its own", ["alternative", "text/plain", "text/html"], [["text/plain"], ["text/html"], []]],
    ["an alternative with HTML alone is both", ["alternative", "text/html"], [["text/html"], ["text/html"], []]],
    [
      "a calendar in an alternative is attached",
      ["alternative", "text/plain", "text/calendar"],
      [["text/plain"], ["text/plain"], ["text/calendar"]],
    ],
    [
      "a text with a name, behind the first, is attached",
      ["mixed", "text/plain", "text/plain named"],
      [["text/plain"], ["text/plain"], ["text/plain-named"]],
    ],
    ["what says so is attached", "text/plain attached", [[], [], ["text/plain-attached"]]],
  ])("%s", (_what, tree, lists) => {
    expect(bodies(tree)).toEqual(lists);
  });

  it("does not look into a message within the message", () => {
    const { bodyStructure, attachments } = emailBody(
      stored(
        octets(
          "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\ny\n--b--",
        ),
      ),
      ({ path }) => `blob-${path}`,
    );
    expect(bodyStructure).toMatchObject({ partId: null, blobId: null, type: "multipart/mixed" });
    expect(bodyStructure.subParts).toMatchObject([
      { partId: "1", blobId: "blob-1", type: "message/rfc822", subParts: null },
    ]);
    expect(attachments).toHaveLength(1);
  });

  it("says that there are attachments where one is not inline", () => {
    const has = (disposition: string) =>
      emailBody(stored(octets(`Content-Type: image/x\nContent-Disposition: ${disposition}\n\n`)), () => "")
        .hasAttachment;
    expect([has("attachment"), has("inline")]).toEqual([true, false]);
  });

  it("decodes what a part says of itself", () => {
    const { bodyStructure } = emailBody(
      stored(
        octets(
          "Content-Type: text/plain; charset=utf-8; name=old.txt\nContent-Disposition: inline;\n filename*0*=iso-8859-1'de'gr%FC; filename*1=n.txt\nContent-Language: de\nContent-Location: x/y\nContent-Id: <a@example.org>\nContent-Transfer-Encoding: base64\n\nQUJD\n",
        ),
      ),
      () => "blob",
    );
    expect(bodyStructure).toEqual({
      partId: "1",
      blobId: "blob",
      size: 3,
      name: "grün.txt",
      type: "text/plain",
      charset: "utf-8",
      disposition: "inline",
      cid: "a@example.org",
      language: ["de"],
      location: "x/y",
      subParts: null,
    });
  });

  it("of any octets has each part once, each with an id of its own", () => {
    fc.assert(
      fc.property(anyMessage, (any) => {
        const structure = stored(any);
        const { bodyStructure } = emailBody(structure, ({ path }) => path);
        const all: EmailBodyPart[] = [];
        const walk = (part: EmailBodyPart) => {
          all.push(part);
          for (const one of part.subParts ?? []) walk(one);
        };
        walk(bodyStructure);
        const ids = all.flatMap(({ partId }) => (partId === null ? [] : [partId]));
        expect(new Set(ids).size).toBe(ids.length);
        expect(all.length).toBeLessThanOrEqual([...partsWithin(structure.body)].length);
      }),
      { numRuns: 300 },
    );
  });
});

describe("header fields of an Email (RFC 8621 §4.1.3)", () => {
  it("are decoded", () => {
    expect(
      properties(
        "Message-ID: <a@example.org>",
        "In-Reply-To: <b@example.org> <c@example.org>",
        "From: =?utf-8?Q?Ann_Gr=C3=BCn?= <ann@example.org>",
        "Sender: bob@example.org",
        "To: Friends: a@example.org, B <b@example.org>;",
        "Cc:",
        "Subject: =?iso-8859-1?Q?caf=E9?=",
        "Date: Tue, 24 Nov 2026 10:00:00 +0530 (IST)",
      ),
    ).toEqual({
      messageId: ["a@example.org"],
      inReplyTo: ["b@example.org", "c@example.org"],
      from: [{ name: "Ann Grün", email: "ann@example.org" }],
      sender: [{ name: null, email: "bob@example.org" }],
      to: [
        { name: null, email: "a@example.org" },
        { name: "B", email: "b@example.org" },
      ],
      cc: [],
      bcc: null,
      replyTo: null,
      subject: "café",
      sentAt: "2026-11-24T10:00:00+05:30",
    });
  });

  it("in raw octets are UTF-8, else the charset of the text, else what is usual", () => {
    expect(properties("Subject: caf\xc3\xa9").subject).toBe("café");
    expect(properties("Subject: \xf0\xd2", "Content-Type: text/plain; charset=koi8-r").subject).toBe("Пр");
    expect(properties("Subject: caf\xe9", "Content-Type: text/plain; charset=nonsense").subject).toBe("café");
  });

  it.each([
    ["Tue, 24 Nov 2026 10:00:00 GMT", "2026-11-24T10:00:00Z"],
    ["Tue, 24 Nov 2026 10:00:00 -0800", "2026-11-24T10:00:00-08:00"],
    ["no date at all", null],
  ])("%j was sent at %j", (date, sentAt) => {
    expect(properties(`Date: ${date}`).sentAt).toBe(sentAt);
  });

  it("take the last of several (§4.1.3)", () => {
    expect(properties("From: a@example.org", "From: b@example.org").from).toEqual([
      { name: null, email: "b@example.org" },
    ]);
  });

  it("of any octets are read without a failure", () => {
    fc.assert(fc.property(anyMessage, (any) => void headerProperties(stored(any))));
  });
});
