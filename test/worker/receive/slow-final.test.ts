/** An origin that answers the final dot after its sender has gone: the message is accepted, and what comes of it. */
import { env } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { asOperator } from "../access/client.ts";
import { createOrganisation, kept, letter, must, octetsIn, transact } from "./organisation.ts";
import {
  ANN,
  BOB,
  budgetOver,
  DAN,
  DOMAIN,
  detached,
  dots,
  HELD,
  HURRIED,
  late,
  minutes,
  mode,
  object,
  organisation,
  rowsOf,
  run,
  taken,
  useSlowOrigin,
} from "./slow-origin.ts";

useSlowOrigin();

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
