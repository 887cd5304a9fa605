import { randomBytes } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type MxAnswer, readMxAnswer } from "../../src/core/protocol/gateway/mx-answer.ts";
import { signRequest } from "../../src/core/protocol/gateway/signature.ts";
import { namedLookup } from "../../src/gateway/destination.ts";
import { findMx } from "../../src/gateway/mx-lookup.ts";
import { listenRelay, type RelayPort } from "../../src/gateway/relay.ts";
import { policyByHttps, StsPolicies } from "../../src/gateway/sts-policies.ts";
import { startNameServer, type Zone } from "../../src/local/kill/name-server.ts";
import { testAuthority, testCertificate } from "../support/authority.ts";
import { RECEIVING } from "./smtp-client.ts";
import { SECRET } from "./worker-double.ts";

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => undefined));

async function startRelay(nameServers: readonly string[]): Promise<RelayPort> {
  const relay = await listenRelay(
    {
      ...RECEIVING,
      worker: new URL("http://127.0.0.1:9"),
      secrets: [SECRET],
      tls: null,
      relay: { host: "127.0.0.1", port: 0, tls: false, privateNames: false, nameServers, mxHostPort: 25 },
    },
    { connections: 10, connectionsPerHost: 10, connectionsPerMx: 10 },
  );
  onTestFinished(() => relay.close());
  return relay;
}

async function get(relay: RelayPort, path: string, signed = path): Promise<Response> {
  const nonce = randomBytes(18).toString("base64url");
  const authorization = await signRequest(SECRET, { method: "GET", path: signed }, Date.now(), nonce);
  return fetch(`http://127.0.0.1:${relay.port}${path}`, { headers: { authorization } });
}

const ZONE: Zone = {
  "two.test": { mx: [[20, "b.two.test"], [10, "a.two.test"]] }, // biome-ignore format: a zone reads by the line
  "null.test": { mx: [[0, "."]] },
  "bare.test": { a: ["192.0.2.1"] },
  "empty.test": { txt: ["no mail here"] },
  "broken.test": "broken",
  "self.test": { mx: [[10, "mx.holdfast.test"]] },
  "literal.test": { mx: [[10, "192.0.2.1"]] },
  "xn--mller-kva.test": { mx: [[10, "mx.other.test"]] },
};

describe("the hosts of a domain, asked for by the Worker", () => {
  const ask = async (domain: string): Promise<MxAnswer | null> => {
    const server = await startNameServer(ZONE);
    onTestFinished(() => server.close());
    const response = await get(await startRelay([server.address]), `/mx?domain=${encodeURIComponent(domain)}`);
    expect(response.status).toBe(200);
    return readMxAnswer(await response.json());
  };
  const hosts = (...list: string[]) => ({
    kind: "hosts",
    hosts: list,
    port: 25,
    tls: "opportunistic",
    self: "mx.holdfast.test",
  });

  it.each<[string, string, object]>([
    ["by their preference", "two.test", hosts("a.two.test", "b.two.test")],
    ["without an MX the domain itself (RFC 5321 §5.1)", "bare.test", hosts("bare.test")],
    ["of a name beyond ASCII", "Müller.test", hosts("mx.other.test")],
    ["a null MX is for good", "null.test", { kind: "refused", code: 556, enhanced: "5.1.10" }],
    ["a domain that does not exist is for good", "nobody.test", { kind: "refused", code: 550, enhanced: "5.1.2" }],
    ["a domain with neither MX nor address is for good", "empty.test", { kind: "refused", enhanced: "5.1.2" }],
    ["what is no domain is for good", "a b", { kind: "refused", enhanced: "5.1.2" }],
    ["our own name is a loop", "self.test", { kind: "refused", code: 554, enhanced: "5.4.6" }],
    ["a name server that fails is our own path", "broken.test", { kind: "unavailable", where: "path" }],
    ["an address in place of a name may be mended", "literal.test", { kind: "unavailable", where: "origin" }],
  ])("%s", async (_name, domain, answer) => expect(await ask(domain)).toMatchObject(answer));

  it("a name server that never answers is our own path too, in bounded time", async () => {
    const absent = Object.assign(new Error("queryMx ETIMEOUT"), { code: "ETIMEOUT" });
    const fails = async () => Promise.reject(absent);
    const lookup = { self: "x.test", port: 25, random: () => 0, now: () => 0 };
    const names = { resolveMx: fails, resolve4: fails, resolve6: fails };
    const policies = new StsPolicies(fails, fails);
    expect(await findMx("any.test", { ...lookup, names, policies })).toMatchObject({
      kind: "unavailable",
      where: "path",
    });
  });

  it("are told to nobody but the Worker", async () => {
    const relay = await startRelay(["127.0.0.1:9"]);
    expect((await fetch(`http://127.0.0.1:${relay.port}/mx?domain=two.test`)).status).toBe(401);
    // A signature for one domain is none for another.
    expect((await get(relay, "/mx?domain=two.test", "/mx?domain=bare.test")).status).toBe(401);
    expect((await get(relay, "/mx")).status).toBe(404);
    expect((await get(relay, "//")).status).toBe(404);
  });
});

const FILE = "version: STSv1\nmode: enforce\nmx: *.sts.test\nmax_age: 86400\n";
const DAY = 86_400_000;

describe("a domain with an MTA-STS policy", () => {
  /** A domain whose name server and web server a test speaks for. */
  function domain() {
    const said = {
      txt: "v=STSv1; id=one;" as string | Error,
      file: FILE as string | Error,
      mx: ["mx.sts.test"],
      fetched: 0,
    };
    const told = (value: string | Error) => (value instanceof Error ? Promise.reject(value) : Promise.resolve(value));
    const policies = new StsPolicies(
      async (name) => (name === "_mta-sts.sts.test" ? [[await told(said.txt)]] : []),
      () => {
        said.fetched++;
        return told(said.file);
      },
    );
    const absent = () => Promise.reject(Object.assign(new Error(), { code: "ENODATA" }));
    const names = {
      resolveMx: async () => said.mx.map((exchange, priority) => ({ exchange, priority })),
      resolve4: absent,
      resolve6: absent,
    };
    const ask = (now: number) =>
      findMx("sts.test", { names, policies, self: "x.test", port: 25, random: () => 0, now: () => now });
    return { said, ask };
  }

  it("is sent to with a verified certificate, and to no host that its policy does not name", async () => {
    const { said, ask } = domain();
    said.mx = ["evil.test", "mx.sts.test"];
    expect(await ask(0)).toMatchObject({ hosts: ["mx.sts.test"], tls: "verified" });
    said.mx = ["evil.test"];
    expect(await ask(1)).toMatchObject({
      kind: "unavailable",
      where: "origin",
      detail: expect.stringContaining("MTA-STS"),
    });
    expect(said.fetched).toBe(1);
  });

  it("whose policy is for testing, or none, binds nobody", async () => {
    for (const mode of ["testing", "none"]) {
      const { said, ask } = domain();
      said.file = FILE.replace("enforce", mode);
      said.mx = ["evil.test"];
      expect(await ask(0)).toMatchObject({ hosts: ["evil.test"], tls: "opportunistic" });
    }
  });

  it("keeps its policy when record and web server are gone, until its time is over", async () => {
    const { said, ask } = domain();
    await ask(0);
    said.txt = Object.assign(new Error("no answer"), { code: "ETIMEOUT" });
    said.file = new Error("no answer");
    expect(await ask(DAY - 1)).toMatchObject({ tls: "verified" });
    expect(await ask(DAY + 1)).toMatchObject({ tls: "opportunistic" });
  });

  it("has a new policy when its record has a new id, and the old one while the new cannot be had", async () => {
    const { said, ask } = domain();
    await ask(0);
    said.txt = "v=STSv1; id=two;";
    said.file = new Error("broken");
    expect(await ask(1)).toMatchObject({ tls: "verified" });
    // Not with each message: the web server has five minutes.
    await ask(2);
    expect(said.fetched).toBe(2);
    said.file = FILE.replace("enforce", "none");
    expect(await ask(1 + 5 * 60_000)).toMatchObject({ tls: "opportunistic" });
    expect(said.fetched).toBe(3);
  });

  it("whose policy cannot be had the first time is sent to as if it had none", async () => {
    const { said, ask } = domain();
    said.file = "<html>";
    expect(await ask(0)).toMatchObject({ tls: "opportunistic" });
    said.file = FILE;
    expect(await ask(5 * 60_000)).toMatchObject({ tls: "verified" });
  });
});

it("a domain with a policy on the web is told to the Worker as one whose certificate counts", async () => {
  const web = createServer(testCertificate("policy"), (_request, response) =>
    response.writeHead(200, { "content-type": "text/plain" }).end(FILE),
  );
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void web.close());
  const names = await startNameServer({
    "sts.test": {
      mx: [
        [10, "evil.test"],
        [20, "mx.sts.test"],
      ],
    },
    "_mta-sts.sts.test": { txt: ["v=STSv1; id=20261124T000000;"] },
    "mta-sts.sts.test": { a: ["127.0.0.1"] },
  });
  onTestFinished(() => names.close());
  const { port } = web.address() as AddressInfo;
  const relay = await listenRelay(
    {
      ...RECEIVING,
      worker: new URL("http://127.0.0.1:9"),
      secrets: [SECRET],
      tls: null,
      relay: {
        host: "127.0.0.1",
        port: 0,
        tls: false,
        privateNames: true,
        nameServers: [names.address],
        mxHostPort: 25,
      },
    },
    { connections: 1, connectionsPerHost: 1, connectionsPerMx: 1, policies: { port, ca: testAuthority() } },
  );
  onTestFinished(() => relay.close());
  const answer = readMxAnswer(await (await get(relay, "/mx?domain=sts.test")).json());
  expect(answer).toMatchObject({ kind: "hosts", hosts: ["mx.sts.test"], tls: "verified" });
});

describe("a policy file over HTTPS", () => {
  async function web(
    certificate: "policy" | "trusted",
    answer: { status?: number; type?: string; body?: string; location?: string },
  ) {
    const { status = 200, type = "text/plain", body = FILE, location } = answer;
    const asked: string[] = [];
    const server = createServer(testCertificate(certificate), (request, response) => {
      asked.push(`${request.headers.host} ${request.url}`);
      response.writeHead(status, { "content-type": type, ...(location ? { location } : {}) }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const names = await startNameServer({ "mta-sts.sts.test": { a: ["127.0.0.1"] } });
    onTestFinished(() => names.close());
    const { port } = server.address() as AddressInfo;
    const fetched = policyByHttps({ lookup: namedLookup([names.address]), port, ca: testAuthority() })("sts.test");
    return { asked, fetched };
  }

  it("is fetched from the name that the standard fixes", async () => {
    const { asked, fetched } = await web("policy", { type: "text/plain; charset=utf-8" });
    expect(await fetched).toBe(FILE);
    expect(asked).toEqual([expect.stringMatching(/^mta-sts\.sts\.test:\d+ \/\.well-known\/mta-sts\.txt$/)]);
  });

  it.each<[string, Parameters<typeof web>[0], Parameters<typeof web>[1], RegExp]>([
    ["a certificate for another name", "trusted", {}, /altnames|does not match/i],
    ["a redirect, which must not be followed", "policy", { status: 301, location: "https://localhost/" }, /status 301/],
    ["a page that is not there", "policy", { status: 404 }, /status 404/],
    ["a page of HTML", "policy", { type: "text/html" }, /text\/plain/],
    ["a file without an end", "policy", { body: "x".repeat(70_000) }, /more than/],
  ])("%s is no policy", async (_name, certificate, answer, why) => {
    const { fetched } = await web(certificate, answer);
    await expect(fetched).rejects.toThrow(why);
  });
});
