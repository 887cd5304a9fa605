import { env } from "cloudflare:test";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { RELAY_LOGIN } from "../../../src/worker/submission/login.ts";
import { addCustomer, addDomain, asOperator, json } from "./client.ts";

const PATH = "/api/domains/example.org/relays";
let administrator: string;
beforeAll(async () => {
  await addDomain("example.org");
  await addDomain("second.example");
  await addDomain("stranger.example");
  administrator = await addCustomer(1, "example.org");
  await env.DIRECTORY.prepare("UPDATE domain SET customer = 1 WHERE name = 'second.example'").run();
});
beforeEach(async () => {
  await env.DIRECTORY.exec("DELETE FROM relay");
});

const asAdministrator = (method: string, path: string, body?: unknown) =>
  json(method, path, { token: administrator, ...(body === undefined ? {} : { body }) });
const errors = (body: unknown) => (body as { errors: unknown }).errors;

it("a login is made for a server, and its password shown once", async () => {
  const { status, body } = await asAdministrator("POST", PATH, { login: true, label: "the one in the cellar" });
  expect(status).toBe(201);
  expect(body).toMatchObject({ kind: "login", subject: "the one in the cellar", senders: ["example.org"] });
  expect(body.username).toMatch(RELAY_LOGIN);
  expect(body.password).toMatch(/^[a-z2-7]{32}$/);
  const listed = await asAdministrator("GET", PATH);
  const { password: _, ...rest } = body;
  expect(listed.body).toEqual({ items: [rest], next: null });
  const stored = await env.DIRECTORY.prepare("SELECT * FROM relay").first();
  expect(JSON.stringify(stored)).not.toContain(body.password);
});

it("a server is known by its address or by its certificate, however they are written", async () => {
  const address = await asAdministrator("POST", PATH, { address: "198.41.0.77/28" });
  expect(address).toMatchObject({ status: 201, body: { kind: "address", address: "198.41.0.64/28" } });
  const print = "AB".repeat(32).replace(/..(?!$)/g, "$&:");
  const certificate = await asAdministrator("POST", PATH, { certificate: print });
  expect(certificate).toMatchObject({ status: 201, body: { kind: "certificate", certificate: "ab".repeat(32) } });
  expect(address.body).not.toHaveProperty("password");
});

it.each<[string, object, object]>([
  ["nothing to know it by", {}, { field: "" }],
  ["two things to know it by", { login: true, address: "198.41.0.1" }, { field: "" }],
  ["no address", { address: "mail.example.org" }, { field: "address" }],
  ["half the world", { address: "198.0.0.0/8" }, { field: "address", message: expect.stringContaining("/24") }],
  [
    "an address that is everybody's",
    { address: "10.0.0.1" },
    { field: "address", message: expect.stringContaining("operator") },
  ],
  ["no fingerprint", { certificate: "abc" }, { field: "certificate" }],
  ["a domain of somebody else's", { login: true, senders: ["stranger.example"] }, { field: "senders.0" }],
  ["a domain that is not here", { login: true, senders: ["gmail.com"] }, { field: "senders.0" }],
])("%s is refused, and the field is named", async (_name, wanted, field) => {
  const { status, body } = await asAdministrator("POST", PATH, wanted);
  expect(status).toBe(422);
  expect(errors(body)).toMatchObject([field]);
  expect((await asAdministrator("GET", PATH)).body.items).toEqual([]);
});

it("an operator may name a private address: only they know what the gateways see", async () => {
  expect((await asOperator("POST", PATH, { address: "10.0.0.0/24" })).status).toBe(201);
});

it("a server may send for several domains of the same customer", async () => {
  const { body } = await asAdministrator("POST", PATH, { login: true, senders: ["Second.Example", "example.org"] });
  expect(body.senders).toEqual(["example.org", "second.example"]);
});

it("taken away it is gone, by whoever runs the domain and nobody else", async () => {
  const { body } = await asAdministrator("POST", PATH, { login: true });
  const other = "/api/domains/second.example/relays";
  expect((await asAdministrator("DELETE", `${other}/${body.id}`)).status).toBe(404);
  expect((await asAdministrator("DELETE", `/api/domains/stranger.example/relays/${body.id}`)).status).toBe(404);
  expect((await asAdministrator("GET", "/api/domains/stranger.example/relays")).status).toBe(404);
  expect((await asAdministrator("DELETE", `${PATH}/${body.id}`)).status).toBe(204);
  expect((await asAdministrator("DELETE", `${PATH}/${body.id}`)).status).toBe(404);
  expect((await asAdministrator("GET", PATH)).body.items).toEqual([]);
});

it("the log says who let a server send and who took it away, without its password", async () => {
  const { body } = await asAdministrator("POST", PATH, { login: true });
  await asOperator("DELETE", `${PATH}/${body.id}`);
  const events = (await asOperator("GET", "/api/domains/example.org/events")).body.items as {
    kind: string;
    actor: string;
  }[];
  expect(events.slice(0, 2)).toMatchObject([
    { kind: "relay_removed", actor: "token" },
    { kind: "relay_added", actor: "admin@customer-1.test" },
  ]);
  expect(JSON.stringify(events)).not.toContain(body.password);
});

it("there is an end to how many", async () => {
  const insert =
    "INSERT INTO relay (domain, kind, value, senders, label, actor, created_at) VALUES (1, 'address', ?1, '[]', '', '', 0)";
  await env.DIRECTORY.batch(
    Array.from({ length: 50 }, (_, at) => env.DIRECTORY.prepare(insert).bind(`198.41.0.${at}/32`)),
  );
  expect(await asAdministrator("POST", PATH, { login: true })).toMatchObject({
    status: 409,
    body: { code: "too_many_relays" },
  });
});
