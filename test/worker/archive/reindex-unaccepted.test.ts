/** Octets that are stored of mail that nobody accepted, when an index is made anew. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { down, withCalls } from "../broken.ts";
import { letter, send } from "../receive/organisation.ts";
import { ANN, brokenIndex, givenBack, mode, organisation, taken, useOrganisation, view } from "./lost-organisation.ts";
import { loseShard, reindex } from "./lost-shard.ts";

useOrganisation();

describe("what was never accepted", () => {
  it("is not shown where its octets could not be deleted", async () => {
    await organisation.origin.set({ steps: { final: "550 5.7.1 spam" } });
    const MAIL = withCalls(env.MAIL, { delete: down("R2") });
    const { final } = await send([ANN], letter({ Subject: "Refused at once" }), { env: { ...env, MAIL } as Env });
    expect(final?.code).toBe(550);
    await loseShard();
    expect(await reindex()).toMatchObject({ seen: 1, skipped: 1, indexed: 0 });
    expect(await view()).toEqual([]);
  });

  it("and came again later, is one message, which waits", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again" });
    expect((await send([ANN], octets, { env: brokenIndex })).final?.code).toBe(451);
    expect((await send([ANN], octets)).final?.code).toBe(250);
    await loseShard();
    expect(await reindex()).toMatchObject({ seen: 2, indexed: 1, repeats: 1 });
    expect(await view()).toEqual(["ann: Again: waiting"]);
    expect(await givenBack()).toEqual(["Again"]);
  });

  it("and came again when the origin took it, does not wait", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again, taken" });
    expect((await send([ANN], octets, { env: brokenIndex })).final?.code).toBe(451);
    await mode("normal");
    expect((await send([ANN], octets)).final?.code).toBe(250);
    expect(await taken()).toContain("Again, taken");
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Again, taken: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("and came again and was given back, does not wait, whichever octets are met first", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Again, given back" });
    await send([ANN], octets, { env: brokenIndex });
    await send([ANN], octets);
    expect(await givenBack()).toEqual(["Again, given back"]);
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Again, given back: archive"]);
    expect(await givenBack()).toEqual([]);
  });

  it("waits where its sender's next try was taken for a repeat of it", async () => {
    await mode("emergency");
    const octets = letter({ Subject: "Written all the same" });
    // D1 writes it and does not answer.
    const silent = withCalls(env.SHARD_0, {
      batch: async (statements: D1PreparedStatement[]) => {
        await env.SHARD_0.batch(statements);
        throw new Error("the network is gone");
      },
    });
    expect((await send([ANN], octets, { env: { ...env, SHARD_0: silent } as Env })).final?.code).toBe(451);
    expect((await send([ANN], octets)).final?.text).toContain("Accepted before");
    await loseShard();
    await reindex();
    expect(await view()).toEqual(["ann: Written all the same: waiting"]);
    expect(await givenBack()).toEqual(["Written all the same"]);
  });
});
