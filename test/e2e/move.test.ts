/** A mailbox moves to another shard of a running service while mail for it comes in at the MX port, and then all goes to the origin. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Job, Sender } from "../../src/local/demo/sender.ts";
import { Service } from "../../src/local/demo/service.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const DOMAIN = "example.org";
const PASSWORD = "correct horse battery staple";
const MESSAGES = 300;
/** That are there when the move begins, and that come after the switch at the earliest. */
const BEFORE = 80;
const AFTER = 60;
const state = mkdtempSync(join(tmpdir(), "holdfast-move-"));
let service: Service;
let origin: FakeOrigin;

beforeAll(async () => {
  origin = new FakeOrigin();
  await origin.start();
  process.env.HOLDFAST_SHARDS = "2";
  service = await Service.start(state, "operator-token-of-the-tests");
  await service.call("PUT", "/api/shards/new", { shard: 0 });
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "manual",
    origin: { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none" },
  });
  for (const name of ["ann", "bob"]) {
    const mailbox = { password: PASSWORD, aliases: [`info@${DOMAIN}`] };
    await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${name}@${DOMAIN}`, mailbox);
  }
});

afterAll(async () => {
  delete process.env.HOLDFAST_SHARDS;
  await service?.stop();
  await origin?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** Two of three for the mailbox that moves, the others for both. */
function jobOf(n: number): Job {
  const to = `${n % 3 === 2 ? "info" : "ann"}@${DOMAIN}`;
  const lines = [
    `Message-ID: <move.${n}@example.net>`,
    "From: <a@example.net>",
    `To: <${to}>`,
    `Subject: Letter ${n}`,
    "",
    ".a leading dot",
    "\xe4\xf6\xfc \0",
    "x".repeat((n * 37) % 900),
  ];
  const octets = Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
  return { name: `Letter ${n}`, octets, sha256: "", from: "a@example.net", to };
}

interface Move {
  readonly phase: string;
  readonly problem: string | null;
}
const path = `/api/domains/${DOMAIN}/mailboxes/ann@${DOMAIN}/move`;

async function untilSwitched(): Promise<void> {
  for (let move: Move | null = null; move?.phase !== "purging"; await pause(100)) {
    move = await service.call<Move>("GET", path);
    expect(move).toMatchObject({
      phase: expect.stringMatching(/^(copying|switching|switched|purging)$/),
      problem: null,
    });
  }
}

interface Page {
  readonly items: readonly { readonly subject: string }[];
  readonly next: string | null;
}

async function subjects(list: string, token?: string): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const more: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: Page = await service.call<Page>("GET", `${list}${more}`, undefined, token);
    found.push(...page.items.map(({ subject }) => subject));
    cursor = page.next;
  }
  return found.sort();
}

const mode = (mode: string) => service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
const waiting = async () =>
  (await service.call<{ backlog: { waiting: number } }>("GET", `/api/domains/${DOMAIN}`)).backlog.waiting;

it("each message is in its inboxes once, and after failback at the origin once, octet for octet", async () => {
  await mode("emergency");
  const jobs = Array.from({ length: MESSAGES }, (_, n) => jobOf(n));
  const { host, port } = service.addresses.mx;
  const sender = new Sender(host, port);
  await sender.send(jobs.slice(0, BEFORE), 4);

  await service.call("POST", path, { shard: 1 });
  const switched = untilSwitched();
  const meanwhile = jobs.slice(BEFORE, MESSAGES - AFTER);
  await Promise.all([sender.send(meanwhile, 4), switched]);
  await sender.send(jobs.slice(MESSAGES - AFTER), 4);

  expect(sender.bounced).toEqual([]);
  expect(sender.sent).toHaveLength(MESSAGES);
  const all = jobs.map(({ name }) => name).sort();
  const forBoth = jobs.filter(({ to }) => to.startsWith("info")).map(({ name }) => name);
  for (const [name, theirs] of [
    ["ann", all],
    ["bob", forBoth.sort()],
  ] as const) {
    const login = { email: `${name}@${DOMAIN}`, password: PASSWORD };
    const { token } = await service.call<{ token: string }>("POST", "/api/session", login);
    expect(await subjects("/api/mail/messages?folder=inbox&limit=200", token)).toEqual(theirs);
    expect(await subjects("/api/archive?limit=200", token)).toEqual(theirs);
  }
  expect(await subjects(`/api/archive?domain=${DOMAIN}&limit=200`)).toEqual([...all, ...forBoth].sort());
  expect(await waiting()).toBe(all.length + forBoth.length);

  await mode("normal");
  while ((await waiting()) > 0) await pause(200);
  const { messages, violations } = origin.report();
  expect(violations).toEqual([]);
  const taken = messages.filter(({ accepted }) => accepted).map(({ raw }) => Buffer.from(raw, "base64"));
  expect(taken).toHaveLength(MESSAGES);
  for (const { name, octets } of jobs) {
    const mine = taken.filter((raw) => raw.subarray(-octets.length).equals(octets));
    const ours = mine.map((raw) => raw.subarray(0, -octets.length).toString("latin1"));
    expect(ours, name).toEqual([expect.stringMatching(/^Received: [\s\S]+\r\nDelivered-To: [^\r]+\r\n$/)]);
  }
}, 240_000);
