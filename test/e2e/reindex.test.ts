/** A running service loses its shard, and npm run reindex makes it anew, killed once on the way. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Sender } from "../../src/local/demo/sender.ts";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const DOMAIN = "example.org";
const TOKEN = "operator-token-of-the-tests";
const PASSWORD = "correct horse battery staple";
const MAILBOXES = ["ann", "bob", "cy", "dot", "refused"];
const PROGRAM = fileURLToPath(new URL("../../src/local/reindex/reindex.ts", import.meta.url));
const state = mkdtempSync(join(tmpdir(), "holdfast-reindex-"));
let service: Service;
let origin: FakeOrigin;

interface Listed {
  readonly id: string;
  readonly subject: string;
}
interface Page {
  readonly items: readonly Listed[];
  readonly next: string | null;
}

beforeAll(async () => {
  origin = new FakeOrigin({ recipients: { [`refused@${DOMAIN}`]: "550 5.1.1 not here" } });
  await origin.start();
  service = await Service.start(state, TOKEN);
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "manual",
    origin: { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none" },
  });
  for (const name of MAILBOXES)
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, { password: PASSWORD });
});

afterAll(async () => {
  await service?.stop();
  await origin?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** @returns the subjects */
async function send(kind: string, count: number, mailboxes: readonly string[]): Promise<string[]> {
  const jobs = Array.from({ length: count }, (_, n) => {
    const subject = `${kind} ${n}`;
    const to = `${mailboxes[n % mailboxes.length]}@${DOMAIN}`;
    const octets = Buffer.from(
      `Message-ID: <${kind}.${n}@example.net>\r\nFrom: <a@example.net>\r\nTo: <${to}>\r\nSubject: ${subject}\r\n\r\nText\r\n`,
    );
    return { name: subject, octets, sha256: "", from: "a@example.net", to };
  });
  const { host, port } = service.addresses.mx;
  const sender = new Sender(host, port);
  await sender.send(jobs, 4);
  expect(sender.bounced).toEqual([]);
  return jobs.map(({ name }) => name);
}

const mode = (mode: string) => service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });

async function backlog(): Promise<{ waiting: number; refused: number }> {
  const { backlog } = await service.call<{ backlog: { waiting: number; refused: number } }>(
    "GET",
    `/api/domains/${DOMAIN}`,
  );
  return backlog;
}

async function untilNothingWaits(): Promise<void> {
  for (let tries = 0; (await backlog()).waiting > 0; tries++) {
    if (tries === 600) throw new Error(`still waiting: ${JSON.stringify(await backlog())}`);
    await pause(100);
  }
}

async function everything(path: string, token?: string): Promise<Listed[]> {
  const found: Listed[] = [];
  let cursor: string | null = null;
  do {
    const more = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page = await service.call<Page>("GET", `${path}&limit=200${more}`, undefined, token);
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}

const subjects = (list: readonly Listed[]): string[] => list.map(({ subject }) => subject).sort();
const archive = () => everything(`/api/archive?domain=${DOMAIN}`);

function taken(): string[] {
  return origin
    .report()
    .messages.filter(({ accepted }) => accepted)
    .map(({ raw }) => /^Subject: (.*)\r$/m.exec(Buffer.from(raw, "base64").toString("latin1"))?.[1] ?? "")
    .sort();
}

/** As if the database had been made anew: its tables are there, and empty. The service is stopped meanwhile. */
async function loseShard(): Promise<void> {
  await service.stop();
  const { DatabaseSync } = createRequire(import.meta.url)("node:sqlite") as typeof import("node:sqlite");
  let lost = 0;
  for (const name of readdirSync(join(state, "storage"), { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".sqlite")) continue;
    const db = new DatabaseSync(join(state, "storage", name));
    const there = db.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name IN ('placement', 'message')").get();
    if (there?.n === 2) {
      for (const table of ["placement", "message", "full_text", "account", "folder"]) db.exec(`DELETE FROM ${table}`);
      lost++;
    }
    db.close();
  }
  expect(lost).toBe(1);
  service = await Service.start(state, TOKEN);
}

/** @param killAt ends it with SIGKILL once it has noted how far it is */
async function reindex(killAt: "never" | "first progress"): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    env: { ...process.env, HOLDFAST_STATE: state, HOLDFAST_OPERATOR_TOKEN: TOKEN },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const ended = once(child, "exit");
  if (killAt === "first progress") {
    while (!existsSync(join(state, "reindex.json")) && child.exitCode === null) await pause(5);
    child.kill("SIGKILL");
  }
  const [code] = (await ended) as [number | null];
  return { code, output };
}

it("the archive is complete, the backlog is what it was, and each waiting message goes out once", async () => {
  const atOnce = await send("at-once", 60, ["ann", "bob", "cy", "dot"]);
  await mode("emergency");
  const early = await send("early", 60, MAILBOXES);
  await mode("normal");
  await untilNothingWaits();
  await mode("emergency");
  const late = await send("late", 120, ["ann", "bob", "cy", "dot"]);
  const { token } = await service.call<{ token: string }>("POST", "/api/session", {
    email: `ann@${DOMAIN}`,
    password: PASSWORD,
  });
  const [moved, deleted] = await everything("/api/mail/messages?folder=inbox", token);
  await service.call("PATCH", `/api/mail/messages/${moved?.id}`, { folder: "junk" }, token);
  await service.call("DELETE", `/api/mail/messages/${deleted?.id}`, undefined, token);

  const before = { backlog: await backlog(), archive: subjects(await archive()) };
  expect(before.backlog).toEqual({ waiting: 118, refused: 12 });
  expect(before.archive).toEqual([...atOnce, ...early, ...late].sort());
  const hadBefore = taken();

  await loseShard();
  expect(await archive()).toEqual([]);
  const killed = await reindex("first progress");
  expect(killed.code).toBe(null);
  const whole = await reindex("never");
  expect(whole.output).toContain("goes on where the last run stopped");
  expect(whole.output).toMatch(/240 messages looked at: .*; 0 problems/);
  expect(whole.code).toBe(0);
  expect({ backlog: await backlog(), archive: subjects(await archive()) }).toEqual(before);

  await mode("normal");
  await untilNothingWaits();
  const out = new Set([moved?.subject, deleted?.subject]);
  const waiting = late.filter((subject) => !out.has(subject));
  expect(taken()).toEqual([...hadBefore, ...waiting].sort());
  expect((await reindex("never")).output).toMatch(/: 0 copies indexed/);
}, 480_000);
