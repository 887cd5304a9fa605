import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { hashPassword } from "../../../src/worker/identity/password.ts";
import { addCustomer, addDomain, addUser, asOperator, call, json, ORIGIN, PASSWORD } from "./client.ts";

beforeAll(() => addDomain("example.org"));

const signIn = (email: string, password: string, headers: Record<string, string> = {}) =>
  json("POST", "/api/session", { body: { email, password }, headers });

describe("signing in", () => {
  it("gives a user a cookie and a token that do the same, with the login name in any case", async () => {
    await addUser("alice@example.org");
    const response = await call("POST", "/api/session", { body: { email: " Alice@EXAMPLE.org", password: PASSWORD } });
    const body = (await response.json()) as { token: string };
    expect(body).toMatchObject({ role: "user", email: "alice@example.org" });
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toContain(`holdfast=${body.token};`);
    for (const part of ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"]) expect(cookie).toContain(part);
    const asBearer = await json("GET", "/api/session", { token: body.token });
    const asCookie = await json("GET", "/api/session", { headers: { cookie: `holdfast=${body.token}` } });
    expect(asBearer.body).toEqual({ role: "user", email: "alice@example.org" });
    expect(asCookie.body).toEqual(asBearer.body);
  });

  it("keeps no token in D1, only its digest", async () => {
    const token = await addUser("digest@example.org");
    const { results } = await env.DIRECTORY.prepare("SELECT * FROM session").all();
    expect(results.length).toBeGreaterThan(0);
    expect(JSON.stringify(results)).not.toContain(token);
  });

  it("lets the operator in with the password of the environment, and nobody where none is set", async () => {
    const body = { email: "Operator@localhost", password: PASSWORD };
    const hash = await hashPassword(PASSWORD);
    const right = await json("POST", "/api/session", { body, env: { OPERATOR_PASSWORD_HASH: hash } });
    expect(right).toMatchObject({ status: 200, body: { role: "operator", email: "operator@localhost" } });
    expect((await json("POST", "/api/session", { body })).status).toBe(401);
  });

  it("lets an administrator in, who is one no longer when the role is gone", async () => {
    await addDomain("customer.example.org");
    const token = await addCustomer(3, "customer.example.org");
    expect((await json("GET", "/api/domains", { token })).status).toBe(200);
    await env.DIRECTORY.batch([
      env.DIRECTORY.prepare("DELETE FROM credential WHERE role = 3"),
      env.DIRECTORY.prepare("DELETE FROM role WHERE id = 3"),
    ]);
    expect((await json("GET", "/api/domains", { token })).status).toBe(401);
  });

  it("says the same of an unknown login, a login without password, and a wrong password", async () => {
    await asOperator("PUT", "/api/domains/example.org/mailboxes/nologin@example.org", {});
    await addUser("known@example.org");
    const answers = [
      await signIn("nobody@example.org", PASSWORD),
      await signIn("nologin@example.org", PASSWORD),
      await signIn("known@example.org", "wrong password"),
      await signIn("not an address", PASSWORD),
    ];
    for (const { status, body } of answers) {
      expect([status, body.detail]).toEqual([401, "The e-mail address or the password is wrong."]);
    }
  });

  it.each([
    [{ email: "a@example.org" }, "password: is missing"],
    [{ email: "", password: "x" }, "email: must be at least 1 characters"],
    [{ email: "a@example.org", password: "x", remember: true }, "remember: unknown setting"],
  ])("is refused with %j", async (body, sentence) => {
    const answer = await json("POST", "/api/session", { body });
    expect([answer.status, answer.body.detail]).toEqual([422, sentence]);
  });

  it("must wait after five wrong passwords, from that address only", async () => {
    await addUser("guessed@example.org");
    const from = (ip: string) => ({ "cf-connecting-ip": ip });
    for (let i = 0; i < 6; i += 1) await signIn("guessed@example.org", `wrong ${i}`, from("192.0.2.1"));
    const throttled = await call("POST", "/api/session", {
      body: { email: "GUESSED@example.org", password: PASSWORD },
      headers: from("192.0.2.1"),
    });
    expect(throttled.status).toBe(429);
    expect(Number(throttled.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await signIn("guessed@example.org", PASSWORD, from("192.0.2.2"))).status).toBe(200);
  });
});

describe("a session", () => {
  it("ends when one signs out", async () => {
    const token = await addUser("out@example.org");
    const response = await call("DELETE", "/api/session", { token });
    expect(response.status).toBe(204);
    expect(response.headers.get("set-cookie")).toContain("holdfast=; Max-Age=0");
    expect((await json("GET", "/api/session", { token })).status).toBe(401);
  });

  it("ends with its time", async () => {
    const token = await addUser("late@example.org");
    await env.DIRECTORY.prepare("UPDATE session SET expires_at = ?1 WHERE name = 'late@example.org'")
      .bind(Date.now())
      .run();
    expect((await json("GET", "/api/session", { token })).status).toBe(401);
  });

  it("ends when the mailbox is disabled", async () => {
    const token = await addUser("disabled@example.org");
    await env.DIRECTORY.prepare("UPDATE mailbox SET disabled = 1 WHERE address = 'disabled@example.org'").run();
    expect((await json("GET", "/api/session", { token })).status).toBe(401);
    expect((await signIn("disabled@example.org", PASSWORD)).status).toBe(401);
  });

  it("is not what a wrong token opens", async () => {
    for (const token of ["operator-token-of-the-test", "x", "0".repeat(64)]) {
      expect((await json("GET", "/api/domains", { token })).status).toBe(401);
    }
  });

  it("acts with a cookie only for our own pages", async () => {
    const token = await addUser("cookie@example.org");
    const out = (headers: Record<string, string>) =>
      json("DELETE", "/api/session", { headers: { cookie: `holdfast=${token}`, ...headers } });
    for (const foreign of [
      { origin: "https://evil.test" },
      { origin: "null" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site", origin: ORIGIN },
    ]) {
      const { status, body } = await out(foreign as Record<string, string>);
      expect([status, body.detail]).toEqual([403, "This request came from another site; it was not carried out."]);
    }
    expect(
      (await json("GET", "/api/session", { headers: { cookie: `holdfast=${token}`, origin: "https://evil.test" } }))
        .status,
    ).toBe(200);
    expect((await out({ origin: ORIGIN })).status).toBe(204);
  });
});
