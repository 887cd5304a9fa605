/** The whole service sends what people write; an independent reader has it as it was written, and its signature verifies. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { loadCorpus } from "../../src/local/demo/corpus.ts";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const DOMAIN = "example.org";
const PASSWORD = "correct horse battery";
const state = mkdtempSync(join(tmpdir(), "holdfast-sending-"));
const [origin, smartHost] = [new FakeOrigin(), new FakeOrigin()];
let service: Service;
let ann = "";
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
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}`, { password: PASSWORD });
  const body = { email: `ann@${DOMAIN}`, password: PASSWORD };
  ann = (await service.call<{ token: string }>("POST", "/api/session", body)).token;
  const { selector, record } = await service.call<{ selector: string; record: { name: string; value: string } }>(
    "POST",
    `/api/domains/${DOMAIN}/dkim`,
    {},
  );
  records[record.name] = record.value;
  await service.call("PUT", `/api/domains/${DOMAIN}/dkim/${selector}`, { active: true });
});

afterAll(async () => {
  await service?.stop();
  await Promise.all([origin.stop(), smartHost.stop()]);
  rmSync(state, { recursive: true, force: true });
});

interface Reading {
  readonly dkim: boolean | null;
  readonly subject: string;
  readonly [field: string]: unknown;
}

function readByOthers(messages: readonly string[], signatureAlone = false): Reading[] {
  const program = fileURLToPath(new URL("../support/independent_reader.py", import.meta.url));
  const input = JSON.stringify(messages.map((raw) => ({ raw, records, signatureAlone })));
  // Debian's own: another Python on the path has no dkimpy.
  const output = execFileSync("/usr/bin/python3", [program], { input, encoding: "utf8", maxBuffer: 256 * 1024 * 1024 });
  return JSON.parse(output) as Reading[];
}

/** @returns what the smart host took, in base64 */
async function taken(count: number): Promise<string[]> {
  await vi.waitFor(() => expect(smartHost.report().messages).toHaveLength(count), { timeout: 60_000, interval: 100 });
  return smartHost.report().messages.map(({ raw }) => raw);
}

it("names, subjects, texts and file names in any script are read as they were written", async () => {
  smartHost.forget();
  const letters = [
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
        { name: 'odd "name"; x=1.bin', content: "AA==" },
        { name: "logo.png", type: "image/png", content: "iVBORw0KGgo=", contentId: "logo@x" },
      ],
    },
    { to: ["plain@example.net"], subject: "Plain", text: "Hello" },
    { to: ["empty@example.net"], subject: "", text: "" },
    { to: ["only-html@example.net"], subject: "Only HTML", html: "<p>Hi</p>" },
  ];
  for (const letter of letters) await service.call("POST", "/api/mail/messages", letter, ann);
  const readings = readByOthers(await taken(letters.length));
  expect(readings.map(({ dkim, defects, bcc }) => ({ dkim, defects, bcc }))).toEqual(
    letters.map(() => ({ dkim: true, defects: [], bcc: null })),
  );
  const full = readings.find(({ cc }) => (cc as unknown[]).length > 0);
  const [written] = letters;
  expect(full).toMatchObject({
    subject: written?.subject,
    from: [["", `ann@${DOMAIN}`]],
    to: [
      ["Zoë Müller-Lüdenscheidt", "zoe@example.net"],
      ["Doe, Jane", "jane@example.net"],
    ],
    cc: [["山田太郎", "taro@example.jp"]],
    text: written?.text,
    html: written?.html,
  });
  const files = ((full?.files ?? []) as [string, string, string][]).map(([name, type, content]) => ({
    name,
    type,
    content,
  }));
  expect(files).toEqual(
    written?.attachments
      ?.slice(0, 3)
      .map(({ name, type = "application/octet-stream", content }) => ({ name, type, content })),
  );
  expect(readings.map(({ subject }) => subject)).toEqual(expect.arrayContaining(["Plain", "Only HTML"]));
});

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
  const readings = readByOthers(raw, true);
  expect(readings.map(({ dkim }) => dkim)).toEqual(sent.map(() => true));
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
