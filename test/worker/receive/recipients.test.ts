/** Several recipients in one SMTP transaction. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { belowOurs, createOrganisation, kept, letter, must, type Organisation, send } from "./organisation.ts";

let one: Organisation;
let two: Organisation;
beforeAll(async () => {
  one = await createOrganisation("one.example");
  two = await createOrganisation("two.example");
});
beforeEach(async () => {
  await one.origin.set({});
  await must("PUT", `/api/domains/${one.domain}/mode`, { mode: "normal" });
});

describe("several recipients in one transaction", () => {
  it("go to the origin in one transaction when it accepts them, with one Received and one Delivered-To that names none of them", async () => {
    const before = (await one.origin.messages()).length;
    const octets = letter();
    const { rcpt, final } = await send(["ann@one.example", "bob@one.example"], octets);
    expect(rcpt.map((reply) => reply.code)).toEqual([250, 250]);
    expect(final?.code).toBe(250);
    const taken = (await one.origin.messages()).slice(before);
    expect(taken).toHaveLength(1);
    expect(taken[0]?.to).toEqual(["ann@one.example", "bob@one.example"]);
    expect(belowOurs(taken[0]?.raw ?? new Uint8Array())).toEqual(octets);
    const top = new TextDecoder().decode(taken[0]?.raw).slice(0, 400);
    expect(top.match(/^Delivered-To: /gm)).toHaveLength(1);
    expect(top.split("Message-ID")[0]).not.toContain("bob@");
  });

  it("of another domain hear 452 4.5.3: their sender comes again for them", async () => {
    const { rcpt } = await send(["ann@one.example", "ann@two.example"], letter());
    expect(rcpt[1]).toMatchObject({ code: 452, enhanced: "4.5.3" });
    expect(two.domain).toBe("two.example");
  });

  it("of another row of the table hear 452 4.5.3, and the origin is not asked for them", async () => {
    const { rcpt } = await send(["ann@one.example", "dan@one.example"], letter());
    expect(rcpt.map((reply) => reply.code)).toEqual([250, 452]);
    const last = (await one.origin.messages()).at(-1);
    expect(last?.to).toEqual(["ann@one.example"]);
  });

  it("that the origin refuses are answered at their RCPT, and the others go through", async () => {
    await one.origin.set({ recipients: { "bob@one.example": "550 5.2.1 Mailbox disabled" } });
    const { rcpt, final } = await send(["ann@one.example", "bob@one.example"], letter());
    expect(rcpt[1]).toEqual({ code: 550, enhanced: "5.2.1", text: "Mailbox disabled" });
    expect(final?.code).toBe(250);
  });

  it("that the origin defers come in a transaction of their own, and then to the portal", async () => {
    await one.origin.set({ recipients: { "bob@one.example": "452 4.2.2 Mailbox full" } });
    const octets = letter({ Subject: "Deferred for one" });
    const { rcpt } = await send(["ann@one.example", "bob@one.example"], octets);
    expect(rcpt[1]).toMatchObject({ code: 452, enhanced: "4.5.3" });
    const again = await send(["bob@one.example"], octets);
    expect(again.final?.code).toBe(250);
    const rows = (await kept(one.domain)).filter((row) => row.subject === "Deferred for one");
    expect(rows.map((row) => [row.mailbox, row.inInbox])).toEqual([
      ["ann", false],
      ["bob", true],
    ]);
  });

  it("that are unknown in emergency mode are answered at their RCPT, the others share one object", async () => {
    await must("PUT", `/api/domains/${one.domain}/mode`, { mode: "emergency" });
    const { rcpt, final } = await send(
      ["ann@one.example", "nobody@one.example", "bob@one.example"],
      letter({ Subject: "For two" }),
    );
    expect(rcpt.map((reply) => reply.code)).toEqual([250, 550, 250]);
    expect(final?.code).toBe(250);
    const rows = (await kept(one.domain)).filter((row) => row.subject === "For two");
    expect(rows.map((row) => row.mailbox)).toEqual(["ann", "bob"]);
    expect(new Set(rows.map((row) => row.key)).size).toBe(1);
  });

  it("takes as many recipients in UTF-8 as there is room for beside the octets, and the others come again", async () => {
    await must("PUT", `/api/domains/${one.domain}/mode`, { mode: "emergency" });
    const to = Array.from({ length: 100 }, (_, n) => `ann+${"δ".repeat(28)}${10 + n}@one.example`);
    const { rcpt, final } = await send(to, letter(), { mail: { smtputf8: true } });
    expect(new Set(rcpt.map((reply) => reply.code))).toEqual(new Set([250, 452]));
    expect(final?.code).toBe(250);
  });

  it("is taken once where the sender names a recipient twice", async () => {
    const { rcpt } = await send(["ann@one.example", "ann@one.example"], letter({ Subject: "Named twice" }));
    expect(rcpt.map((reply) => reply.code)).toEqual([250, 250]);
    const copies = (await one.origin.messages()).filter(({ raw }) =>
      new TextDecoder().decode(raw).includes("Named twice"),
    );
    expect(copies.map((copy) => copy.to)).toEqual([["ann@one.example"]]);
  });

  it("hears 550 5.7.1 for a domain that is not ours", async () => {
    const { rcpt } = await send(["someone@elsewhere.example"], letter());
    expect(rcpt[0]).toMatchObject({ code: 550, enhanced: "5.7.1" });
  });

  it.each(["", "no-at-sign", "two@@one.example", `${"x".repeat(65)}@one.example`, "a b@one.example"])(
    "hears 501 5.1.3 for the bad address %j",
    async (to) => {
      const { rcpt } = await send([to], letter());
      expect(rcpt[0]).toMatchObject({ code: 501, enhanced: "5.1.3" });
    },
  );
});
