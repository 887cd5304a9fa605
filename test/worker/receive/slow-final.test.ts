/** An origin that has the whole message and thinks about it for longer than a sender waits: content filters do that. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { LATE_FINAL_MARGIN } from "../../../src/core/limits.ts";
import { DomainObject } from "../../../src/worker/domain/object.ts";
import type { Env } from "../../../src/worker/env.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import type { Patience } from "../../../src/worker/receive/patience.ts";
import { asOperator } from "../access/client.ts";
import {
  belowOurs,
  createOrganisation,
  kept,
  letter,
  must,
  type Organisation,
  octetsIn,
  transact,
} from "./organisation.ts";

// Each waits for a budget to end, and a busy machine adds to that.
vi.setConfig({ testTimeout: 30_000 });

let organisation: Organisation;
const DOMAIN = "slow.example";
const ANN = `ann@${DOMAIN}`;
const BOB = `bob@${DOMAIN}`;
const DAN = `dan@${DOMAIN}`;
const HELD = { steps: { final: { held: true } } } as const;
/** A sender that waits for a moment, and then no longer. */
const HURRIED: Partial<Patience> = { budget: 1_500, final: 0 };
/** Until the budget of a message whose final dot is out is surely over. */
const budgetOver = () => scheduler.wait(1_700);
const minutes = 60_000;

const mode = (mode: string) => must("PUT", `/api/domains/${DOMAIN}/mode`, { mode });
const rowsOf = async (subject: string) => (await kept(DOMAIN)).filter((row) => row.subject === subject);
const object = () => env.DOMAIN.getByName(DOMAIN);

/** Those that the origin has taken, by subject. */
async function taken(subject: string): Promise<number> {
  const messages = await organisation.origin.messages();
  const decoder = new TextDecoder();
  return messages.filter(({ accepted, raw }) => accepted && decoder.decode(raw).includes(`Subject: ${subject}\r\n`))
    .length;
}

/** The final dots that the origin has seen. */
async function dots(): Promise<number> {
  return (await organisation.origin.report()).transcript.filter((line) => line === "C: (message) .").length;
}

/** What a run of redelivery does now, and at the times that are due until then. @param later milliseconds from now */
async function run(later = 0): Promise<void> {
  await runInDurableObject(object(), async (object: DomainObject) => {
    const real = object.world;
    object.world = { ...real, now: () => Date.now() + later };
    await object.wake(DOMAIN);
    await object.alarm();
    object.world = real;
  });
}

function proxy<T extends object>(target: T, broken: Partial<Record<string, unknown>>): T {
  return new Proxy(target, {
    get(object, name) {
      if (typeof name === "string" && name in broken) return broken[name];
      const value: unknown = Reflect.get(object, name);
      return typeof value === "function" ? value.bind(object) : value;
    },
  });
}

/** A stub of which one call fails before it has had any effect. */
function without<T extends object>(stub: T, name: string): T {
  return new Proxy(stub, {
    get: (stub, method) => {
      if (method === name) return () => Promise.reject(new Error("the object is down"));
      const value: unknown = Reflect.get(stub, method);
      return typeof value === "function" ? (...args: unknown[]) => Reflect.apply(value, stub, args) : value;
    },
  });
}

/** The domain's object answers no call of that name. */
function withoutCall(name: "hold" | "settleFinal"): Env {
  const DOMAIN = proxy(env.DOMAIN, { getByName: (domain: string) => without(env.DOMAIN.getByName(domain), name) });
  return { ...(env as Env), DOMAIN };
}

function keeperWithout(name: string): Env["KEEPER"] {
  return proxy(env.KEEPER, { get: (id: DurableObjectId) => without(env.KEEPER.get(id), name) });
}

const detached = { waitUntil: () => undefined };
const late = (to: readonly string[], subject: string, options: { env?: Env; patience?: Partial<Patience> } = {}) =>
  transact(detached, to, letter({ Subject: subject }), { patience: HURRIED, ...options });

beforeAll(async () => {
  organisation = await createOrganisation(DOMAIN);
});
beforeEach(async () => {
  await mode("normal");
  await organisation.origin.set(HELD);
});

describe("a message whose final dot the origin has not answered when the sender cannot wait longer", () => {
  it("is accepted and waits in the inbox, and leaves it when the origin takes it, sent once", async () => {
    const { final, afterwards } = await late([ANN], "Taken late");
    expect(final?.code).toBe(250);
    expect(await rowsOf("Taken late")).toMatchObject([{ mailbox: "ann", inInbox: true, waiting: expect.any(Number) }]);
    await run(5 * minutes);
    expect((await rowsOf("Taken late"))[0]?.inInbox).toBe(true);
    await organisation.origin.set({});
    await afterwards();
    const [row] = await rowsOf("Taken late");
    expect(row).toMatchObject({ inInbox: false });
    expect(await octetsIn(row?.key ?? "")).not.toBeNull();
    await run(20 * minutes);
    expect(await taken("Taken late")).toBe(1);
  });

  it("stays in the inbox with the origin's words where it refuses it in the end", async () => {
    const { final, afterwards } = await late([ANN], "Refused late");
    expect(final?.code).toBe(250);
    await organisation.origin.set({ steps: { final: "554 5.7.1 the filter says no" } });
    await afterwards();
    const row = await env.SHARD_0.prepare(
      "SELECT p.waiting, p.refusal, p.gone FROM placement p JOIN message m ON m.id = p.message WHERE m.subject = ?1",
    )
      .bind("Refused late")
      .first<{ waiting: number; refusal: string; gone: number | null }>();
    expect(row?.gone).toBeNull();
    expect(row?.waiting).toBeLessThan(0);
    expect(JSON.parse(row?.refusal ?? "")).toEqual({ code: 554, enhanced: "5.7.1", text: "the filter says no" });
    const before = await dots();
    await organisation.origin.set({});
    await run(20 * minutes);
    expect(await dots()).toBe(before);
    const { body } = await asOperator("GET", `/api/domains/${DOMAIN}/events`);
    expect((body as { items: unknown[] }).items).toContainEqual(
      expect.objectContaining({
        kind: "late_refusal",
        data: expect.objectContaining({ reply: "554 5.7.1 the filter says no", to: [ANN] }),
      }),
    );
  });

  it.each([
    ["hangs up", { drop: true }],
    ["defers it", "451 4.3.0 the filter is full"],
  ] as const)("is sent again where the origin %s, and that is no reason to fail over", async (what, step) => {
    const { afterwards } = await late([ANN], `Origin ${what}`);
    await organisation.origin.set({ steps: { final: step } });
    await afterwards();
    expect((await rowsOf(`Origin ${what}`))[0]?.inInbox).toBe(true);
    expect((await object().status())?.mode.doubt).toBe(false);
    await organisation.origin.set({});
    await run(2 * minutes);
    expect(await rowsOf(`Origin ${what}`)).toMatchObject([{ inInbox: false }]);
    expect(await taken(`Origin ${what}`)).toBe(1);
  });

  it("is sent again where the origin says nothing to the end", async () => {
    const { final, afterwards } = await late([ANN], "Never answered", { patience: { ...HURRIED, background: 2_000 } });
    expect(final?.code).toBe(250);
    await afterwards();
    expect((await rowsOf("Never answered"))[0]?.inInbox).toBe(true);
    await organisation.origin.set({ steps: { final: [null] } });
    await run(2 * minutes);
    expect((await rowsOf("Never answered"))[0]?.inInbox).toBe(false);
  });

  it("of several recipients is one message to the origin, and leaves every inbox", async () => {
    const { final, afterwards } = await late([ANN, `info@${DOMAIN}`, BOB], "To three");
    expect(final?.code).toBe(250);
    const rows = await rowsOf("To three");
    expect(rows.map(({ mailbox, inInbox }) => `${mailbox} ${inInbox}`)).toEqual(["ann true", "ann true", "bob true"]);
    await organisation.origin.set({});
    await afterwards();
    expect((await rowsOf("To three")).filter((row) => row.inInbox)).toEqual([]);
    expect(await taken("To three")).toBe(1);
  });

  it("leaves the inbox also where the domain has gone into emergency mode meanwhile", async () => {
    const { afterwards } = await late([ANN], "Failed over meanwhile");
    await mode("emergency");
    await organisation.origin.set({});
    await afterwards();
    expect((await rowsOf("Failed over meanwhile"))[0]?.inInbox).toBe(false);
  });

  it("is answered 250 when its sender repeats it, and goes no second time to the origin", async () => {
    const octets = letter({ Subject: "Repeated" });
    const { afterwards } = await transact(detached, [ANN], octets, { patience: HURRIED });
    const before = await dots();
    const again = await transact(detached, [ANN], octets, { patience: HURRIED });
    expect(again.final).toMatchObject({ code: 250, text: "Accepted before, not taken twice" });
    expect(await dots()).toBe(before);
    expect(await rowsOf("Repeated")).toHaveLength(1);
    await organisation.origin.set({});
    await afterwards();
    expect(await taken("Repeated")).toBe(1);
  });

  it("cannot be moved or deleted by a person meanwhile: 409", async () => {
    await must("PUT", `/api/domains/${DOMAIN}/mailboxes/${ANN}`, { password: "correct horse battery staple" });
    const { afterwards } = await late([ANN], "Not now");
    const { key } = (await rowsOf("Not now"))[0] ?? { key: "" };
    expect(await object().withdraw([flightKey(key, ANN)])).toEqual([flightKey(key, ANN)]);
    const answer = await asOperator("DELETE", `/api/domains/${DOMAIN}/mailboxes/${ANN}?waiting=discard`);
    expect(answer).toMatchObject({ status: 409, body: { code: "being_delivered" } });
    await organisation.origin.set({});
    await afterwards();
    expect((await rowsOf("Not now"))[0]?.inInbox).toBe(false);
  });
});

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
    ["the octets", { MAIL: proxy(env.MAIL, { put: () => Promise.reject(new Error("R2 is down")) }) }],
    ["the rows", { SHARD_0: proxy(env.SHARD_0, { batch: () => Promise.reject(new Error("D1 is down")) }) }],
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
    const MAIL = proxy(env.MAIL, { put: () => Promise.reject(new Error("R2 is down")) });
    const { final } = await late([ANN], "Neither stored nor answered", { env: { ...(env as Env), MAIL } });
    expect(final).toMatchObject({ code: 451, enhanced: "4.3.0" });
    expect(await rowsOf("Neither stored nor answered")).toEqual([]);
  });
});

describe("mail that email() brings, where the origin is known to be slow", () => {
  const patience = { ...HURRIED, whole: 45_000 };
  let kept = 0;
  const counting = proxy(env.KEEPER, {
    get: (id: DurableObjectId) => {
      kept += 1;
      return env.KEEPER.get(id);
    },
  });
  const none = proxy(env.KEEPER, {
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
    expect((await byEmail(DAN, "Dan's")).final?.code).toBe(250);
    const atMx = await late([ANN], "At the MX port", { env: { ...(env as Env), KEEPER: counting } });
    expect(atMx.final?.code).toBe(250);
    expect(kept).toBe(0);
  });
});

describe("a recipient who is not covered: nothing is stored, so the sender waits", () => {
  it.each([
    ["250", {}, 250],
    ["5xx", { steps: { final: "554 5.7.1 no" } }, 554],
  ] as const)("beyond the budget, and hears the origin's %s", async (_what, behaviour, code) => {
    const before = await dots();
    const sending = late([DAN], "Not covered", { patience: { ...HURRIED, final: 60_000 } });
    await vi.waitFor(async () => expect(await dots()).toBe(before + 1), 10_000);
    await budgetOver();
    await organisation.origin.set(behaviour);
    expect((await sending).final?.code).toBe(code);
    expect(await rowsOf("Not covered")).toEqual([]);
  });

  it("but not for ever: then it keeps the message", async () => {
    expect((await late([DAN], "Not covered, not answered")).final).toMatchObject({ code: 451, enhanced: "4.4.1" });
  });

  it("in email() only as long as the platform lets us", async () => {
    const patience = { budget: 1_500, final: 60_000, whole: 3_000 };
    expect((await late([DAN], "Not covered, email()", { patience })).final?.code).toBe(451);
  });
});

it("an origin behind a gateway is waited for in the same way", async () => {
  const domain = "slow-through.example";
  const { origin } = await createOrganisation(domain, { transport: "gateway" });
  await origin.set(HELD);
  const { final, afterwards } = await late([`ann@${domain}`], "Through a gateway");
  expect(final?.code).toBe(250);
  expect(await kept(domain)).toMatchObject([{ inInbox: true }]);
  await origin.set({});
  await afterwards();
  expect(await kept(domain)).toMatchObject([{ inInbox: false }]);
  expect((await origin.messages()).map(({ accepted }) => accepted)).toEqual([true]);
});
