import { env } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { type ProbeTools, probe } from "../../../src/worker/decide/probe.ts";
import type { Route } from "../../../src/worker/domain/contract.ts";
import { openSecret, sealSecret } from "../../../src/worker/identity/secret.ts";
import type { Behaviour } from "../../support/origin-behaviour.ts";
import { createOrigin, type Origin } from "../origin-control.ts";

let origin: Origin;
afterEach(() => origin.close());

const tools: ProbeTools = {
  openSecret: (encrypted, keyId) => openSecret(env, encrypted, keyId),
  helo: "mx.holdfast.test",
  now: () => Date.now(),
};

async function routeTo(behaviour: Behaviour, more: Partial<Route> = {}): Promise<Route> {
  origin = await createOrigin(behaviour);
  return { transport: "smtp", host: "localhost", port: origin.port, tls: behaviour.tls ?? "none", ...more };
}

async function commands(): Promise<string[]> {
  const { transcript } = await origin.report();
  return transcript.filter((line) => line.startsWith("C:")).map((line) => line.split(" ")[1] ?? "");
}

describe("a probe", () => {
  it("connects, secures, authenticates, asks NOOP, and sends no mail", async () => {
    const user = { name: "relay", password: "secret of the relay" };
    const sealed = await sealSecret(env, user.password);
    const secret = { username: user.name, passwordEncrypted: sealed.encrypted, keyId: sealed.keyId };
    const result = await probe(await routeTo({ tls: "starttls", user }, secret), tools);
    expect(result).toMatchObject({
      ok: true,
      outcome: { kind: "delivered" },
      text: "delivered: 250 2.0.0 nothing done",
    });
    await expect.poll(commands).toEqual(["EHLO", "STARTTLS", "EHLO", "AUTH", "NOOP", "QUIT"]);
  });

  it("tells how long it took by the clock that it was given", async () => {
    const times = [1_000, 1_234];
    const result = await probe(await routeTo({}), { ...tools, now: () => times.shift() ?? 0 });
    expect(result.milliseconds).toBe(234);
  });

  it.each<[string, Behaviour, string]>([
    ["greets with 554", { steps: { greeting: "554 5.3.2 out of order" } }, "greeting, reply: 554 5.3.2 out of order"],
    ["answers NOOP with 421", { steps: { noop: "421 4.3.2 closing" } }, "noop, reply: 421 4.3.2 closing"],
    ["hangs up at EHLO", { steps: { ehlo: { drop: true } } }, "ehlo, dropped"],
  ])("is bad where the server %s", async (_, behaviour, text) => {
    const result = await probe(await routeTo(behaviour), tools);
    expect(result.ok).toBe(false);
    expect(result.text).toContain(`unavailable (origin) at ${text}`);
  });

  it("ends when all of its time is over, whatever the server still says", async () => {
    const route = await routeTo({ steps: { noop: { reply: "250 ".padEnd(200, "x"), octetEvery: 20 } } });
    const result = await probe(route, { ...tools, budget: 300 });
    expect(result.outcome).toMatchObject({ kind: "unavailable", phase: "noop", reason: "timeout" });
  });

  it("is no evidence against the origin where its password cannot be opened", async () => {
    const route = await routeTo({}, { username: "relay", passwordEncrypted: "AAAA", keyId: "lost" });
    const result = await probe(route, tools);
    expect(result).toMatchObject({ ok: false, outcome: { kind: "unavailable", where: "path", phase: "auth" } });
    expect((await origin.report()).connections).toBe(0);
  });

  it("asks over the way beside it where mail is forwarded", async () => {
    const route = await routeTo({}, { transport: "forward", via: "smtp", forwardDomain: "inside.example.org" });
    expect(await probe(route, tools)).toMatchObject({ ok: true });
    await expect.poll(commands).toEqual(["EHLO", "NOOP", "QUIT"]);
  });

  it("is no evidence against the origin over the transport gateway", async () => {
    const result = await probe(await routeTo({}, { transport: "gateway" }), tools);
    expect(result.outcome).toMatchObject({ kind: "unavailable", where: "path", reason: "unsupported" });
  });
});
