/** The connection to an origin that is known to be slow, left to a keeper that outlives `email()`. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { asOperator } from "../access/client.ts";
import { withCalls } from "../broken.ts";
import { belowOurs, letter, transact } from "./organisation.ts";
import {
  ANN,
  DAN,
  DOMAIN,
  detached,
  dots,
  HURRIED,
  keeperWithout,
  late,
  minutes,
  object,
  organisation,
  rowsOf,
  run,
  taken,
  useSlowOrigin,
} from "./slow-origin.ts";

useSlowOrigin();

describe("mail that email() brings, where the origin is known to be slow", () => {
  const patience = { ...HURRIED, whole: 45_000 };
  let kept = 0;
  const counting = withCalls(env.KEEPER, {
    get: (id: DurableObjectId) => {
      kept += 1;
      return env.KEEPER.get(id);
    },
  });
  const none = withCalls(env.KEEPER, {
    get: () => {
      throw new Error("there are no objects today");
    },
  });
  const byEmail = (to: string, subject: string, KEEPER = counting) =>
    late([to], subject, { env: { ...(env as Env), KEEPER }, patience });

  beforeEach(async () => {
    kept = 0;
    await object().hold([`nothing\n${ANN}`], 1);
    expect((await object().plan("ann"))?.slowFinal).toBe(true);
  });

  it("is connected by a keeper, which waits for the late reply when the Worker has ended", async () => {
    const { final, afterwards } = await byEmail(ANN, "Kept");
    expect(final?.code).toBe(250);
    expect(kept).toBe(1);
    // The origin has said nothing yet, and nothing of the Worker's goes on.
    await afterwards();
    expect(await rowsOf("Kept")).toMatchObject([{ inInbox: true, waiting: expect.any(Number) }]);
    const { key } = (await rowsOf("Kept"))[0] ?? { key: "" };
    expect(await object().withdraw([flightKey(key, ANN)])).toHaveLength(1);
    await organisation.origin.set({});
    await vi.waitFor(async () => expect(await rowsOf("Kept")).toMatchObject([{ inInbox: false }]), 10_000);
    await run(20 * minutes);
    expect(await taken("Kept")).toBe(1);
    await vi.waitFor(async () => expect((await organisation.origin.report()).open).toBe(0), 10_000);
  });

  it("is marked where the origin refuses it to the keeper", async () => {
    await byEmail(ANN, "Kept and refused");
    await organisation.origin.set({ steps: { final: "554 5.7.1 no" } });
    const marked = async () =>
      env.SHARD_0.prepare(
        "SELECT p.refusal FROM placement p JOIN message m ON m.id = p.message WHERE m.subject = 'Kept and refused'",
      ).first<string | null>("refusal");
    await vi.waitFor(async () => expect(await marked()).toContain("5.7.1"), 10_000);
  });

  it("goes its way as ever where the origin answers in time: octets, envelope and the archive", async () => {
    await organisation.origin.set({});
    const octets = letter({ Subject: "In time" }, ".dots\r\n..\r\nand \u00e9\r\n");
    const { final } = await transact(detached, [ANN], octets, { patience, env: { ...(env as Env), KEEPER: counting } });
    expect(final?.code).toBe(250);
    expect(kept).toBe(1);
    expect(await rowsOf("In time")).toMatchObject([{ inInbox: false, waiting: null }]);
    const message = (await organisation.origin.messages()).at(-1);
    expect(message).toMatchObject({ from: "somebody@example.net", to: [ANN] });
    expect(belowOurs(message?.raw ?? new Uint8Array())).toEqual(octets);
    await vi.waitFor(async () => expect((await organisation.origin.report()).open).toBe(0), 10_000);
  });

  it("becomes CRLF where it had bare line feeds, and the log says so", async () => {
    await organisation.origin.set({});
    const octets = letter({ Subject: "Bare" }, "one\ntwo\r\n");
    const options = { patience, env: { ...(env as Env), KEEPER: counting } };
    expect((await transact(detached, [ANN], octets, options)).final?.code).toBe(250);
    const raw = belowOurs((await organisation.origin.messages()).at(-1)?.raw ?? new Uint8Array());
    expect(new TextDecoder().decode(raw)).toMatch(/\r\n\r\none\r\ntwo\r\n$/);
    const key = (await rowsOf("Bare"))[0]?.key;
    const told = async () =>
      ((await asOperator("GET", `/api/domains/${DOMAIN}/events`)).body as { items: unknown[] }).items;
    const event = expect.objectContaining({ kind: "line_ends_changed", data: expect.objectContaining({ key }) });
    await vi.waitFor(async () => expect(await told()).toContainEqual(event), 10_000);
  });

  it.each([
    ["RCPT", { rcpt: "550 5.1.1 gone away" }, "gone away"],
    ["DATA", { data: "554 5.5.1 no data" }, "no data"],
    ["the final dot", { final: "554 5.7.1 not that" }, "not that"],
  ] as const)("is refused in the origin's words at %s", async (_where, steps, text) => {
    await organisation.origin.set({ steps });
    const { rcpt, final } = await byEmail(ANN, "Refused at once");
    expect(final ?? rcpt[0]).toMatchObject({ text });
    expect(kept).toBe(1);
    expect(await rowsOf("Refused at once")).toEqual([]);
  });

  it("is connected by the Worker itself where there is no keeper to be had", async () => {
    const before = await dots();
    const { final, afterwards } = await byEmail(ANN, "No keeper", none);
    expect(final?.code).toBe(250);
    expect(await dots()).toBe(before + 1);
    await organisation.origin.set({});
    await afterwards();
    expect(await rowsOf("No keeper")).toMatchObject([{ inInbox: false }]);
    expect(await taken("No keeper")).toBe(1);
  });

  it.each(["mail", "rcpt", "data", "write", "finish"] as const)(
    "waits in the inbox where the keeper dies at %s, and the origin is not blamed",
    async (step) => {
      await organisation.origin.set({});
      const dying = keeperWithout(step);
      expect((await byEmail(ANN, `Keeper dies at ${step}`, dying)).final?.code).toBe(250);
      expect(await rowsOf(`Keeper dies at ${step}`)).toMatchObject([{ inInbox: true, waiting: expect.any(Number) }]);
      expect((await object().status())?.mode.doubt).toBe(false);
      await run(2 * minutes);
      expect(await rowsOf(`Keeper dies at ${step}`)).toMatchObject([{ inInbox: false }]);
      expect(await taken(`Keeper dies at ${step}`)).toBe(1);
    },
  );

  it("is waited for by the Worker itself where the keeper does not take over", async () => {
    const { final, afterwards } = await byEmail(ANN, "Not taken over", keeperWithout("keep"));
    expect(final?.code).toBe(250);
    await organisation.origin.set({});
    await afterwards();
    expect(await rowsOf("Not taken over")).toMatchObject([{ inInbox: false }]);
    expect(await taken("Not taken over")).toBe(1);
  });

  it("has no keeper at the MX port, and none for whom nothing is stored", async () => {
    await organisation.origin.set({});
    // The origin answers at once; a busy machine may take longer for it than a hurried sender waits.
    const here = { ...(env as Env), KEEPER: counting };
    const dans = await late([DAN], "Dan's", { env: here, patience: { whole: 45_000 } });
    expect(dans.final?.code).toBe(250);
    const atMx = await late([ANN], "At the MX port", { env: here, patience: {} });
    expect(atMx.final?.code).toBe(250);
    expect(kept).toBe(0);
  });
});
