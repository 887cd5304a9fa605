import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readStructuredField } from "../../../src/core/mime/content-type.ts";
import { readDate } from "../../../src/core/mime/date.ts";
import { joined } from "../../../src/core/mime/joined.ts";
import { type Part, PartReader } from "../../../src/core/mime/parts.ts";
import { transferDecoder } from "../../../src/core/mime/transfer.ts";

const octets = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const latin1 = (bytes: Uint8Array) => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");

/** The message read in pieces: each part's kind, type and body, in the order in which they began. */
function parts(
  message: string,
  cuts: readonly number[] = [],
): { kind: string; type: string; body: string; apart: boolean }[] {
  const bodies = new Map<Part, Uint8Array[]>();
  const reader = new PartReader({
    open: (part) => void bodies.set(part, []),
    body: (part, piece) => void bodies.get(part)?.push(piece.slice()),
    close: () => undefined,
  });
  const all = octets(message);
  let from = 0;
  for (const cut of [...new Set(cuts)].filter((at) => at < all.length).sort((a, b) => a - b)) {
    reader.push(all.subarray(from, cut));
    from = cut;
  }
  reader.push(all.subarray(from));
  reader.end();
  return [...bodies].map(([part, pieces]) => ({
    kind: part.kind,
    type: part.type.value,
    body: latin1(joined(pieces)),
    apart: part.apart,
  }));
}

const NESTED = [
  'Content-Type: multipart/mixed; boundary="a"',
  "",
  "preamble",
  "--a",
  "Content-Type: multipart/alternative;",
  "\tboundary=aa",
  "",
  "--aa",
  "",
  "plain",
  "",
  "--aa  ",
  "Content-Type: text/html",
  "",
  "<p>",
  "-- aa",
  "--aa--",
  "between",
  "--a",
  "Content-Type: message/rfc822",
  "",
  "Subject: inner",
  "",
  "- dash",
  "--",
  "--a--",
  "epilogue",
  "--a",
].join("\r\n");

const NESTED_PARTS = [
  { kind: "multipart", type: "multipart/mixed", body: "preamble" },
  { kind: "multipart", type: "multipart/alternative", body: "" },
  { kind: "leaf", type: "text/plain", body: "plain\r\n" },
  { kind: "leaf", type: "text/html", body: "<p>\r\n-- aa" },
  { kind: "message", type: "message/rfc822", body: "" },
  { kind: "leaf", type: "text/plain", body: "- dash\r\n--" },
].map((part) => ({ ...part, apart: false }));

describe("the parts of a message", () => {
  it("are those of its multiparts, each body without the line end before the delimiter", () => {
    expect(parts(NESTED).slice(0, 6)).toEqual(NESTED_PARTS);
  });

  it("are the same however the octets are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(NESTED.length), { maxLength: 30 }), (cuts) => {
        expect(parts(NESTED, cuts)).toEqual(parts(NESTED));
      }),
    );
    expect(
      parts(
        NESTED,
        Array.from({ length: NESTED.length }, (_, at) => at),
      ),
    ).toEqual(parts(NESTED));
  });

  it("with LF alone are the same parts", () => {
    expect(parts(NESTED.replaceAll("\r\n", "\n")).slice(0, 6)).toEqual(
      NESTED_PARTS.map((part) => ({ ...part, body: part.body.replaceAll("\r\n", "\n") })),
    );
  });

  it("are told by how a delimiter begins, and a longer one is of its own multipart", () => {
    const lines = [
      "--a and more",
      "",
      "first",
      "--a",
      "Content-Type: multipart/mixed; boundary=ab",
      "",
      "--ab",
      "",
      "second",
      "--abc",
      "",
      "third",
    ];
    const ends = ["--a", "", "fourth", "--a--and more", "epilogue"];
    const message = ["Content-Type: multipart/mixed; boundary=a", "", ...lines, ...ends].join("\r\n");
    expect(parts(message).map(({ kind, body }) => [kind, body])).toEqual([
      ["multipart", ""],
      ["leaf", "first"],
      ["multipart", ""],
      ["leaf", "second"],
      ["leaf", "third"],
      ["leaf", "fourth"],
    ]);
  });

  it("of an inner multipart end where an outer one has the longer delimiter", () => {
    const lines = [
      "--ab",
      "Content-Type: multipart/mixed; boundary=a",
      "",
      "--a",
      "",
      "inner",
      "--ab",
      "",
      "outer",
      "--ab--",
    ];
    const message = ["Content-Type: multipart/mixed; boundary=ab", "", ...lines].join("\r\n");
    expect(parts(message).map(({ kind, body }) => [kind, body])).toEqual([
      ["multipart", ""],
      ["multipart", ""],
      ["leaf", "inner"],
      ["leaf", "outer"],
    ]);
  });

  it("any octets at all are read without a failure, the same however they are cut", () => {
    const piece = fc.constantFrom(
      "\r",
      "\n",
      "\r\n",
      "-",
      "--a",
      "--a--",
      "\0",
      " ",
      ":",
      "x: y",
      'Content-Type: multipart/mixed; boundary="a"',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(200)), (pieces, cuts) => {
        const message = pieces.join("");
        expect(parts(message, cuts)).toEqual(parts(message));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ["a whole body, its last line end too", "Subject: x\r\n\r\nbody\r\n", "body\r\n"],
    ["no header", "\r\nbody", "body"],
    ["no header and no empty line", "just text\r\nmore", "just text\r\nmore"],
    ["a header without its end", "Subject: x\r\nTo: y\r\nbody", "body"],
    ["nothing", "", ""],
    [
      "a line of 100,000 octets that begins with a dash",
      `\r\n-${"x".repeat(100_000)}\r\n`,
      `-${"x".repeat(100_000)}\r\n`,
    ],
    ["a bare CR at the end", "\r\na\r", "a\r"],
  ])("%s", (_what, message, body) => {
    expect(parts(message, [1, 3, 7, 2_000]).map((part) => part.body)).toEqual([body]);
  });

  it("of a digest are messages (RFC 2046 §5.1.5), what is attached is told to be apart, what is encoded is a leaf", () => {
    expect(
      parts(
        "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nfirst\n--d\nContent-Disposition: attachment\n\nSubject: two\n\nsecond\n--d\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n--d--",
      ).map(({ kind, body, apart }) => [kind, body, apart]),
    ).toEqual([
      ["multipart", "", false],
      ["message", "", false],
      ["leaf", "first", false],
      ["message", "", true],
      ["leaf", "second", false],
      ["leaf", "AAAA", false],
    ]);
  });

  it("of a multipart whose header has no empty line behind it are there too", () => {
    const message = "Content-Type: multipart/mixed; boundary=b\n--b\nContent-Type: text/html\n\none\n--b--";
    expect(parts(message).map(({ type, body }) => [type, body])).toEqual([
      ["multipart/mixed", ""],
      ["text/html", "one"],
    ]);
  });

  it("in an endless header are there all the same", () => {
    const [part] = parts(`X: ${"y".repeat(1_000_000)}\r\n\r\nbody`, [500_000]);
    expect(part?.body).toBe("body");
  });
});

describe("a transfer encoding", () => {
  const decode = (encoding: string, text: string, cuts: readonly number[] = []) => {
    const decoder = transferDecoder(encoding);
    const pieces: Uint8Array[] = [];
    let from = 0;
    for (const cut of [...cuts, text.length]) {
      pieces.push(decoder.decode(octets(text.slice(from, cut))).slice());
      from = cut;
    }
    return latin1(joined([...pieces, decoder.end()]));
  };

  it.each([
    ["base64", "SGVs\r\nbG8=", "Hello"],
    ["Base64 ", "SGVsbG8", "Hello"],
    ["base64", "QQ==QkM=", "ABC"],
    ["base64", "QQ==\r\nQkM=\r\nRA==", "ABCD"],
    ["base64", "QQ==\n\n_______\nlist mailing list\nQkM=\n", "A"],
    ["base64", "QUI=\nA footer\n", "AB"],
    ["base64", "?garbage!", latin1(Uint8Array.from(atob("garbage="), (char) => char.charCodeAt(0)))],
    ["base64", "", ""],
    ["quoted-printable", "a=3D=\r\nb  \r\nc=3d", "a=b\r\nc="],
    ["quoted-printable", "soft= \t\nbreak", "softbreak"],
    ["quoted-printable", "50=% and =ZZ =", "50=% and =ZZ "],
    ["quoted-printable", "end =20\n", "end  \n"],
    ["7bit", "=3D\r\n", "=3D\r\n"],
    ["", "as it is", "as it is"],
  ])("%s of %j is %j, however it is cut", (encoding, text, wanted) => {
    expect(decode(encoding, text)).toBe(wanted);
    for (let cut = 1; cut < text.length; cut++) expect(decode(encoding, text, [cut])).toBe(wanted);
    expect(
      decode(
        encoding,
        text,
        Array.from({ length: text.length }, (_, at) => at),
      ),
    ).toBe(wanted);
  });

  it("base64 gives back any octets", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.nat(300)), (any, cuts) => {
        const text = btoa(latin1(any));
        const inside = cuts.filter((cut) => cut < text.length).sort((a, b) => a - b);
        expect(decode("base64", text, inside)).toBe(latin1(any));
      }),
    );
  });
});

describe("a structured field", () => {
  it.each([
    ["text/plain; charset=utf-8", "text/plain", { charset: "utf-8" }],
    ['Multipart/Mixed; boundary="a b"; charset="x"', "multipart/mixed", { boundary: "a b", charset: "x" }],
    ["multipart/mixed boundary=b", "multipart/mixed", { boundary: "b" }],
    ['multipart/mixed;\tboundary="b\\"c', "multipart/mixed", { boundary: 'b"c' }],
    ["text/plain (a comment; charset=x); charset=y (another)", "text/plain", { charset: "y" }],
    ["text/plain; charset=a; charset=b", "text/plain", { charset: "a" }],
    ["attachment; filename=a(1).txt", "attachment", { filename: "a(1).txt" }],
    [";charset=x", "", { charset: "x" }],
    ["application/x; name=My own.doc; a=b c", "application/x", { name: "My own.doc", a: "b" }],
    ["application/x; name=My own.doc charset=x", "application/x", { name: "My own.doc", charset: "x" }],
    ["", "", {}],
  ])("%j", (field, value, parameters) => {
    const read = readStructuredField(field);
    expect(read.value).toBe(value);
    expect(Object.fromEntries(read.parameters)).toEqual(parameters);
  });
});

describe("a date", () => {
  it.each([
    ["Tue, 24 Nov 2026 10:00:00 +0100", "2026-11-24T09:00:00.000Z"],
    ["Thu, 29 Aug 2002 15:36:58 +-0500", "2002-08-29T10:36:58.000Z"],
    ["Fri, 30 Aug 02 21:48:08 Eastern Daylight Time", "2002-08-30T21:48:08.000Z"],
    ["2002/09/14 Sat 02:29:32 CDT", "2002-09-14T02:29:32.000Z"],
  ])("%s", (text, iso) => {
    expect(new Date(readDate(text) ?? Number.NaN).toISOString()).toBe(iso);
  });

  it.each(["", "yesterday", "12:00", "99 Foo 2002 10:00"])("%j is none", (text) => {
    expect(readDate(text)).toBeNull();
  });
});
