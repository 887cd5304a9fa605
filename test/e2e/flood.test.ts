/** Too much at once: a domain whose server hangs is nobody else's trouble, and large mail does not fill the isolate. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_ISOLATE_BYTES } from "../../src/core/limits.ts";
import type { Reply } from "../../src/core/outcome.ts";
import { parseSecrets } from "../../src/core/protocol/gateway/signature.ts";
import type { WorkerLink } from "../../src/gateway/worker-link.ts";
import { handOver } from "../../src/local/corpus/hand-over.ts";
import { CorpusOrigin } from "../../src/local/corpus/origin.ts";
import { keptBundle } from "../../src/local/kept-bundle.ts";
import { migrate } from "../../src/local/migrate.ts";
import { running } from "../../src/local/orphan.ts";
import { type Runtime, startRuntime } from "../../src/local/runtime.ts";
import { IsolateHeap } from "../support/isolate-heap.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TOKEN = "operator-token-of-the-tests";
const SECRETS = "g1:secret-of-the-tests";
const MIB = 1024 * 1024;
/** What Cloudflare gives an isolate. */
const ISOLATE = 128 * MIB;
const LARGEST = 25 * MIB;

const state = mkdtempSync(join(tmpdir(), "holdfast-flood-"));
let runtime: Runtime;
let link: WorkerLink;
let heap: IsolateHeap;
let healthy: CorpusOrigin;
let hanging: Hanging;

/** Takes every connection and never says a word. */
class Hanging {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server = createServer((socket) => {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#sockets.delete(socket));
  });

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as { port: number }).port;
  }

  get open(): number {
    return this.#sockets.size;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
  const response = await fetch(new URL(path, runtime.url), {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

async function addDomain(name: string, port: number, switching = "manual"): Promise<void> {
  const origin = { transport: "smtp", host: "127.0.0.1", port, tls: "none" };
  await call("PUT", `/api/domains/${name}`, { continuity: true, coverage: "all", switching, origin });
  await call("PUT", `/api/domains/${name}/mailboxes/ann@${name}`, {});
}

beforeAll(async () => {
  healthy = await CorpusOrigin.start();
  hanging = new Hanging();
  const config = join(ROOT, "wrangler.toml");
  runtime = await startRuntime({
    state,
    host: "127.0.0.1",
    port: 0,
    config,
    modules: await keptBundle(config, join(state, "bundle")),
    bindings: {
      HOSTNAME: "mx.holdfast.test",
      OPERATOR_TOKEN: TOKEN,
      MASTER_KEYS: `k1:${Buffer.alloc(32, 7).toString("base64")}`,
      GATEWAY_SECRETS: SECRETS,
    },
    say: console.error,
    inspectorPort: 0,
  });
  await migrate(await runtime.miniflare.getD1Database("DIRECTORY"), join(ROOT, "migrations/directory"));
  await migrate(await runtime.miniflare.getD1Database("SHARD_0"), join(ROOT, "migrations/shard"));
  const secrets = parseSecrets(SECRETS);
  if (!secrets.ok) throw new Error(secrets.error);
  link = { worker: runtime.url, secrets: secrets.value };
  heap = await IsolateHeap.connect(await runtime.miniflare.getInspectorURL());
  await addDomain("healthy.example", healthy.port);
  await addDomain("hanging.example", await hanging.start());
});

afterAll(async () => {
  heap?.close();
  await runtime?.stop();
  await healthy?.stop();
  await hanging?.stop();
  rmSync(state, { recursive: true, force: true });
});

const letter = (subject: string) =>
  Buffer.from(`Message-ID: <${subject}@sender.example>\r\nSubject: ${subject}\r\n\r\nHello.\r\n`);

describe("64 senders to a domain whose server takes connections and never answers", () => {
  it("hold up nobody else's mail, and all of theirs is in the portal in the end", async () => {
    let settled = 0;
    const flood = Array.from({ length: 64 }, async (_, n) => {
      const envelope = { from: `s${n}@sender.example`, to: `ann+${n}@hanging.example` };
      const reply = await handOver(link, envelope, letter(`flood-${n}`));
      settled++;
      return reply.code;
    });
    while (hanging.open < 64) await pause(20);
    const others: number[] = [];
    for (let n = 0; n < 20; n++) {
      const to = `ann+other-${n}@healthy.example`;
      others.push((await handOver(link, { from: "x@sender.example", to }, letter(`other-${n}`))).code);
      expect(healthy.take(to)?.octets.toString()).toContain(`Subject: other-${n}\r\n`);
    }
    expect({ others, settled }).toEqual({ others: Array(20).fill(250), settled: 0 });
    expect(await Promise.all(flood)).toEqual(Array(64).fill(250));
    const domain = (await (await call("GET", "/api/domains/hanging.example")).json()) as { backlog: object };
    expect(domain.backlog).toEqual({ waiting: 64, refused: 0 });
  });
});

/** Octets of one large message: what is in them, again and again. */
function large(number: number, head: string, line: string, tail: string): Buffer {
  const start = Buffer.from(`Message-ID: <large-${number}@sender.example>\r\nSubject: Large ${number}\r\n${head}`);
  const end = Buffer.from(tail);
  const body = Buffer.alloc(LARGEST - start.length - end.length, line, "latin1");
  return Buffer.concat([start, body, end]);
}

const MIXED = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee the attachment.\r\n--b\r\n';
const BASE64 = `${"QUJD".repeat(19)}\r\n`;
/** Base64 in a message in a message: each is another copy to a parser that takes the whole. */
const NESTED = Array.from(
  { length: 8 },
  (_, n) =>
    `Content-Type: message/rfc822\r\n\r\nSubject: nested ${n}\r\nContent-Type: multipart/mixed; boundary="n${n}"\r\n\r\n--n${n}\r\n`,
).join("");

const KINDS: readonly (readonly [string, (number: number) => Buffer])[] = [
  [
    "one attachment",
    (n) =>
      large(
        n,
        `${MIXED}Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
        BASE64,
        "\r\n--b--\r\n",
      ),
  ],
  [
    "an attachment eight messages deep",
    (n) =>
      large(
        n,
        `${MIXED}${NESTED}Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
        BASE64,
        "\r\n",
      ),
  ],
  [
    "a page of HTML",
    (n) => large(n, "Content-Type: text/html\r\n\r\n", "<div><p>word &amp; word</p></div>\r\n", "\r\n"),
  ],
  [
    "a thousand parts",
    (n) =>
      large(
        n,
        MIXED,
        `Content-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n${BASE64.repeat(300)}--b\r\n`,
        "\r\n",
      ),
  ],
];

describe.each(KINDS)("ten messages of 25 MiB at once, of %s", (what, make) => {
  it("are taken or deferred, never lost, in less memory than an isolate has", async () => {
    const before = running(state, "workerd");
    const idle = await heap.live();
    const messages = Array.from({ length: 10 }, (_, n) => ({ octets: make(n), to: `ann+${n}@healthy.example` }));
    const send = async ({ octets, to }: (typeof messages)[number]): Promise<Reply> =>
      handOver(link, { from: `${what.replaceAll(" ", "-")}@sender.example`, to }, octets);
    const replies = Promise.all(messages.map(send));
    const { peak, looks } = await heap.peakDuring(replies);
    expect(looks).toBeGreaterThan(3);
    expect(peak).toBeLessThan(ISOLATE);
    expect(peak - idle).toBeLessThan(MAX_ISOLATE_BYTES);

    for (const [index, reply] of (await replies).entries()) {
      const message = messages[index];
      if (!message) throw new Error("a reply to no message");
      // A sender comes again, as each does.
      let answer = reply;
      for (let tries = 0; answer.code === 452 && tries < 5; tries++) {
        expect(answer.enhanced).toBe("4.3.1");
        answer = await send(message);
      }
      expect(answer.code).toBe(250);
      // One that the origin did not take in the time that a sender waits is in the portal, and given back by a run.
      const arrived = () => digest(healthy.take(message.to)?.octets);
      await expect.poll(arrived, { timeout: 120_000, interval: 500 }).toBe(digest(message.octets));
    }
    expect(running(state, "workerd")).toBe(before);
  }, 300_000);
});

function digest(octets: Buffer | undefined): string {
  return octets ? createHash("sha256").update(octets).digest("hex") : "nothing";
}
