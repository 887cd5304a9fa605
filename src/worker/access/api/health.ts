/** For the operator's monitoring: whether the parts answer, and the numbers. */
import { createRoute, z } from "@hono/zod-openapi";
import { HEALTH_TIMEOUT } from "../../../core/limits.ts";
import { renewedTo } from "../../archive/renewal.ts";
import { gatewayHealth } from "../../deliver/gateways.ts";
import { askDomain } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import { backlogTotals } from "../../store/backlog-totals.ts";
import { within } from "../../store/deadline.ts";
import { directory } from "../../store/directory.ts";
import { domainModes } from "../../store/domains.ts";
import { countMailboxes } from "../../store/mailboxes.ts";
import { queueTotals } from "../../store/queue-totals.ts";
import { shards, shardsInUse } from "../../store/shard.ts";
import { json, newApi, PROBLEMS } from "./api.ts";

const Check = z.object({ name: z.string(), ok: z.boolean(), milliseconds: z.int() });
const Health = z
  .object({ status: z.enum(["ok", "degraded"]), failing: z.array(z.string()), checks: z.array(Check) })
  .openapi("Health");

export const healthApi = newApi();

healthApi.openapi(
  createRoute({
    method: "get",
    path: "/api/health",
    tags: ["service"],
    summary: "Whether D1, R2 and a Durable Object answer",
    security: [],
    responses: { 200: json(Health, "All answer."), 503: json(Health, "`failing` names what does not.") },
  }),
  async (c) => {
    const checks = await Promise.all(looks(c.env).map(([name, look]) => check(name, look)));
    const failing = checks.filter(({ ok }) => !ok).map(({ name }) => name);
    c.header("cache-control", "no-store");
    if (failing.length > 0) return c.json({ status: "degraded" as const, failing, checks }, 503);
    return c.json({ status: "ok" as const, failing, checks }, 200);
  },
);

function looks(env: Env): [string, () => Promise<unknown>][] {
  return [
    ["directory", () => env.DIRECTORY.prepare("SELECT 1").first()],
    // One that is bound and has no tables is an error here, whether anything lives on it or not.
    ...shards(env).map(({ number, db }): [string, () => Promise<unknown>] => [
      `shard_${number}`,
      () => db.prepare("SELECT 1 FROM account LIMIT 1").first(),
    ]),
    ["mail", () => env.MAIL.head("health")],
    // Not a domain name, so that no domain's object is woken.
    ["domain_object", () => askDomain(env, "health", (object) => object.ping())],
  ];
}

async function check(name: string, look: () => Promise<unknown>): Promise<z.infer<typeof Check>> {
  const start = Date.now();
  try {
    await within(look(), HEALTH_TIMEOUT, name);
    return { name, ok: true, milliseconds: Date.now() - start };
  } catch (error) {
    console.error(`health: ${name}:`, error);
    return { name, ok: false, milliseconds: Date.now() - start };
  }
}

healthApi.openapi(
  createRoute({
    method: "get",
    path: "/metrics",
    tags: ["service"],
    summary: "Numbers for Prometheus (operators)",
    responses: {
      200: { description: "Text format 0.0.4.", content: { "text/plain": { schema: z.string() } } },
      ...PROBLEMS,
    },
  }),
  async (c) => c.text(await metrics(c.env), 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }),
);

async function metrics(env: Env): Promise<string> {
  const db = directory(env);
  const now = Date.now();
  const [domains, mailboxes, totals, queues, gateways, renewed] = await Promise.all([
    domainModes(db),
    countMailboxes(db),
    shardsInUse(env).then((all) => Promise.all(all.map(({ db }) => backlogTotals(db)))),
    shardsInUse(env).then((all) => Promise.all(all.map(({ db }) => queueTotals(db)))),
    gatewayHealth(env),
    renewedTo(env),
  ]);
  const backlog = totals.flat();
  const queueOf = (id: number) => queues.flat().filter(({ domain }) => domain === id);
  const oldest = (id: number) => Math.min(now, ...queueOf(id).map((queue) => queue.oldest));
  const boxes = new Map(mailboxes.map((row) => [row.domain, row.mailboxes]));
  const sum = (id: number, of: "waiting" | "refused"): number =>
    backlog.reduce((total, row) => (row.domain === id ? total + row[of] : total), 0);
  return [
    metric("holdfast_domain_emergency", "1 while the domain is in emergency mode.", (_id, { mode }) =>
      mode === "emergency" ? 1 : 0,
    ),
    metric("holdfast_domain_continuity", "1 while continuity is on.", (_id, { continuity }) => (continuity ? 1 : 0)),
    metric("holdfast_backlog_waiting", "Messages that wait for the origin.", (id) => sum(id, "waiting")),
    metric("holdfast_backlog_refused", "Messages that the origin refused.", (id) => sum(id, "refused")),
    metric("holdfast_outgoing_waiting", "Recipients that outgoing mail has not reached yet.", (id) =>
      queueOf(id).reduce((total, { waiting }) => total + waiting, 0),
    ),
    metric("holdfast_outgoing_oldest_seconds", "Age of the oldest message that waits to go out; 0 without any.", (id) =>
      Math.floor((now - oldest(id)) / 1000),
    ),
    metric("holdfast_mailboxes", "Registered mailboxes.", (id) => boxes.get(id) ?? 0),
    "# HELP holdfast_gateway_up 1 where a gateway takes connections to origins.\n# TYPE holdfast_gateway_up gauge\n",
    ...gateways.map(({ gateway, ok }) => `holdfast_gateway_up{gateway="${gateway}"} ${ok ? 1 : 0}\n`),
    "# HELP holdfast_searchable_since_seconds Unix time: searches do not find older mail yet; 0 where they find all.\n",
    "# TYPE holdfast_searchable_since_seconds gauge\n",
    ...[...renewed].map(
      ([shard, since]) => `holdfast_searchable_since_seconds{shard="${shard}"} ${Math.floor((since ?? 0) / 1000)}\n`,
    ),
  ].join("");

  type Row = (typeof domains)[number];
  function metric(name: string, help: string, value: (id: number, row: Row) => number): string {
    const lines = domains.map((row) => `${name}{domain="${row.name}"} ${value(row.id, row)}\n`);
    return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join("")}`;
  }
}
