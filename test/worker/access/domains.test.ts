import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { addCustomer, addDomain, asOperator, json, ORIGIN_SETTINGS } from "./client.ts";

const detail = async (path: string, body: unknown, token?: string): Promise<unknown> => {
  const answer = await (token ? json("PUT", path, { token, body }) : asOperator("PUT", path, body));
  return [answer.status, answer.body.detail];
};

describe("a domain", () => {
  it("is created with continuity, shown without its password, and changed in part", async () => {
    const origin = { ...ORIGIN_SETTINGS, username: "holdfast", password: "of the origin" };
    const created = await asOperator("PUT", "/api/domains/First.Example.ORG", { continuity: true, origin });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({
      domain: "first.example.org",
      continuity: true,
      coverage: "all",
      switching: "manual",
      mode: "normal",
      backlog: { waiting: 0, refused: 0 },
      origin: {
        transport: "smtp",
        host: "mail.example.org",
        port: 465,
        tls: "implicit",
        username: "holdfast",
        passwordSet: true,
      },
    });
    expect(JSON.stringify(created.body)).not.toContain("of the origin");

    const changed = await asOperator("PUT", "/api/domains/first.example.org", { coverage: "selected" });
    expect(changed.status).toBe(200);
    expect(changed.body).toMatchObject({ continuity: true, coverage: "selected", origin: created.body.origin });

    const row = await env.DIRECTORY.prepare(
      "SELECT version, route, route_encrypted, key_id FROM domain WHERE name = ?1",
    )
      .bind("first.example.org")
      .first<{ version: number; route: string; route_encrypted: string; key_id: string }>();
    expect(row).toMatchObject({ version: 2, key_id: "k1" });
    expect(row?.route).not.toContain("of the origin");
    expect(atob(row?.route_encrypted ?? "")).not.toContain("of the origin");
  });

  it("has an account of the panel's on shard 0, for mail to postmaster and abuse", async () => {
    await addDomain("panel.example.org");
    const row = await env.SHARD_0.prepare("SELECT domain FROM account WHERE id < 0 ORDER BY id LIMIT 1").first();
    const id = await env.DIRECTORY.prepare("SELECT id FROM domain WHERE name = 'panel.example.org'").first("id");
    expect(row).toEqual({ domain: id });
  });

  it("needs the mail server that it stands in for", async () => {
    expect(await detail("/api/domains/none.example.org", { continuity: true })).toEqual([
      422,
      "origin: is missing: continuity needs the mail server that it stands in for (host, port, tls)",
    ]);
    expect((await asOperator("GET", "/api/domains/none.example.org")).status).toBe(404);
  });

  it.each([
    [{ colour: "red" }, "colour: unknown setting"],
    [{ origin: { ...ORIGIN_SETTINGS, prot: 25 } }, "origin.prot: unknown setting"],
    [{ coverage: "some" }, "coverage: must be one of: all, selected"],
    [{ switching: "auto" }, "switching: must be one of: manual, automatic"],
    [{ continuity: "yes" }, "continuity: must be true or false"],
    [{ origin: { port: 465 } }, "origin.host: is missing: name the host of the mail server"],
    [{ origin: { host: "mail example" } }, "origin.host: is not a host name or IP address"],
    [{ origin: { host: "mail.example.org:465" } }, "origin.host: is not a host name or IP address"],
    [{ origin: { ...ORIGIN_SETTINGS, port: 70_000 } }, "origin.port: must be a whole number from 1 to 65535"],
    [{ origin: { ...ORIGIN_SETTINGS, port: "465" } }, "origin.port: must be a whole number from 1 to 65535"],
    [
      { origin: { ...ORIGIN_SETTINGS, port: 25 } },
      "origin.port: cannot be 25: Cloudflare Workers cannot open port 25. Use 465, 587 or another port, or the transport gateway, which can",
    ],
    [{ origin: { ...ORIGIN_SETTINGS, tls: "ssl" } }, "origin.tls: must be one of: implicit, starttls, none"],
    [
      { origin: { ...ORIGIN_SETTINGS, username: "u" } },
      "origin.password: is missing: it must be given with the username, and again when the server changes",
    ],
    [{ origin: { ...ORIGIN_SETTINGS, password: "p" } }, "origin.username: is missing: a password needs one"],
    [{ postmaster: "nobody@bad.example.org" }, "postmaster: must be the address of a mailbox of this domain"],
  ])("is refused with %j", async (body, sentence) => {
    expect(await detail("/api/domains/bad.example.org", body)).toEqual([422, sentence]);
    expect((await asOperator("GET", "/api/domains/bad.example.org")).status).toBe(404);
  });

  it("is refused with a name that is none, a body that is not JSON, and a body of another kind", async () => {
    expect(await detail("/api/domains/not%20a%20domain", {})).toEqual([
      422,
      'domain: "not a domain" is not a domain name',
    ]);
    expect(await detail("/api/domains/localnet", {})).toEqual([422, 'domain: "localnet" is not a domain name']);
    expect(await detail("/api/domains/bad.example.org", "{")).toEqual([400, "The body is not JSON."]);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const { status, body } = await json("PUT", "/api/domains/bad.example.org", {
      token: "operator-token-of-the-tests",
      body: "continuity=true",
      headers: form,
    });
    expect([status, body.detail]).toEqual([415, "Say what the body is: Content-Type: application/json."]);
  });

  it("does not hand its stored password to another server, nor in clear", async () => {
    const path = "/api/domains/kept.example.org";
    const origin = { ...ORIGIN_SETTINGS, username: "u", password: "p" };
    const missing = [
      422,
      "origin.password: is missing: it must be given with the username, and again when the server changes",
    ];
    await asOperator("PUT", path, { continuity: true, origin });
    const moved = await asOperator("PUT", path, { origin: { port: 587, tls: "starttls" } });
    expect(moved.body.origin).toMatchObject({ port: 587, tls: "starttls", username: "u", passwordSet: true });
    expect(await detail(path, { origin: { tls: "none" } })).toEqual(missing);
    expect(await detail(path, { origin: { username: "v" } })).toEqual(missing);
    expect(await detail(path, { origin: { host: "elsewhere.example.net", username: "u" } })).toEqual(missing);
    const elsewhere = await asOperator("PUT", path, { origin: { host: "elsewhere.example.net" } });
    expect(elsewhere.body.origin).toEqual({
      transport: "smtp",
      host: "elsewhere.example.net",
      port: 465,
      tls: "implicit",
      passwordSet: false,
    });
  });
});

describe("an administrator", () => {
  it("may neither name a private host, nor set switching to automatic, nor add a domain", async () => {
    await addDomain("theirs.example.org");
    const token = await addCustomer(7, "theirs.example.org");
    const path = "/api/domains/theirs.example.org";
    for (const host of [
      "localhost",
      "127.0.0.1",
      "2130706433",
      "0x7f.1",
      "[::1]",
      "::ffff:10.0.0.1",
      "printer.local",
      "fd00::1",
    ]) {
      expect(await detail(path, { origin: { host } }, token), host).toEqual([
        422,
        "origin.host: is a loopback or private address, which only an operator may set",
      ]);
    }
    expect(await detail(path, { switching: "automatic" }, token)).toEqual([
      403,
      "switching: only an operator may set it to automatic.",
    ]);
    expect(await detail("/api/domains/another.example.org", {}, token)).toEqual([
      404,
      "There is no domain another.example.org.",
    ]);
    expect((await json("PUT", path, { token, body: { coverage: "selected" } })).status).toBe(200);
    expect((await asOperator("PUT", path, { switching: "automatic", origin: { host: "127.0.0.1" } })).status).toBe(200);
  });

  it("sees in the list only the domains of their customer", async () => {
    await addDomain("mine.example.org");
    await addDomain("others.example.org");
    const token = await addCustomer(8, "mine.example.org");
    const { body } = await json("GET", "/api/domains", { token });
    expect(body).toMatchObject({ items: [{ domain: "mine.example.org" }], next: null });
  });
});

describe("the list of domains", () => {
  it("comes in pages", async () => {
    for (const name of ["p1.example.net", "p2.example.net", "p3.example.net"]) await addDomain(name);
    const first = await asOperator("GET", "/api/domains?limit=2&cursor=p0");
    expect(first.body).toMatchObject({ items: [{ domain: "p1.example.net" }, { domain: "p2.example.net" }] });
    const second = await asOperator("GET", `/api/domains?limit=1&cursor=${String(first.body.next)}`);
    expect(second.body).toMatchObject({ items: [{ domain: "p3.example.net" }] });
    expect((await asOperator("GET", "/api/domains?limit=0")).body.detail).toBe(
      "limit: must be a whole number from 1 to 200",
    );
    expect((await asOperator("GET", "/api/domains?page=2")).body.detail).toBe("page: unknown setting");
  });
});
