import { env, SELF } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import { signRequest } from "../../../src/core/protocol/gateway/signature.ts";
import type { Env } from "../../../src/worker/env.ts";
import { addDomain, addUser } from "../access/client.ts";
import { counted } from "../counters.ts";
import { TestWatcher } from "../push/watcher.ts";
import { letter, must, send } from "../receive/organisation.ts";

const SECRET = { id: "g1", secret: "secret-of-the-tests" };
let count = 0;

async function ask(path: string, upgrade = true): Promise<Response> {
  const authorization = await signRequest(SECRET, { method: "GET", path }, Date.now(), `nonce-of-a-watch-${++count}`);
  return SELF.fetch(`https://holdfast.test${path}`, {
    headers: { authorization, ...(upgrade ? { upgrade: "websocket" } : {}) },
  });
}

const accountOf = async (address: string): Promise<number> =>
  (await env.DIRECTORY.prepare("SELECT id FROM mailbox WHERE address = ?1").bind(address).first<number>("id")) ?? 0;

beforeAll(async () => {
  await addDomain("example.org");
  await must("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
});

it("a gateway hears of the mail of those who are connected to it, and of a login that ends", async () => {
  await addUser("ann@example.org");
  const ann = await accountOf("ann@example.org");
  const gateway = new TestWatcher(await ask("/gateway/watch/example.org"));
  expect(await gateway.take(1)).toEqual([{ op: "hello" }]);
  gateway.say({ op: "watch", accounts: [{ account: ann, since: null }] });
  expect(await gateway.take(1)).toEqual([{ op: "changed", account: ann, seq: 0 }]);
  await send(["ann@example.org"], letter());
  expect(await gateway.take(1)).toEqual([{ op: "changed", account: ann, seq: 1 }]);
  await must("PUT", "/api/domains/example.org/mailboxes/ann@example.org", { password: null });
  expect(await gateway.take(1)).toEqual([{ op: "ended", account: ann, why: "login" }]);
  gateway.close();
});

it("a gateway may not name mailboxes of another domain", async () => {
  await addDomain("example.net");
  await addUser("bob@example.net");
  const bob = await accountOf("bob@example.net");
  const gateway = new TestWatcher(await ask("/gateway/watch/example.org"));
  await gateway.take(1);
  gateway.say({ op: "watch", accounts: [{ account: bob, since: null }] });
  expect(await gateway.take(1)).toEqual([{ op: "ended", account: bob, why: "gone" }]);
  gateway.close();
});

it("an object that has never heard of its domain takes it from D1 for its first watcher", async () => {
  await env.DIRECTORY.prepare("INSERT INTO domain (id, name, created_at) VALUES (900, 'quiet.example.org', 0)").run();
  const gateway = new TestWatcher(await ask("/gateway/watch/quiet.example.org"));
  expect(await gateway.take(1)).toEqual([{ op: "hello" }]);
  gateway.close();
});

it("without a signature it is 401, without an upgrade 400, and a domain that is none 404", async () => {
  const headers = { upgrade: "websocket" };
  expect((await SELF.fetch("https://holdfast.test/gateway/watch/example.org", { headers })).status).toBe(401);
  expect((await ask("/gateway/watch/example.org", false)).status).toBe(400);
  expect((await ask("/gateway/watch/nowhere.example")).status).toBe(404);
  expect((await ask("/gateway/watch/-")).status).toBe(404);
});

it("mail is one call to the domain's object, and one more only where somebody watches", async () => {
  await addUser("eve@example.org");
  const calls = async () => {
    const { env: counting, counts } = counted(env as Env);
    await send(["eve@example.org"], letter(), { env: counting });
    return counts.objectRequests;
  };
  expect(await calls()).toBe(1);
  const gateway = new TestWatcher(await ask("/gateway/watch/example.org"));
  await gateway.take(1);
  expect(await calls()).toBe(1);
  gateway.say({ op: "watch", accounts: [{ account: await accountOf("eve@example.org"), since: null }] });
  await gateway.take(1);
  expect(await calls()).toBe(2);
  expect(await gateway.take(1)).toMatchObject([{ op: "changed", seq: 3 }]);
  gateway.close();
});
