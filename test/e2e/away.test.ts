/** The whole service in an outage: a stranger hears that somebody is away, and a copy goes to a private address with its author's signature. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";
import { readByOthers, Signer, valid } from "../support/independent-reader.ts";

const DOMAIN = "example.org";
const ANN = `ann@${DOMAIN}`;
const ZOE = "zoe@example.net";
const PRIVATE = "ann@private.example";
const PASSWORD = "correct horse battery";
const state = mkdtempSync(join(tmpdir(), "holdfast-away-"));
const [origin, smartHost] = [new FakeOrigin(), new FakeOrigin()];
const zoe = new Signer("example.net", "z1");
/** What stands in DNS, by name. */
const records: Record<string, string> = { [zoe.record.name]: zoe.record.value };
let service: Service;
let ann = "";
let selector = "";

beforeAll(async () => {
  const [originPort, smartPort] = [await origin.start(), await smartHost.start()];
  service = await Service.start(state, "operator-token-of-the-tests");
  const route = { host: "127.0.0.1", tls: "none" } as const;
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    origin: { transport: "smtp", port: originPort, ...route },
    outgoing: { transport: "smarthost", port: smartPort, ...route },
  });
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${ANN}`, { password: PASSWORD });
  const key = await service.call<{ selector: string; record: { name: string; value: string } }>(
    "POST",
    `/api/domains/${DOMAIN}/dkim`,
    {},
  );
  selector = key.selector;
  records[key.record.name] = key.record.value;
  await service.call("PUT", `/api/domains/${DOMAIN}/dkim/${selector}`, { active: true });
  ann = (await service.call<{ token: string }>("POST", "/api/session", { email: ANN, password: PASSWORD })).token;
  await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
});

afterAll(async () => {
  await service?.stop();
  await Promise.all([origin.stop(), smartHost.stop()]);
  rmSync(state, { recursive: true, force: true });
});

/** What the smart host took for somebody, in base64. */
const outFor = (to: string): string[] =>
  smartHost
    .report()
    .messages.filter((message) => message.to.includes(to))
    .map(({ raw }) => raw);

async function sent(octets: Buffer): Promise<void> {
  const connection = new SMTPConnection({ ...service.addresses.mx, secure: false, ignoreTLS: true });
  await new Promise<void>((resolve, reject) => {
    connection.once("error", reject);
    connection.connect(() => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    const envelope = { from: ZOE, to: [ANN] };
    connection.send(envelope, octets, (error) => (error ? reject(error) : resolve()));
  });
  connection.quit();
}

it("answers a stranger under the domain's signature, and sends their letter on under theirs, which stays valid", async () => {
  await service.call("PATCH", "/api/mail/identities/own", { name: "Ann Ünlü" }, ann);
  await service.call(
    "PUT",
    "/api/mail/vacation",
    { isEnabled: true, textBody: "Ich bin im Gebirge – bis Montag." },
    ann,
  );
  await service.call("PUT", "/api/mail/forwarding", { address: PRIVATE }, ann);
  await vi.waitFor(() => expect(outFor(PRIVATE)).toHaveLength(1), { timeout: 30_000, interval: 100 });
  const letter = Buffer.from(outFor(PRIVATE)[0] ?? "", "base64").toString();
  const code = /^ {4}(\S+)\r$/m.exec(letter)?.[1];
  await service.call("POST", "/api/mail/forwarding/confirm", { code }, ann);

  const lines = [`From: Zoe <${ZOE}>`, `To: Ann <${ANN}>`, "Subject: Coffee?", "Message-ID: <coffee@example.net>"];
  const date = "Date: Tue, 24 Nov 2026 10:00:00 +0000";
  const octets = zoe.sign(Buffer.from(`${[...lines, date].join("\r\n")}\r\n\r\n..\r\nAt  one?\t\r\n\r\n`));
  await sent(octets);
  await vi.waitFor(
    () => {
      expect(outFor(ZOE)).toHaveLength(1);
      expect(outFor(PRIVATE)).toHaveLength(2);
    },
    { timeout: 30_000, interval: 100 },
  );
  const [copy = "", notice = ""] = [outFor(PRIVATE)[1], outFor(ZOE)[0]];
  expect(Buffer.from(copy, "base64").subarray(-octets.length).equals(octets)).toBe(true);
  const [ofCopy, ofNotice] = readByOthers([copy, notice], records);
  expect(ofCopy?.signatures).toEqual([valid("example.net", "z1")]);
  expect(ofNotice?.signatures).toEqual([valid(DOMAIN, selector)]);
  expect(JSON.stringify(ofNotice)).toContain("Ich bin im Gebirge – bis Montag.");
  expect(JSON.stringify(ofNotice)).toContain("Ann Ünlü");
}, 120_000);
