/** As much of Cloudflare's API as the real wrangler asks in a deployment, over an account that is a value. Loopback only. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { ACCOUNT_ID, type Account } from "./wrangler-double.ts";

interface Asked {
  readonly method: string;
  /** Without the account's or the zone's identifier. */
  readonly path: string;
  readonly body: string;
}

interface Answered {
  readonly status: number;
  readonly body: unknown;
}

const DAY = 86_400;
const ok = (result: unknown): Answered => ({
  status: 200,
  body: {
    success: true,
    errors: [],
    messages: [],
    result,
    result_info: { page: 1, per_page: 50, count: 1, total_count: 1, total_pages: 1 },
  },
});
const failed = (status: number, code: number, message: string): Answered => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
});

/** @returns its base address, and what was asked that it does not know */
export async function cloudflareApi(account: Account): Promise<{ url: string; unknown: string[] }> {
  const unknown: string[] = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "", "http://localhost").pathname
      .replace("/client/v4", "")
      .replace(`/accounts/${ACCOUNT_ID}`, "");
    const asked = { method: request.method ?? "", path, body: await read(request) };
    const answered = answer(account, asked, new URL(request.url ?? "", "http://localhost").searchParams);
    if (!answered) unknown.push(`${asked.method} ${path} ${asked.body.slice(0, 500)}`);
    const { status, body } = answered ?? failed(404, 7003, "Could not route");
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`, unknown };
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("latin1");
}

function answer(account: Account, { method, path, body }: Asked, query: URLSearchParams): Answered | null {
  const [, area = "", first = "", second = "", third = "", fourth = ""] = path.split("/");
  const json = () => JSON.parse(body) as Record<string, unknown>;
  switch (area) {
    case "user":
      return ok(first === "tokens" ? { id: "t", status: "active" } : { id: "u", email: "ops@example.net" });
    case "accounts":
      return ok(account.accounts);
    case "memberships":
      return ok(account.accounts.map((one) => ({ id: "m", account: one })));
    case "d1":
      return d1(account, method, second, third, body);
    case "r2":
      return r2(account, method, second, third, body);
    case "zones":
      return zones(account, method, first, path, query);
    case "workers":
      return workers(account, method, [first, second, third, fourth], body);
    default:
      return area === "graphql" ? ok({ data: {} }) : json() && null;
  }
}

function d1(account: Account, method: string, id: string, verb: string, body: string): Answered | null {
  if (id === "" && method === "GET") return ok(account.databases.map(({ uuid, name }) => ({ uuid, name })));
  if (id === "" && method === "POST") {
    const { name } = JSON.parse(body) as { name: string };
    const uuid = `11111111-0000-4000-8000-${String(account.databases.length + 1).padStart(12, "0")}`;
    account.databases.push({ uuid, name, migrations: [] });
    account.changes.push(`database ${name}`);
    return ok({ uuid, name });
  }
  const database = account.databases.find(({ uuid }) => uuid === id);
  if (!database) return failed(404, 7404, "The database does not exist");
  if (verb === "") return ok({ uuid: id, name: database.name });
  if (verb !== "query") return null;
  const { sql = "" } = JSON.parse(body) as { sql?: string };
  const found = /^\s*SELECT[\s\S]*d1_migrations/i.test(sql)
    ? database.migrations.map((name, index) => ({ id: index + 1, name, applied_at: "2026-11-24 10:00:00" }))
    : [];
  for (const [, name = ""] of sql.matchAll(/INSERT INTO "?d1_migrations"?\s*\(name\)\s*values\s*\('([^']+)'\)/gi)) {
    database.migrations.push(name);
    account.changes.push(`migration ${name} of ${database.name}`);
  }
  return ok([{ results: found, success: true, meta: { duration: 0.1, rows_read: 0, rows_written: 0 } }]);
}

function r2(account: Account, method: string, bucket: string, verb: string, body: string): Answered | null {
  if (bucket === "" && method === "POST") {
    const { name } = JSON.parse(body) as { name: string };
    account.buckets[name] = [];
    account.changes.push(`bucket ${name}`);
    return ok({ name, creation_date: "2026-11-24T10:00:00Z", location: "WEUR", storage_class: "Standard" });
  }
  const rules = account.buckets[bucket];
  if (!rules) return failed(404, 10006, "The specified bucket does not exist.");
  if (verb !== "lifecycle") return ok({ name: bucket });
  if (method === "PUT") {
    const given = JSON.parse(body) as {
      rules: {
        id: string;
        conditions: { prefix?: string };
        deleteObjectsTransition: { condition: { maxAge: number } };
      }[];
    };
    account.buckets[bucket] = given.rules.map(({ id, conditions, deleteObjectsTransition }) => ({
      name: id,
      prefix: conditions.prefix ?? "",
      action: `Expire objects after ${deleteObjectsTransition.condition.maxAge / DAY} days`,
    }));
    account.changes.push(`rules of ${bucket}`);
    return ok({});
  }
  return ok({
    rules: rules.map(({ name, prefix, action }) => ({
      id: name,
      enabled: true,
      conditions: { prefix },
      deleteObjectsTransition: { condition: { type: "Age", maxAge: Number(/\d+/.exec(action)?.[0]) * DAY } },
    })),
  });
}

function zones(account: Account, method: string, id: string, path: string, query: URLSearchParams): Answered | null {
  if (id === "")
    return ok(account.zones[query.get("name") ?? ""] ? [{ id: query.get("name"), name: query.get("name") }] : []);
  const zone = account.zones[id];
  if (!zone) return failed(404, 7003, "Could not route");
  if (path.endsWith("/email/routing/enable") && method === "POST") {
    zone.enabled = true;
    account.changes.push(`Email Routing of ${id}`);
  }
  if (path.endsWith("/email/routing/rules")) {
    const [type, ...value] = zone.catchAll.split(":");
    return ok([
      { id: "c", name: "", enabled: zone.catchAllEnabled, matchers: [{ type: "all" }], actions: [{ type, value }] },
    ]);
  }
  return ok({ id, tag: "t", name: id, enabled: zone.enabled, status: "ready", created: "", modified: "" });
}

function workers(account: Account, method: string, [kind, name, verb, id]: string[], body: string): Answered | null {
  const missing = failed(404, 10007, "This Worker does not exist on your account.");
  const worker = account.workers[name ?? ""];
  if (kind === "subdomain") return ok({ subdomain: "example" });
  if (kind === "assets") return ok({ jwt: "j" });
  if (kind === "domains") return ok([]);
  if (kind === "workers")
    return ok({ id: name, name, subdomain: { enabled: true, previews_enabled: false }, tags: [] });
  if (kind === "services")
    return worker
      ? ok({
          id: name,
          default_environment: {
            environment: "production",
            script: { tag: "t", tags: null, last_deployed_from: "wrangler" },
          },
        })
      : missing;
  if (kind !== "scripts" || !name) return null;
  switch (verb) {
    case "assets-upload-session":
      return ok({ jwt: "j", buckets: [] });
    case "secrets":
      return worker ? ok(Object.keys(worker.secrets).map((key) => ({ name: key, type: "secret_text" }))) : missing;
    case "deployments":
      if (!worker) return missing;
      if (method === "POST") return ok({ id: "d" });
      return ok({
        deployments: [
          {
            id: "d",
            source: "wrangler",
            strategy: "percentage",
            author_email: "a",
            created_on: "2026-11-24T10:00:00Z",
            versions: [{ version_id: `v${worker.uploads}`, percentage: 100 }],
          },
        ],
      });
    case "versions":
      if (method === "GET" && id)
        return ok({
          id,
          number: 1,
          metadata: { created_on: "2026-11-24T10:00:00Z", author_email: "a", source: "wrangler" },
          annotations: { "workers/tag": worker?.tag },
          resources: { bindings: [], script: {}, script_runtime: {} },
        });
      return method === "GET" ? ok({ items: [] }) : upload(account, name, body);
    case "subdomain":
      return ok({ enabled: true, previews_enabled: false });
    case "schedules":
      return ok({ schedules: [] });
    case "settings":
      return worker ? ok({ bindings: [] }) : missing;
    case "":
    case undefined:
      return method === "PUT" ? upload(account, name, body) : missing;
    default:
      return null;
  }
}

/** The first part of the form is the version's metadata. */
function upload(account: Account, name: string, body: string): Answered {
  const metadata = JSON.parse(/name="metadata"\r\n[\s\S]*?(\{[\s\S]*?)\r\n--/.exec(body)?.[1] ?? "{}") as {
    bindings?: { name: string; type: string; text?: string }[];
    annotations?: Record<string, string>;
  };
  const bindings = metadata.bindings ?? [];
  const texts = (type: string) =>
    Object.fromEntries(bindings.filter((one) => one.type === type).map((one) => [one.name, one.text ?? ""]));
  const before = account.workers[name];
  account.workers[name] = {
    secrets: { ...before?.secrets, ...texts("secret_text") },
    tag: metadata.annotations?.["workers/tag"] ?? null,
    uploads: (before?.uploads ?? 0) + 1,
    configuration: texts("plain_text"),
  };
  account.changes.push(`upload of ${name}`);
  return ok({
    id: "v1",
    startup_time_ms: 1,
    metadata: {},
    etag: "e",
    tag: "t",
    deployment_id: "d",
    pipeline_hash: "p",
    mutable_pipeline_id: "m",
    annotations: {},
    entry_point: "index.js",
  });
}
