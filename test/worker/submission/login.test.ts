import { env, SELF } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { LoginAnswer } from "../../../src/core/protocol/gateway/login.ts";
import { signRequest } from "../../../src/core/protocol/gateway/signature.ts";
import { TICKET_LIFE } from "../../../src/core/send/limits.ts";
import { sha256 } from "../../../src/worker/identity/random-secret.ts";
import { logIn } from "../../../src/worker/submission/login.ts";
import { submitterOf } from "../../../src/worker/submission/submitter.ts";
import { addDomain, addUser, asOperator, PASSWORD } from "../access/client.ts";

const NOW = Date.parse("2026-11-24T12:00:00Z");
const IP = "198.41.0.10";

beforeAll(() => addDomain("example.org"));
beforeEach(async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await env.DIRECTORY.exec("DELETE FROM relay");
});

const make = async (wanted: object) => (await asOperator("POST", "/api/domains/example.org/relays", wanted)).body;
const login = (username: unknown, password: unknown, ip = IP) =>
  logIn(env, { username: String(username), password: String(password), ip }, NOW);

function ticketOf(answer: LoginAnswer): string {
  if (answer.kind !== "known") throw new Error(JSON.stringify(answer));
  return answer.ticket;
}

describe("a server's login", () => {
  it("with its password is known, in any case of its name, until it is taken away", async () => {
    const made = await make({ login: true });
    const ticket = ticketOf(await login(String(made.username).toUpperCase(), made.password));
    expect(await submitterOf(env, { ticket }, IP, NOW)).toMatchObject({
      kind: "server",
      relays: [{ id: Number(made.id), domainName: "example.org", senders: ["example.org"] }],
    });
    await asOperator("DELETE", `/api/domains/example.org/relays/${made.id}`);
    expect(await submitterOf(env, { ticket }, IP, NOW)).toBeNull();
    expect(await login(made.username, made.password)).toMatchObject({ kind: "refused", code: 535 });
  });

  it("with another password, or none of that name, is wrong in the same words", async () => {
    const made = await make({ login: true });
    const wrong = { kind: "refused", code: 535, enhanced: "5.7.8", text: "Wrong login name or password" };
    expect(await login(made.username, `${made.password}x`)).toEqual(wrong);
    expect(await login(made.username, "")).toEqual(wrong);
    expect(await login("relay-aaaaaaaa@example.org", made.password)).toEqual(wrong);
  });
});

it("a server with a wrong password has to wait after a few times, and so does not ask the directory for ever", async () => {
  const made = await make({ login: true });
  const ip = "198.41.0.98";
  const answers: LoginAnswer[] = [];
  for (let times = 0; times < 7; times++) answers.push(await login(made.username, "wrong", ip));
  expect(answers.at(-1)).toMatchObject({ code: 454, enhanced: "4.7.0" });
  // From elsewhere its right password is good all the same.
  expect(await login(made.username, made.password)).toMatchObject({ kind: "known" });
});

describe("a person's login", () => {
  it("with the password of their mailbox is known, until the password is another", async () => {
    await addUser("ann@example.org");
    const ticket = ticketOf(await login("Ann@Example.org", PASSWORD));
    expect(await submitterOf(env, { ticket }, IP, NOW)).toMatchObject({
      kind: "person",
      user: { name: "ann@example.org" },
    });
    await asOperator("PUT", "/api/domains/example.org/mailboxes/ann@example.org", { password: "another password" });
    expect(await submitterOf(env, { ticket }, IP, NOW)).toBeNull();
  });

  it("is good for a day", async () => {
    await addUser("carol@example.org");
    const ticket = ticketOf(await login("carol@example.org", PASSWORD));
    expect(await submitterOf(env, { ticket }, IP, NOW + TICKET_LIFE - 1)).not.toBeNull();
    expect(await submitterOf(env, { ticket }, IP, NOW + TICKET_LIFE)).toBeNull();
  });

  it("that is guessed must wait", async () => {
    await addUser("bob@example.org");
    const answers = [];
    for (let times = 0; times < 7; times++) answers.push(await login("bob@example.org", "wrong", "198.41.0.99"));
    expect(answers[0]).toMatchObject({ code: 535 });
    expect(answers.at(-1)).toMatchObject({
      code: 454,
      enhanced: "4.7.0",
      text: expect.stringMatching(/try again in \d+ s/),
    });
  });

  it("of an operator sends nothing: they have no mailbox", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect(await login(env.OPERATOR_EMAIL, "whatever")).toMatchObject({ code: 535 });
  });

  it("where the directory does not answer is a temporary failure", async () => {
    const broken = {
      ...env,
      DIRECTORY: {
        prepare: () => {
          throw new Error("no answer");
        },
        batch: () => Promise.reject(new Error("no answer")),
      },
    };
    expect(
      await logIn(broken as unknown as typeof env, { username: "ann@example.org", password: "x", ip: IP }, NOW),
    ).toMatchObject({
      kind: "refused",
      code: 454,
    });
  });
});

describe("without a login", () => {
  it("a server is known by its address, and its neighbour is not", async () => {
    await make({ address: "198.41.0.0/28" });
    expect(await submitterOf(env, {}, "198.41.0.15", NOW)).toMatchObject({ kind: "server" });
    expect(await submitterOf(env, {}, "::ffff:198.41.0.1", NOW)).toMatchObject({ kind: "server" });
    expect(await submitterOf(env, {}, "198.41.0.16", NOW)).toBeNull();
    expect(await submitterOf(env, {}, "", NOW)).toBeNull();
  });

  it("a server is known by the certificate that it shows, from wherever", async () => {
    const certificate = "ab".repeat(32);
    await make({ certificate });
    expect(await submitterOf(env, { certificate }, "203.0.114.1", NOW)).toMatchObject({ kind: "server" });
    expect(await submitterOf(env, { certificate: "cd".repeat(32) }, "203.0.114.1", NOW)).toBeNull();
  });

  it.each(["", "k1.", "k1.AAAA", "nonsense", "k9.AAAA"])(
    "a ticket that we did not write (%s) is a stranger's, whatever the address",
    async (ticket) => {
      await make({ address: "198.41.0.10" });
      expect(await submitterOf(env, { ticket }, "198.41.0.10", NOW)).toBeNull();
    },
  );
});

describe("the gateway's question", () => {
  const ask = async (body: string, signedBody = body) => {
    const request = { method: "POST", path: "/gateway/login", bodyHash: await sha256(signedBody) };
    const authorization = await signRequest(
      { id: "g1", secret: "secret-of-the-tests" },
      request,
      Date.now(),
      crypto.randomUUID(),
    );
    const headers = { authorization, "content-length": String(body.length) };
    return SELF.fetch("https://holdfast.test/gateway/login", { method: "POST", body, headers });
  };

  it("is answered with a ticket, or with the reply to AUTH", async () => {
    const made = await make({ login: true });
    const good = await ask(JSON.stringify({ username: made.username, password: made.password, ip: IP }));
    expect(await good.json()).toEqual({ kind: "known", ticket: expect.any(String) });
    const bad = await ask(JSON.stringify({ username: made.username, password: "x", ip: IP }));
    expect(await bad.json()).toMatchObject({ kind: "refused", code: 535 });
  });

  it("whose body is not the one that was signed is refused", async () => {
    const body = JSON.stringify({ username: "ann@example.org", password: "x", ip: IP });
    expect((await ask(body.replace("ann", "bob"), body)).status).toBe(401);
  });

  it("that is none, or too long, is refused", async () => {
    expect((await ask("{}")).status).toBe(400);
    expect((await ask("x".repeat(20_000))).status).toBe(413);
  });
});
