import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { extract } from "../../../src/worker/archive/extract.ts";
import { attachment, openMessage } from "../../../src/worker/archive/read.ts";
import { reduce } from "../../../src/worker/archive/reduce.ts";
import { store, storeOctets } from "./entry.ts";

const octetsOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const open = async (lines: readonly string[]) => openMessage(env, await store({ account: 1 }, lines));
/** @param text one character an octet */
const openLatin1 = async (text: string) => openMessage(env, await storeOctets({ account: 1 }, octetsOf(text)));

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
    expect(await attachment(env, message, 0)).toEqual({
      name: "x.bin",
      type: "application/octet-stream",
      bytes: Uint8Array.of(255, 0, 1),
    });
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

  it("nested deeper than a parser goes is shown as it stands, and indexed in part", async () => {
    let nested = "Subject: =?utf-8?q?gr=C3=BCn?=\r\nFrom: a@example.net\r\nMessage-ID: <n@example.net>\r\n";
    for (let depth = 0; depth < 400; depth++)
      nested += `Content-Type: multipart/mixed; boundary=b${depth}\r\n\r\n--b${depth}\r\n`;
    nested += "Content-Type: text/plain\r\n\r\ndeep\r\n";
    expect((await openLatin1(nested)).text).toContain("boundary=b0");
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

  it("of 11 MiB opens without its bulk, and gives its last attachment whole", async () => {
    const text = `Subject: Large\r\n${MIXED}\r\n\r\n--b\r\n\r\nHello.\r\n${part("big.bin", 150_000)}${part("small.bin", 2)}--b--\r\n`;
    expect(text.length).toBeGreaterThan(11 * 1024 * 1024);
    const message = await storeOctets({ account: 1 }, ascii(text));
    const opened = await openMessage(env, message);
    expect(opened.text.trim()).toBe("Hello.");
    expect(opened.attachments.map(({ name }) => name)).toEqual(["big.bin", "small.bin"]);
    expect((await attachment(env, message, 1))?.bytes.length).toBe(114);
  });

  it("of forty attachments keeps the names of all, in 4 MiB", async () => {
    const names = Array.from({ length: 40 }, (_, n) => `part-${n}.bin`);
    const octets = ascii(`${MIXED}\r\n\r\n${names.map((name) => part(name, 6_200)).join("")}--b--\r\n`);
    expect(octets.length).toBeGreaterThan(18 * 1024 * 1024);
    expect((await reduce(inPieces(octets, 65_536), false)).length).toBeLessThanOrEqual(4 * 1024 * 1024);
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

  it("of nothing but boundaries ends within its limit too", async () => {
    const octets = ascii(`--${"b".repeat(60)}\r\n`.repeat(100_000));
    expect((await reduce(inPieces(octets, 65_536), false)).length).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});
