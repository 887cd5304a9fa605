import { beforeAll, describe, expect, it } from "vitest";
import { addCustomer, addDomain, addUser, asOperator, call, OPERATOR, ORIGIN, PASSWORD } from "./client.ts";

beforeAll(() => addDomain("example.org"));

const FORM = { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN };
const post = (path: string, fields: Record<string, string>, token?: string) =>
  call("POST", path, { token, body: new URLSearchParams(fields).toString(), headers: FORM });
const get = async (path: string, token?: string) => {
  const response = await call("GET", path, { token });
  return {
    status: response.status,
    location: response.headers.get("location"),
    text: await response.text(),
    headers: response.headers,
  };
};

describe("the first page", () => {
  it("sends each role where it belongs", async () => {
    const user = await addUser("role@example.org");
    expect((await get("/")).location).toBe("/login");
    expect((await get("/", OPERATOR)).location).toBe("/panel");
    expect((await get("/", user)).location).toBe("/mail");
  });
});

describe("the sign-in page", () => {
  it("signs in by a form and goes back to where one wanted to go", async () => {
    await addUser("form@example.org");
    expect((await get("/panel/domains/example.org?x=1")).location).toBe(
      "/login?next=%2Fpanel%2Fdomains%2Fexample.org%3Fx%3D1",
    );
    const response = await post("/login", { email: "form@example.org", password: PASSWORD, next: "/mail?x=1" });
    expect([response.status, response.headers.get("location")]).toEqual([303, "/mail?x=1"]);
    expect(response.headers.get("set-cookie")).toContain("holdfast=");
  });

  it("never sends anyone to another site", async () => {
    await addUser("redirect@example.org");
    for (const next of [
      "https://evil.test/",
      "//evil.test/",
      "/\\evil.test",
      "\\\\evil.test",
      "javascript:alert(1)",
      "/\t/evil.test",
    ]) {
      const response = await post("/login", { email: "redirect@example.org", password: PASSWORD, next });
      expect(response.headers.get("location"), next).toBe("/");
    }
  });

  it("says that the login is wrong, keeps the address and never the password", async () => {
    const response = await post("/login", { email: "who@example.org", password: "wrong password" });
    const text = await response.text();
    expect(response.status).toBe(401);
    expect(text).toContain("The e-mail address or the password is wrong.");
    expect(text).toContain('value="who@example.org"');
    expect(text).not.toContain("wrong password");
  });
});

describe("every page", () => {
  it("has no script of a person's, none at all but where it has live parts, a policy that says so, and is small", async () => {
    for (const path of [
      "/login",
      "/panel",
      "/panel/domains/example.org",
      "/panel/domains/example.org/mode?to=emergency",
      "/nowhere",
    ]) {
      const { text, headers } = await get(path, OPERATOR);
      expect(headers.get("content-security-policy"), path).toContain("default-src 'none'; style-src 'self'");
      expect(headers.get("cache-control"), path).toBe("no-store");
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
      expect(text, path).toMatch(/^<!DOCTYPE html>/i);
      const scripts = text.match(/<script[^>]*>.*?<\/script>/gis) ?? [];
      const live = path === "/panel/domains/example.org";
      const ours = '<script src="/live.js" data-events="/api/domains/example.org/events/stream"></script>';
      expect(scripts, path).toEqual(live ? [ours] : []);
      const policy = headers.get("content-security-policy")?.split("; ") ?? [];
      const more = policy.filter((one) => /^(script|connect)-src/.test(one));
      expect(more, path).toEqual(live ? ["script-src 'self'", "connect-src 'self'"] : []);
      expect(text, path).not.toMatch(/<style| style=| on[a-z]+=/i);
      expect(text.length, path).toBeLessThan(30_000);
    }
  });

  it("of the panel is closed to users and to other customers' administrators", async () => {
    const user = await addUser("closed@example.org");
    await addDomain("other.example.net");
    const stranger = await addCustomer(5, "other.example.net");
    const paths = ["", "/mode?to=emergency", "/mailboxes/closed@example.org"].map(
      (tail) => `/panel/domains/example.org${tail}`,
    );
    for (const path of paths) {
      expect((await get(path, user)).status, path).toBe(403);
      expect((await get(path, stranger)).status, path).toBe(404);
    }
    for (const path of [
      "",
      "/mode",
      "/mailboxes",
      "/mailboxes/closed@example.org",
      "/mailboxes/closed@example.org/remove",
    ]) {
      expect((await post(`/panel/domains/example.org${path}`, {}, user)).status, path).toBe(403);
      expect((await post(`/panel/domains/example.org${path}`, {}, stranger)).status, path).toBe(404);
    }
    expect((await get("/panel", user)).status).toBe(403);
    expect((await get("/mail", OPERATOR)).status).toBe(403);
  });

  it("refuses a form that another site has sent with our cookie", async () => {
    const response = await call("POST", "/panel/domains/example.org/mode", {
      headers: { ...FORM, origin: "https://evil.test", cookie: `holdfast=${OPERATOR}` },
      body: "mode=emergency",
    });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("This request came from another site; it was not carried out.");
  });
});

describe("the panel", () => {
  it("adds a domain, and says what is wrong with one that cannot be", async () => {
    const wrong = await post(
      "/panel",
      { domain: "form.example.org", host: "mail.example.org", port: "25", tls: "implicit" },
      OPERATOR,
    );
    expect(wrong.status).toBe(422);
    const text = await wrong.text();
    expect(text).toContain("Cloudflare Workers cannot open port 25");
    expect(text).toContain('value="form.example.org"');
    const right = await post(
      "/panel",
      { domain: "form.example.org", host: "mail.example.org", port: "465", tls: "implicit" },
      OPERATOR,
    );
    expect(right.headers.get("location")).toBe("/panel/domains/form.example.org");
    expect((await asOperator("GET", "/api/domains/form.example.org")).body).toMatchObject({ continuity: true });
  });

  it("registers, changes and removes a mailbox", async () => {
    const path = "/panel/domains/example.org/mailboxes";
    const added = await post(
      path,
      { address: "paula", aliases: "p, pauline", "login-password": PASSWORD, covered: "true" },
      OPERATOR,
    );
    expect(added.headers.get("location")).toBe("/panel/domains/example.org?done=mailbox");
    expect((await get("/panel/domains/example.org", OPERATOR)).text).toContain("paula@example.org");
    const again = await post(path, { address: "paula@example.org" }, OPERATOR);
    expect(await again.text()).toContain("is registered already");
    const short = await post(`${path}/paula@example.org`, { "login-password": "short", aliases: "p" }, OPERATOR);
    expect(await short.text()).toContain("must have at least 8 characters");
    await post(`${path}/paula@example.org`, { aliases: "p" }, OPERATOR);
    expect((await asOperator("GET", "/api/domains/example.org/mailboxes/paula@example.org")).body).toMatchObject({
      aliases: ["p@example.org"],
      covered: false,
      login: true,
    });
    await post(`${path}/paula@example.org/remove`, {}, OPERATOR);
    expect((await asOperator("GET", "/api/domains/example.org/mailboxes/paula@example.org")).status).toBe(404);
  });

  it("shows what an address says as text, never as markup", async () => {
    const response = await post("/panel", { domain: '"><img src=x>', host: "<b>", port: "1" }, OPERATOR);
    const text = await response.text();
    expect(text).not.toContain("<img src=x>");
    expect(text).not.toContain("<b>&lt;");
    expect(text).toContain("&lt;img src=x&gt;");
  });
});
