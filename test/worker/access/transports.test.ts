/** How mail gets to the origin: which routes may be, and what is said of those that may not. */
import { beforeAll, describe, expect, it } from "vitest";
import { addCustomer, addDomain, asOperator, call, json, OPERATOR, ORIGIN, ORIGIN_SETTINGS } from "./client.ts";

const PATH = "/api/domains/example.org";
const gateways = { GATEWAYS: " https://gw1.example.net , https://gw2.example.net" };
const noGateways = { GATEWAYS: "" };
const FORWARD = { transport: "forward", via: "smtp", forwardDomain: "inside.example.org" };

async function put(origin: object, path = PATH, env: { GATEWAYS?: string } = noGateways, token = OPERATOR) {
  const { status, body } = await json("PUT", path, { token, body: { origin }, env });
  return { status, detail: body.detail, origin: body.origin as Record<string, unknown> | undefined };
}
const stored = async (path = PATH) => (await asOperator("GET", path)).body.origin;

beforeAll(() => addDomain("example.org"));

describe("the transport gateway", () => {
  it("is by default on port 25 with STARTTLS, and is shown again", async () => {
    const path = "/api/domains/gateway.example.org";
    const { status, origin } = await put({ transport: "gateway", host: "mx.gateway.example.org" }, path, gateways);
    const expected = {
      transport: "gateway",
      host: "mx.gateway.example.org",
      port: 25,
      tls: "starttls",
      passwordSet: false,
    };
    expect([status, origin]).toEqual([201, expected]);
    expect(await stored(path)).toEqual(expected);
  });

  it("may have any port, and keeps the login of the same server when the transport changes", async () => {
    const path = "/api/domains/moved.example.org";
    const login = { username: "relay", password: "secret" };
    await put({ host: "mx.moved.example.org", port: 587, ...login }, path);
    const { origin } = await put({ transport: "gateway" }, path, gateways);
    expect(origin).toMatchObject({
      transport: "gateway",
      port: 587,
      tls: "starttls",
      username: "relay",
      passwordSet: true,
    });
    const to25 = await put({ port: 25 }, path, gateways);
    expect(to25.origin).toMatchObject({ transport: "gateway", port: 25, passwordSet: true });
    expect(await put({ transport: "smtp" }, path, gateways)).toMatchObject({
      status: 422,
      detail:
        "origin.port: cannot be 25: Cloudflare Workers cannot open port 25. Use 465, 587 or another port, or the transport gateway, which can",
    });
    expect((await put({ transport: "smtp", port: 465 }, path)).origin).toMatchObject({
      transport: "smtp",
      tls: "implicit",
    });
  });
});

describe("the transport forward", () => {
  it("needs a way beside it and a domain to forward to, and is shown again", async () => {
    const path = "/api/domains/forward.example.org";
    const { status, origin } = await put({ ...ORIGIN_SETTINGS, ...FORWARD }, path);
    const expected = { ...ORIGIN_SETTINGS, ...FORWARD, passwordSet: false };
    expect([status, origin]).toEqual([201, expected]);
    expect(await stored(path)).toEqual(expected);
    expect((await put({ forwardDomain: " BÜCHER.Example.ORG " }, path)).origin).toMatchObject({
      ...FORWARD,
      forwardDomain: "xn--bcher-kva.example.org",
    });
  });

  it("over a gateway is by default on port 25", async () => {
    const path = "/api/domains/both.example.org";
    const { origin } = await put({ ...FORWARD, via: "gateway", host: "mx.both.example.org" }, path, gateways);
    expect(origin).toMatchObject({ transport: "forward", via: "gateway", port: 25, tls: "starttls" });
  });

  it("leaves nothing behind when another transport is chosen", async () => {
    const path = "/api/domains/left.example.org";
    await put({ ...ORIGIN_SETTINGS, ...FORWARD }, path);
    expect((await put({ transport: "smtp" }, path)).origin).toEqual({
      transport: "smtp",
      ...ORIGIN_SETTINGS,
      passwordSet: false,
    });
    expect(await put({ transport: "forward" }, path)).toMatchObject({ status: 422 });
  });
});

describe("a route is refused, and nothing is changed,", () => {
  const missing = "is missing: ";
  const circle = "its mail comes here, so what is forwarded would go in a circle. Name one that your server serves";
  it.each([
    [
      { transport: "gateway" },
      "origin.transport: cannot be gateway, for this service has no gateway: use smtp, on any port but 25",
    ],
    [
      { ...FORWARD, via: "gateway" },
      "origin.via: cannot be gateway, for this service has no gateway: use smtp, on any port but 25",
    ],
    [
      { ...FORWARD, via: undefined },
      `origin.via: ${missing}forward cannot redeliver, so name the way that probes and redelivery take beside it, smtp or gateway`,
    ],
    [
      { ...FORWARD, forwardDomain: undefined },
      `origin.forwardDomain: ${missing}name the domain that mail is forwarded to, such as one that only your mail server serves`,
    ],
    [{ ...FORWARD, via: "forward" }, "origin.via: must be one of: smtp, gateway"],
    [{ ...FORWARD, forwardDomain: "" }, "origin.forwardDomain: is missing"],
    [{ ...FORWARD, forwardDomain: "not a domain" }, "origin.forwardDomain: is not a domain name"],
    [{ ...FORWARD, forwardDomain: "inside" }, "origin.forwardDomain: is not a domain name"],
    [{ ...FORWARD, forwardDomain: "Example.ORG" }, `origin.forwardDomain: cannot be example.org: ${circle}`],
    [
      { ...FORWARD, forwardDomain: "covered.example.net" },
      `origin.forwardDomain: cannot be covered.example.net: ${circle}`,
    ],
    [{ ...FORWARD, forwardDomain: "mx.holdfast.test" }, `origin.forwardDomain: cannot be mx.holdfast.test: ${circle}`],
    [
      { transport: "smtp", via: "smtp" },
      "origin.via: goes with the transport forward only: leave it out, or use forward",
    ],
    [
      { forwardDomain: "inside.example.org" },
      "origin.forwardDomain: goes with the transport forward only: leave it out, or use forward",
    ],
  ])("%j", async (change, sentence) => {
    await addDomain("covered.example.net").catch(() => undefined);
    const before = await stored();
    expect(await put(change)).toMatchObject({ status: 422, detail: sentence });
    expect(await stored()).toEqual(before);
  });

  it("where an empty list, or one that cannot be read, stands for no gateway", async () => {
    for (const GATEWAYS of ["", " ", ",", "gw1.example.net"]) {
      expect((await put({ transport: "gateway" }, PATH, { GATEWAYS })).status, GATEWAYS).toBe(422);
    }
  });
});

describe("a domain that mail is forwarded to", () => {
  it("cannot become one whose mail comes here", async () => {
    await put(
      { ...ORIGIN_SETTINGS, ...FORWARD, forwardDomain: "taken.example.org" },
      "/api/domains/source.example.org",
    );
    const { status, body } = await asOperator("PUT", "/api/domains/Taken.example.org", {});
    expect([status, body.detail]).toEqual([
      422,
      "domain: taken.example.org cannot be added: the mail of source.example.org is forwarded to it, which would go in a circle. Forward that mail elsewhere first",
    ]);
    expect((await asOperator("GET", "/api/domains/taken.example.org")).status).toBe(404);
    await put({ transport: "smtp" }, "/api/domains/source.example.org");
    expect((await asOperator("PUT", "/api/domains/taken.example.org", {})).status).toBe(201);
  });
});

describe("the panel", () => {
  const FORM = { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN };
  const post = (path: string, fields: Record<string, string>, env = {}, token = OPERATOR) =>
    call("POST", path, { token, body: new URLSearchParams(fields).toString(), headers: FORM, env });
  const FIELDS = { host: "mail.panel.example.org", port: "465", tls: "implicit", via: "smtp", forwardDomain: "" };

  it("sets each transport; the fields of forwarding mean nothing with the others", async () => {
    const path = "/api/domains/panel.example.org";
    const page = "/panel/domains/panel.example.org";
    await post("/panel", { ...FIELDS, domain: "panel.example.org", transport: "smtp" });
    expect(await stored(path)).toMatchObject({ transport: "smtp", port: 465 });
    const forward = { ...FIELDS, continuity: "true", transport: "forward", forwardDomain: "inside.panel.example.org" };
    expect((await post(page, forward)).status).toBe(303);
    expect(await stored(path)).toMatchObject({
      transport: "forward",
      via: "smtp",
      forwardDomain: "inside.panel.example.org",
    });
    expect((await post(page, { ...forward, transport: "gateway", port: "25", tls: "starttls" }, gateways)).status).toBe(
      303,
    );
    expect(await stored(path)).toEqual({
      transport: "gateway",
      host: "mail.panel.example.org",
      port: 25,
      tls: "starttls",
      passwordSet: false,
    });
  });

  it("says what is missing beside what was typed", async () => {
    await addDomain("typed.example.org");
    const page = "/panel/domains/typed.example.org";
    const answer = await post(page, {
      ...FIELDS,
      transport: "forward",
      host: "typed-host.example.org",
      continuity: "true",
    });
    const text = await answer.text();
    expect(answer.status).toBe(422);
    expect(text).toContain("<b>Forward to the domain </b>is missing");
    expect(text).toContain('value="typed-host.example.org"');
    expect(text).toMatch(/<option value="forward" selected/);
  });

  it("takes an emptied field for a missing one, not for one that stays as it was", async () => {
    await addDomain("emptied.example.org");
    await put(FORWARD, "/api/domains/emptied.example.org");
    const emptied = { ...FIELDS, transport: "forward", continuity: "true" };
    const answer = await post("/panel/domains/emptied.example.org", emptied);
    expect(answer.status).toBe(422);
    expect(await answer.text()).toContain("<b>Forward to the domain </b>is missing");
    expect(await stored("/api/domains/emptied.example.org")).toMatchObject(FORWARD);
  });

  it("shows the route that is set", async () => {
    await addDomain("shown.example.org");
    await put(FORWARD, "/api/domains/shown.example.org");
    const text = await (await call("GET", "/panel/domains/shown.example.org", { token: OPERATOR })).text();
    expect(text).toMatch(/<option value="forward" selected/);
    expect(text).toContain('value="inside.example.org"');
  });
});

it("an administrator may set each transport of their own domain", async () => {
  await addDomain("administered.example.org");
  const path = "/api/domains/administered.example.org";
  const token = await addCustomer(21, "administered.example.org");
  expect((await put(FORWARD, path, noGateways, token)).status).toBe(200);
  expect((await put({ transport: "gateway", port: 25 }, path, gateways, token)).status).toBe(200);
});
