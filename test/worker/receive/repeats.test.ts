/** A repeat is shown once and sent once; what is no repeat never is taken for one. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createOrganisation, kept, letter, must, type Organisation, send, sendByEmailRouting } from "./organisation.ts";

let organisation: Organisation;
const mode = (mode: string) => must("PUT", `/api/domains/${organisation.domain}/mode`, { mode });
const taken = async () => (await organisation.origin.messages()).filter((message) => message.accepted).length;
const rows = async (subject: string) => (await kept(organisation.domain)).filter((row) => row.subject === subject);

beforeAll(async () => {
  organisation = await createOrganisation("repeats.example");
});
beforeEach(async () => {
  await organisation.origin.set({});
  await mode("normal");
});

const encoder = new TextEncoder();

/** What Email Routing puts on top, made anew at each try. */
function routed(octets: Uint8Array, id: string, minute: number): Uint8Array<ArrayBuffer> {
  const top = encoder.encode(
    [
      "Received: from mail.example.net (192.0.2.7)",
      `        by cloudflare-email.net (cloudflare) id ${id}`,
      `        for <ann@repeats.example>; Tue, 24 Nov 2026 10:${minute}:00 +0000`,
      `ARC-Seal: i=1; a=rsa-sha256; s=2022; d=email.cloudflare.net; c=relaxed/relaxed; b=${id}==`,
      `ARC-Message-Signature: i=1; a=rsa-sha256; t=17932${minute}; b=${id}==`,
      "ARC-Authentication-Results: i=1; mx.cloudflare.net; dkim=none",
      "Received-SPF: pass (mx.cloudflare.net: domain of example.net)",
      "Authentication-Results: mx.cloudflare.net; dkim=none",
      "",
    ].join("\r\n"),
  );
  const all = new Uint8Array(top.length + octets.length);
  all.set(top);
  all.set(octets, top.length);
  return all;
}

describe("Email Routing's retry, with fresh Received and ARC on top", () => {
  it.each(["normal", "emergency"])("is one message, not two, in %s mode", async (which) => {
    await mode(which);
    const subject = `Retried in ${which} mode`;
    const octets = letter({
      Received: "from desk by mail.example.net; Tue, 24 Nov 2026 09:00:00 +0000",
      Subject: subject,
    });
    const before = await taken();
    expect(await sendByEmailRouting("ann@repeats.example", routed(octets, "first", 10))).toMatchObject({
      kind: "accepted",
    });
    expect(await sendByEmailRouting("ann@repeats.example", routed(octets, "second", 25))).toMatchObject({
      kind: "accepted",
    });
    expect(await rows(subject)).toHaveLength(1);
    expect((await taken()) - before).toBe(which === "normal" ? 1 : 0);
  });

  it("is one message that the origin had, also when the domain has failed over in between", async () => {
    const octets = letter({ Subject: "Across the failover" });
    await sendByEmailRouting("ann@repeats.example", routed(octets, "first", 10));
    await mode("emergency");
    expect(await sendByEmailRouting("ann@repeats.example", routed(octets, "second", 25))).toMatchObject({
      kind: "accepted",
    });
    expect(await rows("Across the failover")).toMatchObject([{ inInbox: false }]);
  });
});

describe("no repeat", () => {
  it("are two different messages without Message-ID: two", async () => {
    await mode("emergency");
    for (const body of ["One.\r\n", "Two.\r\n"])
      await send(["ann@repeats.example"], letter({ "Message-ID": "", Subject: "No identifier" }, body));
    expect(await rows("No identifier")).toHaveLength(2);
  });

  it("is even the same message without Message-ID", async () => {
    await mode("emergency");
    const octets = letter({ "Message-ID": "", Subject: "Same, no identifier" });
    for (let time = 0; time < 2; time++) await send(["ann@repeats.example"], octets);
    expect(await rows("Same, no identifier")).toHaveLength(2);
  });

  it.each([
    ["another envelope sender", { from: "other@example.net" }, "ann"],
    ["another envelope recipient of the same mailbox", {}, "ann+tag"],
  ])("has %s", async (what, sending, local) => {
    await mode("emergency");
    const octets = letter({ Subject: what });
    await send(["ann@repeats.example"], octets);
    await send([`${local}@repeats.example`], octets, sending);
    expect(await rows(what)).toHaveLength(2);
  });

  it("has the same Message-ID and other octets", async () => {
    await mode("emergency");
    for (const body of ["One.\r\n", "Two.\r\n"])
      await send(
        ["ann@repeats.example"],
        letter({ "Message-ID": "<same@example.net>", Subject: "Same identifier" }, body),
      );
    expect(await rows("Same identifier")).toHaveLength(2);
  });
});

describe("a large message", () => {
  it("that comes again is one message, and the origin is left before its final dot", async () => {
    const octets = letter({ Subject: "Large and again" }, `${"A line of text.\r\n".repeat(100_000)}`);
    expect((await send(["ann@repeats.example"], octets)).final?.code).toBe(250);
    expect((await send(["ann@repeats.example"], octets)).final?.code).toBe(250);
    const copies = (await organisation.origin.messages()).filter(
      ({ accepted, raw }) => accepted && raw.length > 1_000_000,
    );
    expect(copies).toHaveLength(1);
    expect(await rows("Large and again")).toHaveLength(1);
  });
});
