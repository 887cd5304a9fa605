/** The platform's own `email()` event, as Miniflare imitates it: the message crosses to the Worker, forward() goes back. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import { keptBundle } from "../../src/local/kept-bundle.ts";
import { migrate } from "../../src/local/migrate.ts";
import { FakeOrigin } from "../support/fake-origin.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = join(REPOSITORY, "wrangler.toml");
const TOKEN = "operator-token-of-the-tests";
const ANN = "ann@forward.example";

const folder = mkdtempSync(join(tmpdir(), "holdfast-email-"));
let miniflare: Miniflare;
let url: URL;

beforeAll(async () => {
  const { modulesRules: _, ...worker } = unstable_getMiniflareWorkerOptions(CONFIG).workerOptions as {
    modulesRules?: unknown;
    bindings?: Record<string, string>;
  };
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...worker,
      name: "holdfast",
      modules: (await keptBundle(CONFIG, join(folder, "bundle"))).map(({ type, path }) => ({ type, path })),
      modulesRoot: join(folder, "bundle"),
      bindings: {
        ...worker.bindings,
        HOSTNAME: "mx.holdfast.test",
        OPERATOR_TOKEN: TOKEN,
        MASTER_KEYS: `k1:${Buffer.alloc(32, 1).toString("base64")}`,
        GATEWAY_SECRETS: "g1:secret-of-the-tests",
      },
      cf: false,
      unsafeLocalExplorer: false,
      unsafeTriggerHandlers: true,
    }),
  );
  url = await miniflare.ready;
  await migrate(await miniflare.getD1Database("DIRECTORY"), join(REPOSITORY, "migrations/directory"));
  await migrate(await miniflare.getD1Database("SHARD_0"), join(REPOSITORY, "migrations/shard"));
  const forward = { transport: "forward", via: "smtp", forwardDomain: "inside.forward.example" };
  // Nothing listens there: what is delivered was forwarded.
  const origin = { ...forward, host: "127.0.0.1", port: 9, tls: "none" };
  await call("PUT", "/api/domains/forward.example", { continuity: true, origin });
  await call("PUT", `/api/domains/forward.example/mailboxes/${ANN}`, {});
}, 60_000);

afterAll(async () => {
  await miniflare?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

async function call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(path, url), {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

interface Event {
  readonly outcome: string;
  readonly rejectReason?: string;
  readonly forwards: readonly { readonly recipient: string; readonly headers: readonly [string, string][] }[];
}

async function arrive(to: string, message: string): Promise<Event> {
  const query = new URLSearchParams({ from: "a@example.net", to, format: "json" });
  const response = await fetch(new URL(`/cdn-cgi/local/email?${query}`, url), { method: "POST", body: message });
  return (await response.json()) as Event;
}

const letter = (id: string, more = "") =>
  `${more}From: a@example.net\r\nTo: ${ANN}\r\nMessage-ID: <${id}@example.net>\r\nSubject: ${id}\r\n\r\nGr\u00fc\u00dfe\r\n`;

it("forwards a message when it has been read, keeps a copy, and knows it again when it comes back", async () => {
  const first = await arrive(ANN, letter("first"));
  expect(first).toMatchObject({ outcome: "ok", forwards: [{ recipient: "ann@inside.forward.example" }] });
  expect(await call("GET", "/api/domains/forward.example")).toMatchObject({ backlog: { waiting: 0 } });
  const { items } = (await call("GET", `/api/archive?mailbox=${ANN}`)) as { items: { subject: string }[] };
  expect(items).toMatchObject([{ subject: "first" }]);

  const marks = first.forwards[0]?.headers.map(([name, value]) => `${name}: ${value}\r\n`) ?? [];
  const back = await arrive(ANN, letter("first", marks.join("")));
  expect(back).toMatchObject({ forwards: [], rejectReason: "554 5.4.6 Mail loop: this message has been here before" });
});

it("forwards one of some megabytes, which streams", async () => {
  const large = `${letter("large")}${`${"0123456789".repeat(7)}\r\n`.repeat(60_000)}`;
  expect(await arrive(ANN, large)).toMatchObject({
    outcome: "ok",
    forwards: [{ recipient: "ann@inside.forward.example" }],
  });
  const { items } = (await call("GET", `/api/archive?mailbox=${ANN}&q=large`)) as { items: { subject: string }[] };
  expect(items).toMatchObject([{ subject: "large" }]);
});

it("in emergency mode keeps a message and forwards nothing", async () => {
  await call("PUT", "/api/domains/forward.example/mode", { mode: "emergency" });
  expect(await arrive(ANN, letter("kept"))).toMatchObject({ outcome: "ok", forwards: [] });
  expect(await call("GET", "/api/domains/forward.example")).toMatchObject({ backlog: { waiting: 1 } });
  expect(await arrive("stranger@forward.example", letter("strange"))).toMatchObject({
    forwards: [],
    rejectReason: "550 5.1.1 No such mailbox here",
  });
});

/** Of the domain's object. */
interface Holding {
  hold(keys: readonly string[], milliseconds: number): Promise<boolean>;
}

it("ends before a slow origin has spoken, and the keeper of the connection hears it all the same", async () => {
  const origin = new FakeOrigin({ steps: { final: { held: true } } });
  const port = await origin.start();
  onTestFinished(() => origin.stop());
  const domain = "slow.example";
  const route = { transport: "smtp", host: "127.0.0.1", port, tls: "none" };
  await call("PUT", `/api/domains/${domain}`, { continuity: true, origin: route });
  await call("PUT", `/api/domains/${domain}/mailboxes/ann@${domain}`, {});
  const objects = await miniflare.getDurableObjectNamespace("DOMAIN");
  // Known to be slow from here on.
  const object = objects.get(objects.idFromName(domain)) as unknown as Holding;
  await object.hold([`nothing\nann@${domain}`], 1);

  expect(await arrive(`ann@${domain}`, letter("slow"))).toMatchObject({ outcome: "ok" });
  const waiting = async () =>
    ((await call("GET", `/api/domains/${domain}`)) as { backlog: { waiting: number } }).backlog.waiting;
  expect(await waiting()).toBe(1);
  // What the invocation has left goes with it.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  origin.set({});
  await vi.waitFor(async () => expect(await waiting()).toBe(0), { timeout: 20_000, interval: 200 });
  expect(origin.report().messages).toMatchObject([{ to: [`ann@${domain}`], accepted: true }]);
}, 90_000);
