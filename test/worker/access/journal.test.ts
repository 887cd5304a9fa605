import { env } from "cloudflare:test";
import { beforeAll, beforeEach, expect, it } from "vitest";
import { addCustomer, addDomain, asOperator, json } from "./client.ts";

const PATH = "/api/domains/example.org/journal-addresses";
let administrator: string;
beforeAll(async () => {
  await addDomain("example.org");
  await addDomain("second.example");
  await addDomain("stranger.example");
  administrator = await addCustomer(1, "example.org");
  await env.DIRECTORY.prepare("UPDATE domain SET customer = 1 WHERE name = 'second.example'").run();
});
beforeEach(async () => {
  await env.DIRECTORY.exec("DELETE FROM journal_address");
});

const asAdministrator = (method: string, path: string, body?: unknown) =>
  json(method, path, { token: administrator, ...(body === undefined ? {} : { body }) });

it("a journal address is made, shown once, and nobody can read it afterwards", async () => {
  const wanted = {
    format: "reports",
    domains: ["Second.example"],
    sources: ["192.0.2.9/24", "2001:db8::/32"],
    label: "Exchange",
  };
  const { status, body } = await asAdministrator("POST", PATH, wanted);
  expect(status).toBe(201);
  expect(body).toMatchObject({
    subject: "Exchange",
    format: "reports",
    domains: ["example.org", "second.example"],
    sources: ["192.0.2.0/24", "2001:db8::/32"],
    address: expect.stringMatching(/^journal-[a-z2-7]{32}@mx\.holdfast\.test$/),
    alternative: expect.stringMatching(/^journal-[a-z2-7]{32}@example\.org$/),
  });
  const { address, alternative: _, ...rest } = body;
  expect((await asAdministrator("GET", PATH)).body).toEqual({ items: [rest], next: null });
  const secret = /journal-(\w+)@/.exec(String(address))?.[1] ?? "?";
  const stored = await env.DIRECTORY.prepare("SELECT * FROM journal_address").first();
  const events = await asOperator("GET", "/api/domains/example.org/events");
  expect(JSON.stringify([stored, events.body])).not.toContain(secret);
  expect((events.body.items as unknown[])[0]).toMatchObject({
    kind: "journal_address_added",
    actor: "admin@customer-1.test",
  });
});

it.each<[string, object, string]>([
  ["no format", {}, "format"],
  ["a format that there is not", { format: "pst" }, "format"],
  ["a domain of somebody else's", { format: "copies", domains: ["stranger.example"] }, "domains.0"],
  ["a source that is none", { format: "copies", sources: ["192.0.2.1", "mail.example.org"] }, "sources.1"],
  ["a source that is half the world", { format: "copies", sources: ["0.0.0.0/1"] }, "sources.0"],
])("%s is refused, and the field is named", async (_name, wanted, field) => {
  const { status, body } = await asAdministrator("POST", PATH, wanted);
  expect(status).toBe(422);
  expect(body.errors).toMatchObject([{ field }]);
});

it("taken away it is gone, by whoever runs the domain and nobody else", async () => {
  const { body } = await asAdministrator("POST", PATH, { format: "copies" });
  expect((await asAdministrator("DELETE", `/api/domains/second.example/journal-addresses/${body.id}`)).status).toBe(
    404,
  );
  expect((await asAdministrator("GET", "/api/domains/stranger.example/journal-addresses")).status).toBe(404);
  expect(
    (await asAdministrator("POST", "/api/domains/stranger.example/journal-addresses", { format: "copies" })).status,
  ).toBe(404);
  expect((await asAdministrator("DELETE", `${PATH}/${body.id}`)).status).toBe(204);
  expect((await asAdministrator("GET", PATH)).body.items).toEqual([]);
});

it("there is an end to how many", async () => {
  for (let times = 0; times < 20; times++)
    expect((await asAdministrator("POST", PATH, { format: "copies" })).status).toBe(201);
  expect(await asAdministrator("POST", PATH, { format: "copies" })).toMatchObject({
    status: 409,
    body: { code: "too_many_journal_addresses" },
  });
});
