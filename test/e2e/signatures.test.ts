/**
 * Whatever way a message takes through the whole service, whoever signed it: dkimpy and OpenDKIM find the signature valid where it
 * arrives. Strangers sign simple/simple, which one blank more or less would break.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";
import { readByOthers, Signer, valid } from "../support/independent-reader.ts";

const DOMAIN = "example.org";
const ANN = `ann@${DOMAIN}`;
const PASSWORD = "correct horse battery";
const TOKEN = "operator-token-of-the-tests";
const state = mkdtempSync(join(tmpdir(), "holdfast-signatures-"));
const [origin, smartHost] = [new FakeOrigin(), new FakeOrigin()];
/** The organisation's own server, and one elsewhere. */
const [own, stranger] = [new Signer(DOMAIN, "theirs"), new Signer("example.net", "k1")];
const records: Record<string, string> = {};
let service: Service;
let relay: { username: string; password: string };

beforeAll(async () => {
  const [originPort, smartPort] = [await origin.start(), await smartHost.start()];
  service = await Service.start(state, TOKEN);
  const route = { host: "127.0.0.1", tls: "none" } as const;
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    origin: { transport: "smtp", port: originPort, ...route },
    outgoing: { transport: "smarthost", port: smartPort, ...route },
  });
  await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${ANN}`, { password: PASSWORD });
  relay = await service.call("POST", `/api/domains/${DOMAIN}/relays`, { login: true });
  for (const { record } of [own, stranger]) records[record.name] = record.value;
  await sign("ours");
});

afterAll(async () => {
  await service?.stop();
  await Promise.all([origin.stop(), smartHost.stop()]);
  rmSync(state, { recursive: true, force: true });
});

beforeEach(() => {
  origin.forget();
  smartHost.forget();
});

/** The domain's mail is signed with a new key of that name from now on. */
async function sign(selector: string): Promise<void> {
  const made = await service.call<{ record: { name: string; value: string } }>("POST", `/api/domains/${DOMAIN}/dkim`, {
    selector,
  });
  records[made.record.name] = made.record.value;
  await service.call("PUT", `/api/domains/${DOMAIN}/dkim/${selector}`, { active: true });
}

let count = 0;

/** What a careless server might change: blanks, dots, octets beyond ASCII, the end. */
function letter(from: string, to: string): { subject: string; octets: Buffer } {
  const subject = `Letter ${++count}`;
  const head = [
    `Message-ID: <${count}.${process.pid}@example.com>`,
    "Date: Tue, 24 Nov 2026 10:00:00 +0000",
    `From:  "A  B"   <${from}>`,
    `to: <${to}>`,
    `Subject: ${subject}`,
    "Comments: a\r\n\t  b  ",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Transfer-Encoding: 8bit",
  ];
  const body = `.\r\n..two\r\nFrom here  \r\n\t\r\n8 bit: \xe4\xf6\xff\r\n${"x".repeat(990)}\r\n\r\n\r\n`;
  return { subject, octets: Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1") };
}

interface Login {
  readonly user: string;
  readonly pass: string;
}

/** @param login absent: to the MX port, as a stranger */
function send(from: string, to: string, octets: Buffer, login?: Login): Promise<void> {
  const { host, port } = login ? service.addresses.submission : service.addresses.mx;
  const tls = login ? { requireTLS: true, tls: { rejectUnauthorized: false } } : { ignoreTLS: true };
  const connection = new SMTPConnection({ host, port, name: "client.example.net", ...tls });
  return new Promise((resolve, reject) => {
    const hand = () =>
      connection.send({ from, to: [to] }, octets, (error) => {
        connection.quit();
        if (error) reject(error);
        else resolve();
      });
    connection.once("error", reject);
    connection.connect(() => {
      if (!login) return hand();
      connection.login({ credentials: login }, (error) => (error ? reject(error) : hand()));
    });
  });
}

/** The one message of that subject, in base64, once it is there. */
async function arrived(server: FakeOrigin, subject: string): Promise<string> {
  const found = () =>
    server
      .report()
      .messages.filter(({ accepted }) => accepted)
      .map(({ raw }) => raw)
      .filter((raw) => Buffer.from(raw, "base64").includes(`Subject: ${subject}\r\n`));
  await vi.waitFor(() => expect(found()).toHaveLength(1), { timeout: 90_000, interval: 100 });
  return found()[0] ?? "";
}

const signatures = (raw: string) => readByOthers([raw], records, true)[0]?.signatures;
const bySubject = async (subject: string) => {
  const path = `/api/archive?domain=${DOMAIN}&subject=${encodeURIComponent(subject)}`;
  return (await service.call<{ items: { id: string; direction: string }[] }>("GET", path)).items;
};

async function rawOf(id: string): Promise<string> {
  const response = await fetch(new URL(`/api/archive/${id}/raw`, service.addresses.http), {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  return Buffer.from(await response.arrayBuffer()).toString("base64");
}

describe("mail that a stranger has signed", () => {
  const come = async () => {
    const { subject, octets } = letter("zoe@example.net", ANN);
    await send("zoe@example.net", ANN, stranger.sign(octets));
    return subject;
  };
  const theirs = [valid("example.net", "k1")];

  it("changed by one blank verifies no more: the verifiers are awake", () => {
    const signed = stranger.sign(letter("zoe@example.net", ANN).octets).toString("latin1");
    const changed = Buffer.from(signed.replace('"A  B"   <', '"A  B"  <'), "latin1").toString("base64");
    expect(signatures(changed)).toMatchObject([{ dkimpy: false, openDkim: expect.stringContaining("Bad signature") }]);
  });

  it("verifies at the organisation's server: as it comes, given back after an outage, and again from the archive", async () => {
    const passed = await come();
    expect(signatures(await arrived(origin, passed))).toEqual(theirs);

    await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
    const kept = await come();
    const [archived] = await bySubject(kept);
    expect(signatures(await rawOf(archived?.id ?? ""))).toEqual(theirs);
    expect(origin.report().messages).toHaveLength(1);
    await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "normal" });
    expect(signatures(await arrived(origin, kept))).toEqual(theirs);

    origin.forget();
    await service.call("POST", `/api/archive/${archived?.id}/redeliver`, { to: ANN });
    expect(signatures(await arrived(origin, kept))).toEqual(theirs);
  });
});

describe("mail that an organisation's server relays through us", () => {
  const throughUs = async (from: string, octets: Buffer) =>
    send(from, "zoe@example.com", octets, { user: relay.username, pass: relay.password });

  it("keeps the organisation's own signature, and has no second one", async () => {
    const { subject, octets } = letter(ANN, "zoe@example.com");
    await throughUs(ANN, own.sign(octets));
    expect(signatures(await arrived(smartHost, subject))).toEqual([valid(DOMAIN, "theirs")]);
    const [archived] = await bySubject(subject);
    expect(signatures(await rawOf(archived?.id ?? ""))).toEqual([valid(DOMAIN, "theirs")]);
  });

  it("is signed for its domain where it is not yet, above the signature of somebody else", async () => {
    const [plain, signed] = [letter(ANN, "zoe@example.com"), letter(ANN, "zoe@example.com")];
    await throughUs(ANN, plain.octets);
    expect(signatures(await arrived(smartHost, plain.subject))).toEqual([valid(DOMAIN, "ours")]);
    await throughUs(ANN, stranger.sign(signed.octets));
    const both = [valid(DOMAIN, "ours"), valid("example.net", "k1")];
    expect(signatures(await arrived(smartHost, signed.subject))).toEqual(both);
  });

  it("and that it forwards for a stranger keeps the stranger's signature alone", async () => {
    const { subject, octets } = letter("zoe@example.net", ANN);
    await throughUs("zoe@example.net", stranger.sign(octets));
    expect(signatures(await arrived(smartHost, subject))).toEqual([valid("example.net", "k1")]);
  });
});

it("what a person's mail program hands over is signed with the domain's key", async () => {
  const { subject, octets } = letter(ANN, "zoe@example.com");
  await send(ANN, "zoe@example.com", octets, { user: ANN, pass: PASSWORD });
  expect(signatures(await arrived(smartHost, subject))).toEqual([valid(DOMAIN, "ours")]);
});

it("a journalled message lies in the archive with its signature valid, and goes so to its author's server", async () => {
  const { subject, octets } = letter(ANN, "zoe@example.com");
  const journal = await service.call<{ address: string }>("POST", `/api/domains/${DOMAIN}/journal-addresses`, {
    format: "reports",
  });
  const report = Buffer.concat([
    Buffer.from(
      [
        `From: <exchange@${DOMAIN}>`,
        'Content-Type: multipart/mixed; boundary="report"',
        "",
        "--report",
        "Content-Type: text/plain",
        "",
        `Sender: ${ANN}`,
        `Subject: ${subject}`,
        "To: zoe@example.com",
        "--report",
        "Content-Type: message/rfc822",
        "",
        "",
      ].join("\r\n"),
    ),
    own.sign(octets),
    Buffer.from("\r\n--report--\r\n"),
  ]);
  await send("", journal.address, report);
  const [archived] = await bySubject(subject);
  expect(archived).toMatchObject({ direction: "out" });
  expect(signatures(await rawOf(archived?.id ?? ""))).toEqual([valid(DOMAIN, "theirs")]);
  await service.call("POST", `/api/archive/${archived?.id}/redeliver`, { to: ANN });
  expect(signatures(await arrived(origin, subject))).toEqual([valid(DOMAIN, "theirs")]);
});

it("what was signed before the key was changed goes out later with the signature that it has", async () => {
  smartHost.set({ steps: { mail: "451 4.3.0 later" } });
  const { subject, octets } = letter(ANN, "zoe@example.com");
  await send(ANN, "zoe@example.com", octets, { user: ANN, pass: PASSWORD });
  await vi.waitFor(() => expect(smartHost.report().transcript.join("\n")).toContain("451 4.3.0 later"), 60_000);
  await sign("next");
  smartHost.set({});
  const path = `/api/domains/${DOMAIN}/outgoing`;
  const { items } = await service.call<{ items: unknown[] }>("GET", path);
  expect(items).toHaveLength(1);
  await service.call("POST", `${path}/retry`);
  expect(signatures(await arrived(smartHost, subject))).toEqual([valid(DOMAIN, "ours")]);
  const after = letter(ANN, "zoe@example.com");
  await send(ANN, "zoe@example.com", after.octets, { user: ANN, pass: PASSWORD });
  expect(signatures(await arrived(smartHost, after.subject))).toEqual([valid(DOMAIN, "next")]);
});
