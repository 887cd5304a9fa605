/**
 * `npm run demo`: the main job on real mail. An organisation's server takes mail, dies without a word, comes back busy, comes
 * back; people work in the portal meanwhile; in the end every message is compared octet for octet.
 * `--keep` leaves the service up; `--gateway` reaches the origin through the gateway. Exit code 1 where anything was lost, changed or doubled.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { loadCorpus } from "./corpus.ts";
import { balance, type Ledger, ledgerLine } from "./ledger.ts";
import { Origin } from "./origin.ts";
import { Progress } from "./progress.ts";
import { type Job, Sender } from "./sender.ts";
import { Service } from "./service.ts";

const DOMAIN = "example.org";
const MESSAGES = 600;
const HEALTHY = 200;
/** The origin dies when so many more have been accepted. */
const DIES_AFTER = 40;
const MID_STREAM = 200;
const TOKEN = "operator-token-of-the-demonstration";
const PASSWORD = "correct horse battery staple";

interface DomainView {
  readonly mode: "normal" | "emergency";
  readonly backlog: { readonly waiting: number; readonly refused: number };
}
interface Listed {
  readonly id: string;
  readonly subject: string;
  readonly size: number;
}

const keep = process.argv.includes("--keep");
/** The same with the origin behind the gateway's relay, as on port 25. */
const transport = process.argv.includes("--gateway") ? "gateway" : "smtp";
const state = mkdtempSync(join(tmpdir(), "holdfast-demo-"));
const progress = new Progress();
const origin = new Origin(join(state, "origin"));
const service = await Service.start(join(state, "holdfast"), TOKEN);
let ledger: Ledger | null = null;
try {
  ledger = await demonstrate();
} finally {
  if (!keep || !ledger) await end();
}
report(ledger);
if (keep) {
  console.log(
    `\nStill up: ${service.addresses.http} (operator token ${TOKEN}; users alice@, bob@, carol@${DOMAIN}, password "${PASSWORD}"). Ctrl-C ends it.`,
  );
  process.once("SIGINT", () => service.stop());
  await service.ended();
  await end();
}

async function demonstrate(): Promise<Ledger> {
  progress.say(`Holdfast is up: ${service.addresses.http}, MX port ${service.addresses.mx.port}`);
  await origin.start();
  await setUp();
  const jobs = addressed();
  const sender = new Sender(service.addresses.mx.host, service.addresses.mx.port);
  const send = (from: number, to: number, connections: number) =>
    sender.send(jobs.slice(from, to), connections, () =>
      progress.show(`${sender.sent.length} of ${MESSAGES} messages sent, ${origin.count()} at the origin`),
    );

  await send(0, HEALTHY, 4);
  progress.say(`healthy: ${HEALTHY} messages sent, ${origin.count()} at the origin`);

  // The origin dies while mail streams.
  const streaming = send(HEALTHY, HEALTHY + MID_STREAM, 4);
  await until("mid-stream", async () => sender.sent.length >= HEALTHY + DIES_AFTER);
  await origin.kill();
  const diedAt = Date.now();
  progress.say(`the origin is dead (SIGKILL) after ${sender.sent.length} messages, in the middle of the stream`);
  await until("the first message in the portal", async () => (await domain()).backlog.waiting > 0);
  const first = Date.now() - diedAt;
  await streaming;
  const kept = sender.sent.find((message) => message.acceptedAt > diedAt);
  progress.say(
    `first message in a portal inbox ${seconds(first)} after the death; the first that met the dead server was accepted after ${seconds((kept?.acceptedAt ?? Date.now()) - diedAt)}`,
  );
  await until("emergency", async () => (await domain()).mode === "emergency");
  const failover = Date.now() - diedAt;
  progress.say(`mode emergency, by itself, ${seconds(failover)} after the death`);

  await send(HEALTHY + MID_STREAM, MESSAGES - 50, 4);
  await sender.send([{ ...(jobs[0] as Job), to: `nobody@${DOMAIN}` }], 1);
  progress.say(
    `emergency: ${(await domain()).backlog.waiting} messages wait in the portal; to an unknown address: ${sender.bounced[0]?.reply}`,
  );

  const removed = await userAtWork(jobs);

  await origin.start("451");
  progress.say("the origin is up again, but answers 451 to every recipient");
  await until("a proof that fails", async () => {
    const { items } = await service.call<{ items: { kind: string }[] }>(
      "GET",
      `/api/domains/${DOMAIN}/events?limit=20`,
    );
    return items.some(({ kind }) => kind === "proof_failed");
  });
  const still = await domain();
  if (still.mode !== "emergency") throw new Error("the domain went back to normal although the origin takes no mail");
  progress.say(
    `one message was tried and deferred: still emergency, ${still.backlog.waiting} wait; a server that greets is not one that takes mail`,
  );

  origin.answer("250");
  const backAt = Date.now();
  progress.say("the origin takes mail again");
  await until("normal", async () => (await domain()).mode === "normal");
  progress.say(`mode normal, by itself, ${seconds(Date.now() - backAt)} after it came back`);
  await send(MESSAGES - 50, MESSAGES, 2);
  await until("the backlog", async () => {
    const { backlog } = await domain();
    progress.show(`failback: ${backlog.waiting} wait, ${origin.count()} at the origin`);
    return backlog.waiting === 0;
  });
  progress.say(`the last of the backlog was delivered ${seconds(Date.now() - backAt)} after the origin came back`);
  const { backlog } = await domain();
  return balance(sender.sent, origin.messages(), { ...backlog, removed });
}

async function setUp(): Promise<void> {
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "automatic",
    origin: { transport, host: "127.0.0.1", port: origin.port, tls: "none" },
  });
  const people = [
    ["alice", [`a.liddell@${DOMAIN}`]],
    ["bob", []],
    ["carol", []],
  ] as const;
  for (const [name, aliases] of people) {
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, { password: PASSWORD, aliases });
  }
}

/** Real mail to real addresses: by name, by alias, with a plus-tag and in capitals. Carol gets three, in the outage. */
function addressed(): Job[] {
  const names = ["alice", "Bob", "a.liddell", "bob+lists", "ALICE"];
  return loadCorpus(MESSAGES).map((message, index) => ({
    ...message,
    from: index % 25 === 7 ? "" : `sender${index}@example.net`,
    to: `${isCarols(index) ? "carol" : names[index % names.length]}@${DOMAIN}`,
  }));
}

function isCarols(index: number): boolean {
  return index >= HEALTHY + MID_STREAM && index < HEALTHY + MID_STREAM + 3;
}

/** Carol reads one, files one away and deletes one; those two are hers now and not for the origin. */
async function userAtWork(jobs: readonly Job[]): Promise<string[]> {
  const { token } = await service.call<{ token: string }>("POST", "/api/session", {
    email: `Carol@${DOMAIN}`,
    password: PASSWORD,
  });
  const { items } = await service.call<{ items: Listed[] }>("GET", "/api/mail/messages?folder=inbox", undefined, token);
  const find = (job: Job | undefined) => {
    const item = items.find((candidate) => candidate.size === job?.octets.length);
    if (!job || !item) throw new Error("a message of the outage is not in the portal inbox");
    return { item, key: `${job.sha256} ${job.to}` };
  };
  const [read, moved, deleted] = jobs.filter((_job, index) => isCarols(index)).map(find);
  if (!read || !moved || !deleted) throw new Error("three messages were expected");
  await service.call("GET", `/api/mail/messages/${read.item.id}`, undefined, token);
  await service.call("PATCH", `/api/mail/messages/${moved.item.id}`, { folder: "junk" }, token);
  await service.call("DELETE", `/api/mail/messages/${deleted.item.id}`, undefined, token);
  progress.say(`a user reads "${read.item.subject}", files one message away and deletes one, in the portal`);
  return [moved.key, deleted.key];
}

function domain(): Promise<DomainView> {
  return service.call<DomainView>("GET", `/api/domains/${DOMAIN}`);
}

async function until(what: string, done: () => Promise<boolean>, limit = 90_000): Promise<void> {
  const end = Date.now() + limit;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s in vain for: ${what}`);
    await pause(200);
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function report(ledger: Ledger | null): void {
  if (!ledger) return;
  for (const complaint of ledger.complaints) console.log(`         ${complaint}`);
  const { changed, doubled, inFlight, lost } = ledger;
  console.log(
    `         octets compared: ${ledger.delivered} equal, ${changed} changed; doubled ${doubled}; repeated because the origin died before its 250: ${inFlight}`,
  );
  console.log(ledgerLine(ledger));
  if (lost !== 0 || changed > 0 || doubled > 0) process.exitCode = 1;
}

async function end(): Promise<void> {
  await service.stop();
  await origin.kill();
  rmSync(state, { recursive: true, force: true });
}
