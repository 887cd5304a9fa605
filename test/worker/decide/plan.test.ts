import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { planFor } from "../../../src/worker/decide/plan.ts";
import type { Env } from "../../../src/worker/env.ts";
import { TestDomain, withoutDirectory } from "../domain/fixture.ts";

/** The bindings with an object in the place of the real one, and how often it was asked. */
function withObject(plan: () => Promise<unknown>): { env: Env; asked: ReturnType<typeof vi.fn> } {
  const asked = vi.fn(plan);
  const stub = { plan: asked, reload: async () => undefined };
  return { env: { ...env, DOMAIN: { getByName: () => stub } as unknown as Env["DOMAIN"] }, asked };
}

const never = (): Promise<never> => new Promise(() => undefined);
const ctx = { waitUntil: (step: Promise<unknown>) => void step };

describe("the plan for a recipient", () => {
  it("comes from the domain's object, in one request", async () => {
    const domain = await TestDomain.create();
    await domain.mailbox("ada");
    await domain.start();
    const plan = vi.fn((local: string) => domain.rpc.plan(local));
    const one = { ...env, DOMAIN: { getByName: () => ({ plan }) } as unknown as Env["DOMAIN"] };
    expect(await planFor(one, ctx, `ada@${domain.name}`)).toMatchObject({
      source: "object",
      recipient: { status: "covered" },
    });
    expect(plan).toHaveBeenCalledTimes(1);
  });

  it("comes from D1 where the object knows nothing, and the object is told to reload", async () => {
    const domain = await TestDomain.create();
    const account = await domain.mailbox("ada", { aliases: ["info"] });
    const context = createExecutionContext();
    expect(await planFor(env, context, `info+x@${domain.name}`)).toMatchObject({
      source: "directory",
      mode: "normal",
      domain: { id: domain.id, name: domain.name, route: { host: "127.0.0.1" } },
      recipient: { status: "covered", holders: [{ account, shard: 0, mailbox: `ada@${domain.name}`, chosen: true }] },
    });
    await waitOnExecutionContext(context);
    expect(await planFor(env, ctx, `ada@${domain.name}`)).toMatchObject({ source: "object" });
  });

  it("comes from D1, with the mode that is written there, where the object fails", async () => {
    const domain = await TestDomain.create({ mode: "emergency" });
    const failing = withObject(() => Promise.reject(new Error("the object is away")));
    expect(await planFor(failing.env, ctx, `eve@${domain.name}`)).toMatchObject({
      source: "directory",
      mode: "emergency",
      recipient: { status: "unknown" },
    });
  });

  it("comes from D1 within 2 s where the object hangs", async () => {
    const domain = await TestDomain.create({ settings: { postmaster: "ada@d1.example.org" } });
    expect(await planFor(withObject(never).env, ctx, `eve@${domain.name}`)).toMatchObject({ source: "directory" });
  });

  it("knows the named postmaster from D1 too", async () => {
    const domain = await TestDomain.create({ mode: "emergency" });
    const account = await domain.mailbox("ada");
    await env.DIRECTORY.prepare("UPDATE domain SET settings = ?2 WHERE id = ?1")
      .bind(domain.id, JSON.stringify({ postmaster: `ada@${domain.name}` }))
      .run();
    const failing = withObject(() => Promise.reject(new Error("the object is away")));
    expect(await planFor(failing.env, ctx, `abuse@${domain.name}`)).toMatchObject({
      recipient: { status: "covered", holders: [{ account }] },
    });
  });

  it("is unavailable where neither answers", async () => {
    const domain = await TestDomain.create();
    const failing = withObject(() => Promise.reject(new Error("the object is away")));
    await withoutDirectory(async () => {
      expect(await planFor(failing.env, ctx, `ada@${domain.name}`)).toBe("unavailable");
    });
  });

  it("says that a domain is not ours", async () => {
    expect(await planFor(env, ctx, "ada@elsewhere.example.net")).toBe("unknown_domain");
  });
});
