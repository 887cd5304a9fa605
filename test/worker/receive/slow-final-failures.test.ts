/** A part of our own fails while a slow origin thinks about a message. */
import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { LATE_FINAL_MARGIN } from "../../../src/core/limits.ts";
import { DomainObject } from "../../../src/worker/domain/object.ts";
import type { Env } from "../../../src/worker/env.ts";
import { fails, withCalls } from "../broken.ts";
import {
  ANN,
  budgetOver,
  DOMAIN,
  dots,
  HURRIED,
  late,
  minutes,
  object,
  organisation,
  rowsOf,
  run,
  taken,
  useSlowOrigin,
  withoutCall,
} from "./slow-origin.ts";

useSlowOrigin();

describe("when a part of our own ends meanwhile", () => {
  it("a restart of the domain's object does not send the message again", async () => {
    const { afterwards } = await late([ANN], "Object restarts");
    const before = await dots();
    await runInDurableObject(object(), async (_object, state) => {
      const next = new DomainObject(state, env as Env);
      await state.blockConcurrencyWhile(async () => undefined); // until it has read its storage
      await next.wake(DOMAIN);
      await next.alarm();
    });
    expect(await dots()).toBe(before);
    await organisation.origin.set({});
    await afterwards();
    expect((await rowsOf("Object restarts"))[0]?.inInbox).toBe(false);
    expect(await taken("Object restarts")).toBe(1);
  });

  it("a Worker that dies while it waits leaves the message to redelivery, when the time for the reply is over", async () => {
    // Nobody tells the object how it ended.
    const patience = { ...HURRIED, background: 5 * minutes };
    const { final } = await late([ANN], "Worker dies", { env: withoutCall("settleFinal"), patience });
    expect(final?.code).toBe(250);
    const before = await dots();
    await run(4 * minutes);
    expect(await dots()).toBe(before);
    expect((await rowsOf("Worker dies"))[0]?.inInbox).toBe(true);
    await organisation.origin.set({});
    await run(5 * minutes + LATE_FINAL_MARGIN + 1_000);
    expect((await rowsOf("Worker dies"))[0]?.inInbox).toBe(false);
    // The one case of a double: the origin took the first one too, and nobody heard.
    await vi.waitFor(async () => expect(await taken("Worker dies")).toBe(2));
  });

  it("without the domain's object the sender waits with us, and a late 250 is its 250: nothing lies in an inbox", async () => {
    const before = await dots();
    const patience = { ...HURRIED, final: 60_000 };
    const sending = late([ANN], "Without the object", { env: withoutCall("hold"), patience });
    await vi.waitFor(async () => expect(await dots()).toBe(before + 1), 10_000);
    await budgetOver();
    await organisation.origin.set({});
    expect((await sending).final?.code).toBe(250);
    expect(await rowsOf("Without the object")).toMatchObject([{ inInbox: false }]);
    expect(await taken("Without the object")).toBe(1);
  });

  it("without the domain's object, and when the sender cannot wait longer, the message waits in the inbox", async () => {
    const { final, afterwards } = await late([ANN], "Neither", { env: withoutCall("hold") });
    expect(final?.code).toBe(250);
    await afterwards();
    expect(await rowsOf("Neither")).toMatchObject([{ inInbox: true, waiting: expect.any(Number) }]);
    await organisation.origin.set({});
    await run(2 * minutes);
    expect(await rowsOf("Neither")).toMatchObject([{ inInbox: false }]);
  });

  it.each([
    ["the octets", { MAIL: withCalls(env.MAIL, { put: fails("R2") }) }],
    ["the rows", { SHARD_0: withCalls(env.SHARD_0, { batch: fails("D1") }) }],
  ])("without %s the sender waits with us: what the origin takes is accepted", async (what, broken) => {
    const before = await dots();
    const patience = { ...HURRIED, final: 60_000 };
    const sending = late([ANN], `Without ${what}`, { env: { ...(env as Env), ...broken }, patience });
    await vi.waitFor(async () => expect(await dots()).toBe(before + 1), 10_000);
    await budgetOver();
    await organisation.origin.set({});
    const { final, afterwards } = await sending;
    expect(final?.code).toBe(250);
    await afterwards();
    expect(await taken(`Without ${what}`)).toBe(1);
    await run(20 * minutes);
    expect(await taken(`Without ${what}`)).toBe(1);
  });

  it("what cannot be stored and is not answered either stays with its sender", async () => {
    const MAIL = withCalls(env.MAIL, { put: fails("R2") });
    const { final } = await late([ANN], "Neither stored nor answered", { env: { ...(env as Env), MAIL } });
    expect(final).toMatchObject({ code: 451, enhanced: "4.3.0" });
    expect(await rowsOf("Neither stored nor answered")).toEqual([]);
  });
});
