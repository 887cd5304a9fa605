/** A copy of what a customer's server sent comes to a journal address; each call of it fails. */
import { env } from "cloudflare:test";
import { expect } from "vitest";
import { createOrganisation, must, send } from "../receive/organisation.ts";
import { type Attempt, matrix } from "./matrix.ts";

const D = "journal-faults.example.org";
const ann = `ann@${D}`;
const bob = `bob@${D}`;
const encoder = new TextEncoder();
let address: Promise<string> | null = null;
let count = 0;

const LARGE = `${"0123456789abcdef".repeat(4)}\r\n`.repeat(17_000);

matrix("a report of mail between colleagues", (attempt) => play(attempt, "Hello.\r\n"));
matrix("a large report of mail between colleagues", (attempt) => play(attempt, LARGE));
matrix("what cannot be read comes to a journal address", (attempt) => aside(attempt));

async function journal(): Promise<string> {
  address ??= createOrganisation(D)
    .then(() => must("POST", `/api/domains/${D}/journal-addresses`, { format: "reports" }))
    .then((made) => String(made.address));
  return address;
}

/** The server tries until it is taken. @returns what it heard */
async function handOver(attempt: Attempt, octets: string): Promise<string> {
  const to = await journal();
  const heard: string[] = [];
  const again = async () => {
    const { rcpt, final } = await send([to], new Uint8Array(encoder.encode(octets)));
    heard.push(String((final ?? rcpt[0])?.code));
  };
  await attempt.run(again);
  for (let tries = 0; tries < 4 && heard.at(-1) !== "250"; tries++) await again();
  expect(heard.at(-1), "taken in the end").toBe("250");
  for (const code of heard) expect(code, "never for good").not.toMatch(/^5/);
  return heard.join(", then ");
}

interface Row {
  readonly account: number;
  readonly direction: string;
  readonly key: string;
}

async function rowsOf(subject: string): Promise<Row[]> {
  const rows = env.SHARD_0.prepare("SELECT account, direction, key FROM message WHERE subject = ? ORDER BY direction");
  return (await rows.bind(subject).all<Row>()).results;
}

async function octetsAt(key: string): Promise<string> {
  return new TextDecoder().decode(await (await env.MAIL.get(key))?.arrayBuffer());
}

async function play(attempt: Attempt, body: string): Promise<string> {
  count++;
  const subject = `Journal fault ${count}`;
  const sent = `From: ${ann}\r\nTo: ${bob}\r\nSubject: ${subject}\r\nMessage-ID: <fault-${count}@${D}>\r\n\r\n${body}`;
  const report = [
    `Content-Type: multipart/mixed; boundary="=_${count}"`,
    "",
    `--=_${count}`,
    "Content-Type: text/plain",
    "",
    `Sender: ${ann}`,
    `Subject: ${subject}`,
    `To: ${bob}`,
    `--=_${count}`,
    "Content-Type: message/rfc822",
    "",
    sent,
    `--=_${count}--`,
    "",
  ].join("\r\n");
  const heard = await handOver(attempt, report);
  const rows = await rowsOf(subject);
  expect(
    rows.map(({ direction }) => direction),
    "once for each who has it",
  ).toEqual(["in", "out"]);
  for (const { key } of rows) expect(await octetsAt(key), "octet for octet").toBe(sent);
  const placed = await env.SHARD_0.prepare("SELECT count(*) AS n FROM placement").first<number>("n");
  expect(placed, "in nobody's inbox").toBe(0);
  return heard;
}

/** Without an identity of its own it may be kept twice; never not at all. */
async function aside(attempt: Attempt): Promise<string> {
  count++;
  const subject = `Journal aside ${count}`;
  const octets = `From: x@example.net\r\nSubject: ${subject}\r\n\r\nNo report.\r\n`;
  const heard = await handOver(attempt, octets);
  const rows = await rowsOf(subject);
  expect(rows.length, "kept").toBeGreaterThan(0);
  for (const { account, key } of rows) {
    expect(account, "for an administrator").toBeLessThan(0);
    expect(await octetsAt(key)).toBe(octets);
  }
  return `${heard}; ${rows.length === 1 ? "kept aside" : "kept aside twice"}`;
}
