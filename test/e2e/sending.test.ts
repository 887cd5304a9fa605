/** The whole service sends what people write; an independent reader has it as it was written, and its signature verifies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { loadCorpus } from "../../src/local/demo/corpus.ts";
import { Service } from "../../src/local/demo/service.ts";
import { readByDovecot } from "../support/dovecot-reader.ts";
import { FakeOrigin } from "../support/fake-origin.ts";
import { readByOthers, valid } from "../support/independent-reader.ts";

const DOMAIN = "example.org";
const PASSWORD = "correct horse battery";
const state = mkdtempSync(join(tmpdir(), "holdfast-sending-"));
const [origin, smartHost] = [new FakeOrigin(), new FakeOrigin()];
let service: Service;
let ann = "";
let selector = "";
/** What stands in DNS, by name. */
const records: Record<string, string> = {};

beforeAll(async () => {
  const [originPort, smartPort] = [await origin.start(), await smartHost.start()];
  service = await Service.start(state, "operator-token-of-the-tests");
  const route = { host: "127.0.0.1", tls: "none" } as const;
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    origin: { transport: "smtp", port: originPort, ...route },
    outgoing: { transport: "smarthost", port: smartPort, ...route, limits: { userHour: 100_000, userDay: 100_000 } },
  });
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}`, {
    password: PASSWORD,
    aliases: [`sales@${DOMAIN}`],
  });
  const body = { email: `ann@${DOMAIN}`, password: PASSWORD };
  ann = (await service.call<{ token: string }>("POST", "/api/session", body)).token;
  const key = await service.call<{ selector: string; record: { name: string; value: string } }>(
    "POST",
    `/api/domains/${DOMAIN}/dkim`,
    {},
  );
  selector = key.selector;
  records[key.record.name] = key.record.value;
  await service.call("PUT", `/api/domains/${DOMAIN}/dkim/${selector}`, { active: true });
});

afterAll(async () => {
  await service?.stop();
  await Promise.all([origin.stop(), smartHost.stop()]);
  rmSync(state, { recursive: true, force: true });
});

/** @returns what the smart host took, in base64 */
async function taken(count: number): Promise<string[]> {
  await vi.waitFor(() => expect(smartHost.report().messages).toHaveLength(count), { timeout: 60_000, interval: 100 });
  return smartHost.report().messages.map(({ raw }) => raw);
}

interface Written {
  readonly to: readonly string[];
  readonly cc?: readonly string[];
  readonly bcc?: readonly string[];
  readonly replyTo?: readonly string[];
  readonly from?: string;
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly attachments?: readonly {
    readonly name: string;
    readonly type?: string;
    readonly content: string;
    readonly contentId?: string;
  }[];
}

type People = readonly (readonly [name: string, address: string])[];

interface Expected {
  readonly to: People;
  readonly from?: People;
  readonly cc?: People;
  readonly replyTo?: People;
}

const FAMILY = "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}";
/** What a person writes, and the names and addresses that others are to read. */
const LETTERS: Record<string, readonly [Written, Expected]> = {
  "letters of many scripts, files, an inline image and a blind copy": [
    {
      to: ["Zoë Müller-Lüdenscheidt <zoe@example.net>", '"Doe, Jane" <jane@example.net>'],
      cc: ["山田太郎 <taro@example.jp>"],
      bcc: ["nobody@example.com"],
      subject: "Grüße aus Köln — 日本語の件名 🎉 und ein langer Betreff, der gefaltet werden muss, weil er so lang ist",
      text: `Größe\n\n.\n..Punkte\nFrom hier\n日本語 🎉\n${"x".repeat(2000)}\n`,
      html: '<p>Größe <b>日本語</b> 🎉</p><img src="cid:logo@x">',
      attachments: [
        { name: "Übersicht 2026 – ‚Größe‘.pdf", type: "application/pdf", content: "AAECAw==" },
        {
          name: "日本語のファイル名がとても長いときにも正しく読めること.txt",
          type: "text/plain",
          content: "R3LDvMOfZQo=",
        },
        { name: 'odd "name"; x=1.bin', type: "application/octet-stream", content: "AA==" },
        { name: "logo.png", type: "image/png", content: "iVBORw0KGgo=", contentId: "logo@x" },
      ],
    },
    {
      to: [
        ["Zoë Müller-Lüdenscheidt", "zoe@example.net"],
        ["Doe, Jane", "jane@example.net"],
      ],
      cc: [["山田太郎", "taro@example.jp"]],
    },
  ],
  "quotes, backslashes and brackets in names, an alias, and addresses for answers": [
    {
      from: `"Ann \\"A\\" O'Neil (Sales) \\\\ EMEA" <sales@${DOMAIN}>`,
      to: ['"Back\\\\slash \\"Q\\" <x@y>" <back@example.net>'],
      replyTo: [`"Grüße; an: alle, bitte" <desk@${DOMAIN}>`, `second@${DOMAIN}`],
      subject: '"Quoted" \\ back=?utf-8?q?=41?= and more',
      text: "Hello",
    },
    {
      from: [['Ann "A" O\'Neil (Sales) \\ EMEA', `sales@${DOMAIN}`]],
      to: [['Back\\slash "Q" <x@y>', "back@example.net"]],
      replyTo: [
        ["Grüße; an: alle, bitte", `desk@${DOMAIN}`],
        ["", `second@${DOMAIN}`],
      ],
    },
  ],
  "writing from right to left, and signs that are several code points": [
    {
      to: ["שלום עולם <shalom@example.net>", `مرحبا بالعالم ${FAMILY} <marhaba@example.net>`],
      subject: `${FAMILY.repeat(12)} שלום עולם مرحبا`,
      text: `${FAMILY}\nשלום עולם \u202ertl\u202c\n`,
      attachments: [{ name: `${FAMILY} مرحبا.txt`, type: "text/plain", content: "eA==" }],
    },
    {
      to: [
        ["שלום עולם", "shalom@example.net"],
        [`مرحبا بالعالم ${FAMILY}`, "marhaba@example.net"],
      ],
    },
  ],
  "very long names, a subject without a blank, and many recipients": [
    {
      to: Array.from({ length: 60 }, (_, at) => `${"Übermäßig langer Name ".repeat(6)}${at} <long${at}@example.net>`),
      subject: "x".repeat(900),
      text: "Hello",
      attachments: [
        { name: `${"Anlage-mit-sehr-langem-Namen-".repeat(7)}ü.bin`, type: "application/x-a", content: "AA==" },
      ],
    },
    {
      to: Array.from({ length: 60 }, (_, at) => [
        `${"Übermäßig langer Name ".repeat(6)}${at}`,
        `long${at}@example.net`,
      ]),
    },
  ],
  "plain ASCII": [{ to: ["plain@example.net"], subject: "Plain", text: "Hello" }, { to: [["", "plain@example.net"]] }],
  "nothing at all": [{ to: ["empty@example.net"], subject: "", text: "" }, { to: [["", "empty@example.net"]] }],
  "HTML alone": [
    { to: ["only-html@example.net"], subject: "Only HTML", html: "<p>Grüße</p>\n.\n" },
    { to: [["", "only-html@example.net"]] },
  ],
  "HTML with an image of its own": [
    {
      to: ["image@example.net"],
      subject: "Image",
      html: '<img src="cid:a@b">',
      attachments: [{ name: "ä.png", type: "image/png", content: "iVBORw0KGgo=", contentId: "a@b" }],
    },
    { to: [["", "image@example.net"]] },
  ],
  "blanks at the ends of lines, tabs, and no last line end": [
    { to: ["blanks@example.net"], subject: "Blanks  inside", text: "a \n\tb\t\n \n\n. \n-- \nsignature  " },
    { to: [["", "blanks@example.net"]] },
  ],
  "a domain beyond ASCII": [
    { to: ["Zoë <zoe@bücher.example>"], subject: "IDN", text: "x" },
    { to: [["Zoë", "zoe@xn--bcher-kva.example"]] },
  ],
};

describe("what a person writes", () => {
  it.each(Object.keys(LETTERS))(
    "is read as it was written, by Python and by Dovecot, and its signature verifies: %s",
    async (name) => {
      smartHost.forget();
      const [written, expected] = LETTERS[name] ?? [];
      if (!written || !expected) throw new Error("no such letter");
      await service.call("POST", "/api/mail/messages", written, ann);
      const [raw = ""] = await taken(1);
      const [reading] = readByOthers([raw], records);
      expect(reading).toMatchObject({
        signatures: [valid(DOMAIN, selector)],
        defects: [],
        bcc: null,
        subject: written.subject,
        from: expected.from ?? [["", `ann@${DOMAIN}`]],
        to: expected.to,
        cc: expected.cc ?? [],
        replyTo: expected.replyTo ?? [],
        html: written.html ?? null,
      });
      expect(lastLine(reading?.text)).toBe(
        written.html !== undefined && written.text === undefined ? null : lastLine(written.text ?? ""),
      );
      const files = (written.attachments ?? []).map(({ name, type, content }) => [name, type, content]);
      expect([...((reading?.files ?? []) as string[][])].sort()).toEqual(files.sort());
      const [seen] = await readByDovecot([raw]);
      expect(seen).toEqual({
        // It makes one blank of several.
        subject: written.subject.replace(/\s+/g, " "),
        from: expected.from ?? [["", `ann@${DOMAIN}`]],
        to: expected.to,
        cc: expected.cc ?? [],
        files: files.map(([name]) => name).sort(),
      });
    },
  );
});

it("to an address beyond ASCII goes to a server that has SMTPUTF8, and comes back where it has not", async () => {
  smartHost.forget();
  const letter = { to: ["用户 <用户@example.net>"], subject: "Grüße", text: "x" };
  await service.call("POST", "/api/mail/messages", letter, ann);
  const [raw = ""] = await taken(1);
  expect(smartHost.report().messages[0]).toMatchObject({ to: ["用户@example.net"] });
  expect(readByOthers([raw], records)).toMatchObject([
    { signatures: [valid(DOMAIN, selector)], subject: "Grüße", to: [["用户", "用户@example.net"]] },
  ]);
  smartHost.set({ extensions: ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"] });
  const { id } = await service.call<{ id: string }>("POST", "/api/mail/messages", letter, ann);
  await vi.waitFor(async () => {
    const path = `/api/mail/messages/${id}/delivery`;
    const { items } = await service.call<{ items: unknown[] }>("GET", path, undefined, ann);
    expect(items).toMatchObject([{ state: "refused", reply: expect.stringContaining("5.6.7") }]);
  }, 30_000);
  smartHost.set({});
});

describe("a line end in what a person writes", () => {
  const INJECTED = "x\r\nX-Injected: yes\r\nBcc: victim@example.com\r\n\r\nbody";
  const people = [`"${INJECTED}" <zoe@example.net>`];
  const file = { name: "a.txt", type: "text/plain", content: "eA==" };
  it.each([
    ["the subject", { subject: INJECTED }],
    ["a recipient's name", { to: people }],
    ["a copy's name", { cc: people }],
    ["a recipient's address", { to: ["zoe@example.net\r\nX-Injected: yes"] }],
    ["the sender's name", { from: `"${INJECTED}" <ann@${DOMAIN}>` }],
    ["an address for answers", { replyTo: people }],
    ["a Message-ID that is answered", { inReplyTo: `<a@b>\r\nX-Injected: yes` }],
    ["a file's name", { attachments: [{ ...file, name: INJECTED }] }],
    ["a file's type", { attachments: [{ ...file, type: `text/plain\r\nX-Injected: yes` }] }],
    ["a file's Content-ID", { attachments: [{ ...file, contentId: "a@b>\r\nX-Injected: yes" }] }],
  ])("makes no field of its own: %s", async (_where, part) => {
    smartHost.forget();
    const written = { to: ["zoe@example.net"], subject: "Hello", text: "Hello.", ...part };
    const { status } = await service.fetch("POST", "/api/mail/messages", written, ann);
    if (status === 422 || status === 400) return;
    expect(status).toBe(201);
    const [raw = ""] = await taken(1);
    expect(smartHost.report().messages.flatMap(({ to }) => to)).not.toContain("victim@example.com");
    const lines = Buffer.from(raw, "base64").toString("latin1").split("\r\n");
    expect(lines.filter((line) => /^(?:x-injected|bcc):/i.test(line))).toEqual([]);
  });
});

/** A text part ends in a line end, whether one was written or not. */
const lastLine = (text: unknown): unknown => (typeof text === "string" ? text.replace(/\n$/, "") : text);

it("real mail that a program hands over whole keeps its octets, and its signature verifies", async () => {
  smartHost.forget();
  const sent: string[] = [];
  for (const { name, octets } of loadCorpus(50)) {
    const message = ownMessage(octets.toString("latin1"), sent.length);
    if (message === null) continue;
    const response = await fetch(new URL("/api/mail/messages", service.addresses.http), {
      method: "POST",
      headers: { authorization: `Bearer ${ann}`, "content-type": "message/rfc822" },
      body: Buffer.from(message, "latin1"),
    });
    if (response.status !== 201) throw new Error(`${name}: ${response.status} ${await response.text()}`);
    sent.push(message);
  }
  expect(sent.length).toBeGreaterThan(30);
  const raw = await taken(sent.length);
  // Not all of it is mail that Python's reader takes without an exception.
  const readings = readByOthers(raw, records, true);
  expect(readings.map(({ signatures }) => signatures)).toEqual(sent.map(() => [valid(DOMAIN, selector)]));
  const bodies = raw.map((octets) => Buffer.from(octets, "base64").toString("latin1"));
  for (const message of sent) {
    // Our Received and the signature on top, all else as it was.
    expect(bodies.some((body) => body.endsWith(message))).toBe(true);
  }
}, 240_000);

/** As if ann had written it, with CRLF; null where it has no end of its header. */
function ownMessage(octets: string, number: number): string | null {
  const text = octets.replace(/^From .*\n/, "").replace(/\r\n|\r|\n/g, "\r\n");
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const head = text
    .slice(0, end)
    .replace(/\r\n[ \t]+/g, " ")
    .split("\r\n")
    .filter(
      (line) =>
        /^[\w-]+:/.test(line) && !/^(?:from|sender|to|cc|bcc|message-id|date|return-path|dkim-signature):/i.test(line),
    );
  const own = [
    `Message-ID: <c${number}@${DOMAIN}>`,
    "Date: Tue, 24 Nov 2026 10:00:00 +0000",
    `From: Ann <ann@${DOMAIN}>`,
    "To: <a@example.net>",
  ];
  const whole = `${[...own, ...head].join("\r\n")}${text.slice(end)}`;
  return whole.endsWith("\r\n") ? whole : `${whole}\r\n`;
}
