/** Every route of the API's own description, tried by those who may not: nobody, a user, another customer's administrator. */
import { beforeAll, describe, expect, it } from "vitest";
import { addCustomer, addDomain, addUser, asOperator, call, json } from "./client.ts";

interface Operation {
  readonly method: string;
  readonly path: string;
}

const operations: Operation[] = [];
let user = "";
let stranger = "";

beforeAll(async () => {
  await addDomain("example.org");
  await addDomain("stranger.example.net");
  user = await addUser("alice@example.org");
  await addUser("bob@example.org");
  stranger = await addCustomer(2, "stranger.example.net");
  const { body } = await json("GET", "/api/openapi.json");
  for (const [path, methods] of Object.entries(body.paths as Record<string, Record<string, unknown>>)) {
    for (const method of Object.keys(methods)) operations.push({ method: method.toUpperCase(), path });
  }
});

/** What needs no login. */
const PUBLIC = ["GET /api/health", "POST /api/session"];
/** What anyone who is signed in may do; what they see is theirs (other tests). */
const EVERYBODY = ["GET /api/session", "DELETE /api/session", "GET /api/archive"];

const nameOf = ({ method, path }: Operation): string => `${method} ${path}`;
const fill = (path: string): string =>
  path
    .replace("{domain}", "example.org")
    .replace("{address}", "bob@example.org")
    // A number would be one of their own.
    .replace("{folder}", "nowhere")
    .replaceAll(/\{[a-z]+\}/g, "1");
const attempt = async ({ method, path }: Operation, token?: string): Promise<number> => {
  const body = method === "GET" || method === "DELETE" ? undefined : {};
  const response = await call(method, fill(path), { token, ...(body && { body }) });
  await response.text();
  return response.status;
};

describe("the description of the API", () => {
  it("has every call of the outside interface", () => {
    const names = operations.map(nameOf);
    for (const name of [
      "GET /api/health",
      "POST /api/session",
      "DELETE /api/session",
      "PUT /api/domains/{domain}",
      "GET /api/domains/{domain}",
      "PUT /api/domains/{domain}/mode",
      "GET /api/domains/{domain}/events",
      "PUT /api/domains/{domain}/mailboxes/{address}",
      "GET /api/domains/{domain}/mailboxes/{address}",
      "DELETE /api/domains/{domain}/mailboxes/{address}",
      "POST /api/domains/{domain}/mailboxes",
      "GET /api/archive",
      "GET /api/archive/{id}",
      "GET /api/archive/{id}/raw",
      "GET /api/archive/{id}/attachments/{n}",
      "POST /api/archive/{id}/redeliver",
      "GET /api/mail/folders",
      "GET /api/mail/messages",
      "PATCH /api/mail/messages/{id}",
      "DELETE /api/mail/messages/{id}",
      "POST /api/mail/folders",
      "POST /api/mail/folders/{folder}/messages",
      "GET /api/mail/messages/{id}/raw",
      "GET /api/mail/changes",
      "GET /metrics",
    ]) {
      expect(names).toContain(name);
    }
  });
});

describe("nobody", () => {
  it("hears 401 from every route that is not public", async () => {
    for (const operation of operations.filter((one) => !PUBLIC.includes(nameOf(one)))) {
      expect(await attempt(operation), nameOf(operation)).toBe(401);
    }
  });

  it("hears 401 from a route that does not exist, too", async () => {
    expect((await json("GET", "/api/secret")).status).toBe(401);
    expect((await json("GET", "/api/domains/example.org/secret")).status).toBe(401);
  });
});

describe("a user", () => {
  it("hears 403 or 404 from every route that is not their own", async () => {
    const own = (name: string) => name.includes(" /api/mail/") && !name.includes("{");
    const closed = operations.filter((one) => {
      const name = nameOf(one);
      return !PUBLIC.includes(name) && !EVERYBODY.includes(name) && !own(name);
    });
    for (const operation of closed) {
      expect([403, 404], nameOf(operation)).toContain(await attempt(operation, user));
      if (operation.path.startsWith("/api/domains"))
        expect(await attempt(operation, user), nameOf(operation)).toBe(403);
    }
  });
});

describe("another customer's administrator", () => {
  it("hears 404 for the domain, whatever they try, as for one that does not exist", async () => {
    const paths = operations.filter(({ path }) => path.includes("{domain}"));
    expect(paths.length).toBeGreaterThan(8);
    for (const operation of paths) {
      expect(await attempt(operation, stranger), nameOf(operation)).toBe(404);
      const elsewhere = { ...operation, path: operation.path.replace("{domain}", "unknown.example.org") };
      expect(await attempt(elsewhere, stranger), nameOf(operation)).toBe(404);
    }
  });

  it("changes nothing by trying", async () => {
    expect((await asOperator("GET", "/api/domains/example.org/mailboxes/bob@example.org")).status).toBe(200);
    expect((await asOperator("GET", "/api/domains/example.org")).body).toMatchObject({
      coverage: "all",
      mode: "normal",
    });
  });

  it("reads no metrics and no user's mail", async () => {
    for (const operation of operations.filter(({ path }) => path === "/metrics" || path.startsWith("/api/mail/"))) {
      expect(await attempt(operation, stranger), nameOf(operation)).toBe(403);
    }
  });
});
