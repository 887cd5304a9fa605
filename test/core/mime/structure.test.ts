import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_MIME_PARTS } from "../../../src/core/limits.ts";
import { attachedParts } from "../../../src/core/mime/attached.ts";
import { joined } from "../../../src/core/mime/joined.ts";
import { type Part, PartReader } from "../../../src/core/mime/parts.ts";
import { type PartStructure, partAt, partsWithin, type Structure } from "../../../src/core/mime/structure.ts";
import { readStructure, writeStructure } from "../../../src/core/mime/structure-form.ts";
import { StructureReader, structureOf } from "../../../src/core/mime/structure-reader.ts";
import { transferDecoder } from "../../../src/core/mime/transfer.ts";
import { anyMessage, cutAt, latin1, octets } from "./messages.ts";

function read(pieces: readonly Uint8Array[]): Structure {
  const reader = new StructureReader();
  for (const piece of pieces) reader.push(piece);
  return reader.end();
}

const NESTED = [
  "From: Ann <ann@example.org>",
  "Subject: outer",
  'Content-Type: multipart/mixed; boundary="a"',
  "",
  "preamble",
  "--a",
  "Content-Type: multipart/alternative; boundary=aa",
  "",
  "--aa",
  "",
  "plain",
  "",
  "--aa",
  "Content-Type: text/html; charset=utf-8",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "<p>=C3=A9</p>",
  "--aa--",
  "--a",
  "Content-Type: message/rfc822",
  "Content-Disposition: attachment; filename=inner.eml",
  "",
  "Subject: inner",
  "To: bob@example.org",
  'Content-Type: multipart/mixed; boundary="i"',
  "",
  "--i",
  "",
  "one",
  "--i",
  "Content-Type: message/rfc822",
  "",
  "Subject: innermost",
  "",
  "deep",
  "--i--",
  "--a",
  "Content-Type: image/png; name=dot.png",
  "Content-Id: <dot@example.org>",
  "Content-Transfer-Encoding: base64",
  "",
  "AAEC",
  "Aw==",
  "--a--",
  "epilogue",
  "",
].join("\r\n");

describe("the structure of a message", () => {
  const all = octets(NESTED);
  const structure = structureOf(all);
  const bodyOf = ({ bodyFrom, bodyTo }: PartStructure) => latin1(all.subarray(bodyFrom, bodyTo));
  const list = [...partsWithin(structure.body)];

  it("has every part by IMAP's section, those of attached messages too (RFC 9051 §6.4.5.1)", () => {
    expect(list.map(({ path, kind, type, subtype }) => [path, kind, `${type}/${subtype}`])).toEqual([
      ["", "multipart", "multipart/mixed"],
      ["1", "multipart", "multipart/alternative"],
      ["1.1", "leaf", "text/plain"],
      ["1.2", "leaf", "text/html"],
      ["2", "message", "message/rfc822"],
      ["2", "multipart", "multipart/mixed"],
      ["2.1", "leaf", "text/plain"],
      ["2.2", "message", "message/rfc822"],
      ["2.2.1", "leaf", "text/plain"],
      ["3", "leaf", "image/png"],
    ]);
    expect(partAt(structure, "2.2")?.message?.envelope.subject).toBe("innermost");
    expect(partAt(structure, "")?.kind).toBe("multipart");
    expect(["0", "4", "1.3", "3.1", "2.2.1.1", "x"].map((path) => partAt(structure, path))).toEqual(
      Array(6).fill(null),
    );
  });

  it("says where each body lies, without the line end before the delimiter", () => {
    expect(
      ["1.1", "1.2", "2.1", "2.2.1", "3"].map((path) => bodyOf(partAt(structure, path) ?? structure.body)),
    ).toEqual(["plain\r\n", "<p>=C3=A9</p>", "one", "deep", "AAEC\r\nAw=="]);
    const message = bodyOf(partAt(structure, "2") ?? structure.body);
    expect(message.startsWith("Subject: inner\r\n")).toBe(true);
    expect(message.endsWith("deep\r\n--i--")).toBe(true);
    expect(latin1(all.subarray(0, structure.body.bodyFrom)).endsWith('boundary="a"\r\n\r\n')).toBe(true);
    expect(structure.body.bodyTo).toBe(all.length);
  });

  it("counts lines as they stand and octets decoded", () => {
    const facts = (path: string) => {
      const part = partAt(structure, path);
      return [part?.lines, part?.size];
    };
    expect(facts("1.1")).toEqual([1, 7]);
    expect(facts("1.2")).toEqual([0, 9]);
    expect(facts("3")).toEqual([1, 4]);
    expect(facts("2")).toEqual([13, bodyOf(partAt(structure, "2") ?? structure.body).length]);
  });

  it("has each message's envelope as it stands", () => {
    expect(structure.envelope).toEqual({ from: ["Ann <ann@example.org>"], subject: "outer" });
    expect(partAt(structure, "2")?.message?.envelope).toEqual({ to: ["bob@example.org"], subject: "inner" });
  });

  it("tells what is handed out whole from what is text", () => {
    expect(attachedParts(structure).map(({ part, inline }) => [part.path, inline])).toEqual([
      ["2", false],
      ["3", false],
    ]);
  });

  it("of a message that is no multipart is part 1", () => {
    const { body } = structureOf(octets("Subject: x\r\n\r\nbody"));
    expect([body.path, body.type, body.headerFrom, body.bodyFrom, body.bodyTo]).toEqual(["1", "text", 0, 14, 18]);
  });

  it("keeps an address field that is there twice, and of others the last (RFC 8621 §4.1.3)", () => {
    const { envelope } = structureOf(
      octets("From: a@example.org\nFrom: b@example.org\nSubject: one\nSubject: two\n\n"),
    );
    expect(envelope).toEqual({ from: ["a@example.org", "b@example.org"], subject: "two" });
  });

  it.each([
    ["without a boundary", "Content-Type: multipart/mixed\n\n--a\n\ntext"],
    ["without any part", "Content-Type: multipart/mixed; boundary=b\n\n--a\n\ntext"],
    ["with a type that is none", "Content-Type: nonsense; charset=x\n\n--a\n\ntext"],
  ])("%s is plain text (RFC 2045 §5.2)", (_what, message) => {
    const { body } = structureOf(octets(message));
    expect(body).toMatchObject({ kind: "leaf", type: "text", subtype: "plain", parts: [], size: 9 });
  });

  it("leaves out parts that are too many, and says so", () => {
    const message = `Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(MAX_MIME_PARTS + 5)}`;
    const many = structureOf(octets(message));
    expect(many.partial).toBe(true);
    expect(many.body.parts).toHaveLength(MAX_MIME_PARTS - 1);
    expect(writeStructure(many)?.length ?? 0).toBeLessThan(65_537);
  });

  it("holds no more of header fields than it has room for", () => {
    const message = `Content-Type: multipart/mixed; boundary=b\n\n${`--b\nContent-Description: ${"x".repeat(30_000)}\n\nx\n`.repeat(100)}`;
    const many = structureOf(octets(message));
    expect(many.partial).toBe(true);
    expect(many.body.parts).toHaveLength(100);
    const kept = many.body.parts.reduce((sum, { description }) => sum + (description?.length ?? 0), 0);
    expect(kept).toBeLessThanOrEqual(1024 * 1024);
    expect(kept).toBeGreaterThan(900_000);
    // The row has no room for it.
    expect(writeStructure(many)).toBeNull();
  });
});

describe("the structure of any octets", () => {
  it("is the same however they are cut", () => {
    fc.assert(
      fc.property(anyMessage, fc.array(fc.nat(4_000)), (message, cuts) => {
        expect(read(cutAt(message, cuts))).toEqual(structureOf(message));
      }),
      { numRuns: 500 },
    );
  });

  it("is the same octet by octet", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(read(cutAt(message, [...message.keys()]))).toEqual(structureOf(message));
      }),
      { numRuns: 300 },
    );
  });

  it("has every part within the one around it, behind the one before it", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const { body, size } = structureOf(message);
        expect(size).toBe(message.length);
        expect([body.headerFrom, body.bodyTo]).toEqual([0, message.length]);
        for (const part of partsWithin(body)) {
          let from = part.bodyFrom;
          for (const child of part.message ? [part.message.body] : part.parts) {
            const places = [from, child.headerFrom, child.bodyFrom, child.bodyTo, part.bodyTo];
            expect(places).toEqual(places.toSorted((a, b) => a - b));
            from = child.bodyTo;
          }
          if (part.message) expect(part.message.body).toMatchObject({ headerFrom: part.bodyFrom, bodyTo: part.bodyTo });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("has for each leaf the octets that its range decodes to, and their lines", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        for (const part of partsWithin(structureOf(message).body)) {
          const range = message.subarray(part.bodyFrom, part.bodyTo);
          expect(part.lines).toBe(range.filter((octet) => octet === 0x0a).length);
          const decoder = transferDecoder(part.kind === "leaf" ? (part.encoding ?? "") : "");
          expect(part.size).toBe(joined([decoder.decode(range).slice(), decoder.end()]).length);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("has the body of each leaf where the parts' reader finds it", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bodies = new Map<Part, Uint8Array[]>();
        const reader = new PartReader({
          open: (part) => void bodies.set(part, []),
          body: (part, piece) => void bodies.get(part)?.push(piece.slice()),
          close: (part, { bodyTo }) => {
            if (part.kind !== "leaf") return;
            expect(latin1(joined(bodies.get(part) ?? []))).toBe(latin1(message.subarray(part.bodyFrom, bodyTo)));
          },
        });
        reader.push(message);
        reader.end();
        expect(bodies.size).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });

  it("numbers its parts so that each is found again", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const structure = structureOf(message);
        for (const part of partsWithin(structure.body)) {
          const found = partAt(structure, part.path);
          expect(found === part || found?.message?.body === part || found === structure.body).toBe(true);
        }
      }),
    );
  });

  it("is read back from the row as it was written", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const structure = structureOf(message);
        const json = writeStructure(structure);
        const back = json === null ? null : readStructure(json);
        // The charset of header fields is kept where there are fields that need it.
        expect(back && { ...back, charset: null }).toEqual({ ...structure, charset: null });
        if (/[\x80-\xff]/.test(json ?? "")) expect(back?.charset).toBe(structure.charset);
      }),
      { numRuns: 500 },
    );
  });

  it("of another version is none", () => {
    expect(readStructure('{"v":2,"anything":[]}')).toBeNull();
  });
});
