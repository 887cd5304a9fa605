import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { extract } from "../../../src/worker/archive/extract.ts";
import { attachment, openMessage, type StoredMessage } from "../../../src/worker/archive/read.ts";
import { store, storeOctets } from "./entry.ts";

const octetsOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const open = async (lines: readonly string[]) => openMessage(env, await store({ account: 1 }, lines));
/** @param text one character an octet */
const openLatin1 = async (text: string) => openMessage(env, await storeOctets({ account: 1 }, octetsOf(text)));

/** The octets of one attachment. */
async function attached(message: StoredMessage, n: number): Promise<Uint8Array> {
  const found = await attachment(env, message, n);
  if (!found) throw new Error(`there is no attachment ${n}`);
  return new Uint8Array(await new Response(await found.open()).arrayBuffer());
}

async function* inPieces(octets: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

const MIXED = 'Content-Type: multipart/mixed; boundary="b"';

describe("a stored message opened", () => {
  it("shows its header fields in their order, its text, its HTML made safe and what came with it", async () => {
    const opened = await open([
      "Received: from a by b",
      "Received: from c by d",
      "X-Odd: =?utf-8?q?gr=C3=BCn?=",
      "Subject: Two",
      MIXED,
      "",
      "--b",
      'Content-Type: multipart/alternative; boundary="c"',
      "",
      "--c",
      "Content-Type: text/plain",
      "",
      "plain",
      "--c",
      "Content-Type: text/html",
      "",
      '<p onclick="x">rich <img src="https://example.net/p.gif"><img src="cid:logo"></p>',
      "--c--",
      "--b",
      "Content-Type: image/png",
      "Content-ID: <logo>",
      "Content-Disposition: inline; filename=logo.png",
      "Content-Transfer-Encoding: base64",
      "",
      "AAEC",
      "--b",
      "Content-Type: application/pdf",
      "Content-Disposition: attachment; filename*=utf-8''b%C3%BCdget.pdf",
      "",
      "%PDF",
      "--b--",
    ]);
    expect(opened.headers.map(({ name }) => name)).toEqual([
      "Received",
      "Received",
      "X-Odd",
      "Subject",
      "Content-Type",
    ]);
    expect(opened.headers.map(({ value }) => value).slice(0, 4)).toEqual([
      "from a by b",
      "from c by d",
      "gr\u00fcn",
      "Two",
    ]);
    expect(opened.text.trim()).toBe("plain");
    expect(opened.html?.trim()).toBe('<p>rich <img /><img src="cid:logo" /></p>');
    expect(opened.blocked).toBe(1);
    expect(opened.attachments).toMatchObject([
      { n: 0, name: "logo.png", type: "image/png", size: 3, inline: true, contentId: "logo" },
      { n: 1, name: "b\u00fcdget.pdf", type: "application/pdf", inline: false, contentId: null },
    ]);
  });

  it("of HTML alone has its text without script and style", async () => {
    const opened = await open([
      "Content-Type: text/html",
      "",
      "<style>p{}</style><script>x()</script><p>One</p><p>Two &amp; three</p>",
    ]);
    expect(opened.text).toBe("One\nTwo & three");
  });

  it("gives one attachment with its octets, and none that it has not", async () => {
    const message = await store({ account: 1 }, [
      MIXED,
      "",
      "--b",
      "Content-Type: application/octet-stream; name=x.bin",
      "Content-Transfer-Encoding: base64",
      "",
      "/wAB",
      "--b--",
    ]);
    expect(await attachment(env, message, 0)).toMatchObject({ name: "x.bin", type: "application/octet-stream" });
    expect(await attached(message, 0)).toEqual(Uint8Array.of(255, 0, 1));
    for (const n of [1, -1, 0.5]) expect(await attachment(env, message, n)).toBeNull();
  });

  it.each([
    ["koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4", "\u041f\u0440\u0438\u0432\u0435\u0442"],
    ["iso-2022-jp", "\x1b$B$3$s\x1b(B", "\u3053\u3093"],
    ["gb2312", "\xc4\xe3\xba\xc3", "\u4f60\u597d"],
    ["windows-1252", "\x80 caf\xe9", "\u20ac caf\u00e9"],
    ["utf-8", "\xc3\xbc", "\u00fc"],
  ])("in %s is read in its own letters", async (charset, octets, text) => {
    const opened = await openLatin1(`Content-Type: text/plain; charset=${charset}\r\n\r\n${octets}\r\n`);
    expect(opened.text.trim()).toBe(text);
  });

  it.each([
    ["of no header", "just text, no colon\r\nsecond line\r\n"],
    ["of nothing", ""],
    ["of NULs", "Subject: a\0b\r\n\r\nc\0d\r\n"],
    ["of a line of 100,000 octets", `Subject: long\r\n\r\n${"x".repeat(100_000)}`],
    ["in a charset that is none", "Content-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe\r\n"],
    ["of a multipart without its boundary", `${MIXED}\r\n\r\nno part at all\r\n`],
    ["of base64 that is none", "Content-Transfer-Encoding: base64\r\n\r\n!!!???\r\n"],
    ["of bare carriage returns", "Subject: cr\rTo: x\r\rbody\r"],
  ])("%s opens all the same, and is indexed", async (_what, text) => {
    expect(await openLatin1(text)).toMatchObject({ blocked: 0 });
    expect(await extract(octetsOf(text), text.length)).toMatchObject({ from: [] });
  });

  it.each([
    [
      "its charset is not said and it is UTF-8",
      "Content-Type: text/plain\r\n\r\nGr\xc3\xbc\xc3\x9fe",
      "Gr\u00fc\u00dfe",
    ],
    ["its charset is not said and it is not UTF-8", "Subject: x\r\n\r\nGr\xfc\xdfe", "Gr\u00fc\u00dfe"],
    ["it says ASCII and has eight bits", "Content-Type: text/plain; charset=us-ascii\r\n\r\ncaf\xe9", "caf\u00e9"],
    [
      "only its page says the charset",
      'Content-Type: text/html\r\n\r\n<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">\xf0\xd2',
      "\u041f\u0440",
    ],
    ["a charset has another name", "Content-Type: text/plain; charset=cp932\r\n\r\n\x82\xb1", "\u3053"],
    [
      "it is flowed",
      "Content-Type: text/plain; format=flowed; charset=iso-8859-1\r\n\r\nvery \r\nlong\r\n",
      "very long",
    ],
    [
      "its boundary lacks a semicolon before it",
      'Content-Type: multipart/mixed boundary="b"\r\n\r\n--b\r\n\r\nthere\r\n--b--\r\n',
      "there",
    ],
    ["its boundary never comes", `${MIXED}\r\n\r\nno part at all\r\n`, "no part at all"],
    [
      "the plain alternative is empty",
      'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--b--',
      "rich",
    ],
    ["the head of its page never ends", "Content-Type: text/html\r\n\r\n<head><title>x</title><p>shown", "shown"],
    ["its header ends without an empty line", "Subject: x\r\nno field\r\nat all\r\n", "no field\nat all"],
    ["an mbox line is on top", "From ann@example.net Tue Nov 24\r\nSubject: x\r\n\r\nbody\r\n", "body"],
  ])("shows its text where %s", async (_what, message, text) => {
    expect((await openLatin1(message)).text.trim()).toBe(text);
    expect((await extract(octetsOf(message), message.length)).text.trim()).toBe(text);
  });

  it.each([
    [
      "the charset of its text",
      "Content-Type: text/plain; charset=koi8-r\r\nSubject: \xf0\xd2\r\n\r\nx",
      "\u041f\u0440",
    ],
    ["none that is said", "Subject: Gr\xfc\xdfe\r\n\r\nx", "Gr\u00fc\u00dfe"],
    ["UTF-8", "Subject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nx", "Gr\u00fc\u00dfe"],
  ])("has its subject where it stands unencoded in %s", async (_what, message, subject) => {
    expect((await extract(octetsOf(message), message.length)).subject).toBe(subject);
  });

  it("gives attachments octet for octet: line ends, none added, NUL and eight bits", async () => {
    const contents = ["one\r\ntwo\r\n", "no end", "a\nb\rc\0\xff", "", "--not the boundary\r\n"];
    const parts = contents.map(
      (content) => `--b\r\nContent-Type: application/x-any\r\nContent-Transfer-Encoding: binary\r\n\r\n${content}\r\n`,
    );
    const message = await storeOctets({ account: 1 }, octetsOf(`${MIXED}\r\n\r\n${parts.join("")}--b--\r\nepilogue`));
    for (const [n, content] of contents.entries()) expect(await attached(message, n)).toEqual(octetsOf(content));
    expect((await openMessage(env, message)).attachments.map(({ size }) => size)).toEqual(
      contents.map((content) => content.length),
    );
  });

  it("shows a message within it, with who wrote it, and counts what came with that", async () => {
    const inner =
      'Content-Type: multipart/mixed; boundary="c"\r\nFrom: Inner <inner@example.net>\r\nSubject: Inside\r\n\r\n--c\r\n\r\ninner text\r\n--c\r\nContent-Type: image/png; name=in.png\r\n\r\nPNG\r\n--c--\r\n';
    const opened = await openLatin1(
      `${MIXED}\r\n\r\n--b\r\n\r\nouter\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n${inner}--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=whole.eml\r\n\r\n${inner}--b--\r\n`,
    );
    expect(opened.text).toMatch(/outer[\s\S]*From: Inner <inner@example.net>\nSubject: Inside\n[\s\S]*inner text/);
    expect(opened.attachments).toMatchObject([
      { name: "in.png", type: "image/png", size: 3 },
      { name: "whole.eml", type: "message/rfc822", size: inner.length - 2 },
    ]);
  });

  it("nested deeper than anybody nests is shown as it stands from there on, and indexed in part", async () => {
    let nested = "Subject: =?utf-8?q?gr=C3=BCn?=\r\nFrom: a@example.net\r\nMessage-ID: <n@example.net>\r\n";
    for (let depth = 0; depth < 400; depth++)
      nested += `Content-Type: multipart/mixed; boundary=b${depth}-\r\n\r\n--b${depth}-\r\n`;
    nested += "Content-Type: text/plain\r\n\r\ndeep\r\n";
    expect((await openLatin1(nested)).text).toContain("boundary=b150-");
    expect(await extract(octetsOf(nested), nested.length)).toMatchObject({
      partial: true,
      subject: "gr\u00fcn",
      sender: "a@example.net",
      messageId: "n@example.net",
    });
  });

  it("whose octets are gone is an error that says so", async () => {
    const message = await store({ account: 1 }, ["Subject: x", "", "y"]);
    await env.MAIL.delete(message.key);
    await expect(openMessage(env, message)).rejects.toThrow(`the octets of ${message.key} are not in the store`);
  });
});

// Tens of MiB are made and parsed, which takes a busy machine seconds.
describe("a large message", { timeout: 60_000 }, () => {
  const ascii = (text: string) => new TextEncoder().encode(text);
  const LINE = `${"QUJD".repeat(19)}\r\n`;
  const part = (name: string, lines: number) =>
    `--b\r\nContent-Type: application/octet-stream; name=${name}\r\nContent-Transfer-Encoding: base64\r\n\r\n${LINE.repeat(lines)}`;

  it("of 11 MiB opens with its text and the size of each part, and gives its last attachment whole", async () => {
    const text = `Subject: Large\r\n${MIXED}\r\n\r\n--b\r\n\r\nHello.\r\n${part("big.bin", 150_000)}${part("small.bin", 2)}--b--\r\n`;
    expect(text.length).toBeGreaterThan(11 * 1024 * 1024);
    const message = await storeOctets({ account: 1 }, ascii(text));
    const opened = await openMessage(env, message);
    expect(opened.text.trim()).toBe("Hello.");
    expect(opened.attachments).toMatchObject([
      { name: "big.bin", size: 150_000 * 57 },
      { name: "small.bin", size: 114 },
    ]);
    expect((await attached(message, 0)).length).toBe(150_000 * 57);
    expect(new TextDecoder().decode(await attached(message, 1))).toBe("ABC".repeat(38));
  });

  it("of forty attachments keeps the names of all", async () => {
    const names = Array.from({ length: 40 }, (_, n) => `part-${n}.bin`);
    const octets = ascii(`${MIXED}\r\n\r\n${names.map((name) => part(name, 6_200)).join("")}--b--\r\n`);
    expect(octets.length).toBeGreaterThan(18 * 1024 * 1024);
    const { attachments } = await extract(inPieces(octets, 65_536), octets.length);
    expect(attachments.map(({ name }) => name)).toEqual(names);
  });

  it.each([1_000, 4_096, 65_536])("cut within a line in pieces of %i keeps the boundary behind it", async (size) => {
    const octets = ascii(
      `${MIXED}\r\n\r\n--b\r\nContent-Type: application/json; name=one-line.json\r\n\r\n${"x".repeat(2_000_000)}\r\n${part("after.bin", 1)}--b--\r\n`,
    );
    const { attachments } = await extract(inPieces(octets, size), octets.length);
    expect(attachments.map(({ name }) => name)).toEqual(["one-line.json", "after.bin"]);
  });

  it("of nothing but boundaries is indexed in part", async () => {
    const octets = ascii(`${MIXED}\r\n\r\n${"--b\r\n".repeat(1_000_000)}`);
    expect(await extract(inPieces(octets, 65_536), octets.length)).toMatchObject({ partial: true });
  });

  it("of text alone is indexed by as much as fits, and a stream that ends too soon is not taken for it", async () => {
    const octets = ascii(`Subject: Long\r\n\r\n${"word ".repeat(1_000_000)}`);
    const { subject, text, partial } = await extract(inPieces(octets, 65_536), octets.length);
    expect({ subject, partial, words: text.slice(0, 10) }).toEqual({
      subject: "Long",
      partial: true,
      words: "word word ",
    });
    await expect(extract(inPieces(octets, 65_536), octets.length + 1)).rejects.toThrow("octets were read");
  });
});
