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
    await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
    const response = await call("GET", "/metrics", { token: OPERATOR });
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    for (const line of [
      "# TYPE holdfast_domain_emergency gauge",
      'holdfast_domain_emergency{domain="example.org"} 1',
      'holdfast_backlog_waiting{domain="example.org"} 2',
      'holdfast_backlog_refused{domain="example.org"} 1',
      'holdfast_mailboxes{domain="example.org"} 1',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });
});
