import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { addDomain, asOperator, call, json, OPERATOR } from "./client.ts";

beforeAll(() => addDomain("example.org"));

describe("the health of the service", () => {
  it("is good when D1, R2 and a Durable Object answer, and anyone may ask", async () => {
    const { status, body } = await json("GET", "/api/health");
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "ok", failing: [] });
    const names = (body.checks as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(["directory", "shard_0", "shard_1", "mail", "domain_object"]);
  });

  it("names what does not answer, and not why", async () => {
    const MAIL = { head: () => Promise.reject(new Error("key of the account")) } as unknown as R2Bucket;
    const { status, body } = await json("GET", "/api/health", { env: { MAIL } });
    expect(status).toBe(503);
    expect(body).toMatchObject({ status: "degraded", failing: ["mail"] });
    expect(JSON.stringify(body)).not.toContain("key of the account");
  });

  it("does not wait for what never answers", async () => {
    const MAIL = { head: () => new Promise(() => undefined) } as unknown as R2Bucket;
    expect((await json("GET", "/api/health", { env: { MAIL } })).body).toMatchObject({ failing: ["mail"] });
  });
});

describe("when D1 fails", () => {
  it("a request hears 503 or 500 in plain words, without the error's own", async () => {
    const DIRECTORY = {
      prepare: () => {
        throw new Error("internal name of a database");
      },
    } as unknown as D1Database;
    const { status, body } = await json("GET", "/api/domains", { token: OPERATOR, env: { DIRECTORY } });
    expect(status).toBe(500);
    expect(body.detail).toBe("Something went wrong on our side. It has been logged; try again.");
  });
});

describe("the metrics", () => {
  it("are Prometheus text for the operator", async () => {
    await asOperator("PUT", "/api/domains/example.org/mailboxes/a@example.org", {});
    const id = await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = 'example.org'").first<number>("id");
    const waiting = (id ?? 0) * 2 ** 32 + 1;
    const insert =
      "INSERT INTO placement (id, account, message, modseq, created, waiting) VALUES (?1, 1, ?1, 1, 1, ?2)";
    await env.SHARD_0.batch([
      env.SHARD_0.prepare(insert).bind(1, waiting),
      env.SHARD_0.prepare(insert).bind(2, waiting + 5),
      env.SHARD_0.prepare(insert).bind(3, -waiting),
    ]);
    await env.SHARD_0.prepare(
      `INSERT INTO outgoing (id, domain, account, request, mid, key, size, sender, subject, facts, created_at)
       VALUES (1, ?1, 1, 'r', 'm', 'k', 1, 'a@example.org', '', '{}', ?2)`,
    )
      .bind(id, Date.now() - 7200_000)
      .run();
    const recipient =
      "INSERT INTO outgoing_recipient (outgoing, recipient, state, attempts, due, at) VALUES (1, ?1, ?2, 1, ?3, 0)";
    await env.SHARD_0.batch([
      env.SHARD_0.prepare(recipient).bind("x@example.net", "waiting", waiting),
      env.SHARD_0.prepare(recipient).bind("y@example.net", "waiting", waiting + 9),
      env.SHARD_0.prepare(recipient).bind("z@example.net", "refused", waiting),
      env.SHARD_0.prepare(recipient).bind("w@example.net", "delivered", null),
    ]);
    await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
    const response = await call("GET", "/metrics", { token: OPERATOR });
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    for (const line of [
      "# TYPE holdfast_domain_emergency gauge",
      'holdfast_domain_emergency{domain="example.org"} 1',
      'holdfast_backlog_waiting{domain="example.org"} 2',
      'holdfast_backlog_refused{domain="example.org"} 1',
      'holdfast_outgoing_waiting{domain="example.org"} 2',
      'holdfast_mailboxes{domain="example.org"} 1',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    const age = Number(/holdfast_outgoing_oldest_seconds\{domain="example\.org"\} (\d+)/.exec(text)?.[1]);
    expect(age).toBeGreaterThanOrEqual(7200);
    expect(age).toBeLessThan(7200 + 600);
  });
});
