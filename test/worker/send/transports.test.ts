/** What is particular to each way out. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { asOperator } from "../access/client.ts";
import { Clock, createSender, folder, rawOf, type Sender, text, write } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`ways-${count}.example.org`);
  clock = await Clock.over(sender);
});

describe("mail to colleagues, and to other domains of this service", () => {
  it("goes in one transaction to all of a domain, and each has it in the portal inbox", async () => {
    await clock.write({
      to: [`bob@${sender.domain}`, `sales@${sender.domain}`, `ann@${sender.domain}`],
      subject: "All",
    });
    await clock.run();
    expect(await folder(sender.bob, "inbox")).toMatchObject([{ subject: "All", waiting: true }]);
    // Her own address and the alias: two recipients, two copies.
    expect(await folder(sender.ann, "inbox")).toMatchObject([{ subject: "All" }, { subject: "All" }]);
    expect(await sender.smartHost.messages()).toEqual([]);
  });

  it("is refused where there is no such mailbox, and its writer hears so", async () => {
    const id = await clock.write({ to: [`nobody@${sender.domain}`, `bob@${sender.domain}`] });
    await clock.run();
    expect(await clock.states(id)).toMatchObject([
      { state: "refused", reply: "550 5.1.1 No such mailbox here" },
      { state: "delivered" },
    ]);
    expect(await folder(sender.ann, "inbox")).toMatchObject([{ subject: "[Not delivered] Hello" }]);
  });

  it("goes to their own server in normal mode, octet for octet under our two fields", async () => {
    const normal = await createSender(`normal-${count}.example.org`, "normal");
    const { body } = await write(normal.ann, { to: [`bob@${normal.domain}`], subject: "Hi" });
    const there = await Clock.over(normal);
    await there.run();
    const [message] = await normal.origin.messages();
    expect(message).toMatchObject({ from: `ann@${normal.domain}`, to: [`bob@${normal.domain}`] });
    const sent = await rawOf(normal.ann, body.id);
    expect(text(message?.raw ?? new Uint8Array()).endsWith(sent)).toBe(true);
    expect(await folder(normal.bob, "inbox")).toEqual([]);
  });

  it("of another customer's domain follows that domain's mode", async () => {
    const other = await createSender(`elsewhere-${count}.example.org`, "normal");
    await clock.write({ to: [`bob@${other.domain}`] });
    await clock.run();
    expect(await other.origin.messages()).toHaveLength(1);
    expect(await sender.smartHost.messages()).toEqual([]);
  });
});

describe("what an origin relays", () => {
  const relay = async () => {
    const id = await env.DIRECTORY.prepare("SELECT id FROM mailbox WHERE address = ?")
      .bind(`ann@${sender.domain}`)
      .first<number>("id");
    return { kind: "relay", name: "relay 1", archive: [{ account: id ?? 0, shard: 0 }] } as const;
  };
  const letter = () =>
    `From: Ann <ann@${sender.domain}>\r\nTo: zoe@example.net\r\nMessage-ID: <r@x>\r\nSubject: Relayed\r\n\r\nBody\r\n`;

  it("goes on unchanged under our Received, and is archived for the covered mailbox of its From, not put into Sent", async () => {
    const submitted = await clock.submit(letter(), {
      from: `ann@${sender.domain}`,
      to: ["zoe@example.net"],
      writer: await relay(),
    });
    expect(submitted).toMatchObject({ ok: true, value: { isNew: true } });
    await clock.run();
    const [message] = await sender.smartHost.messages();
    const octets = text(message?.raw ?? new Uint8Array());
    expect(octets).toMatch(
      /^Received: from mail\.example\.net \(\[192\.0\.2\.7\]\)\r\n\tby mx\.holdfast\.test \(Holdfast\) with ESMTPS id /,
    );
    expect(octets.endsWith(letter())).toBe(true);
    expect(await folder(sender.ann, "archive")).toMatchObject([{ subject: "Relayed" }]);
    expect(await folder(sender.ann, "sent")).toEqual([]);
  });

  it("comes again because its answer was lost: it is taken for a repeat, and sent once", async () => {
    const asked = { from: `ann@${sender.domain}`, to: ["zoe@example.net"], writer: await relay() };
    const first = await clock.submit(letter(), asked);
    const second = await clock.submit(letter(), asked);
    expect([first, second]).toMatchObject([{ value: { isNew: true } }, { value: { isNew: false } }]);
    // To somebody else it is another message.
    expect(await clock.submit(letter(), { ...asked, to: ["yan@example.net"] })).toMatchObject({
      value: { isNew: true },
    });
    await clock.run();
    expect(await sender.smartHost.messages()).toHaveLength(2);
  });

  it("with a sender elsewhere is sent, and a report of its failure goes to that sender", async () => {
    await sender.smartHost.set({ recipients: { "gone@example.net": "550 5.1.1 no such user" } });
    const writer = { kind: "relay", name: "relay 1", archive: [] } as const;
    await clock.submit("From: x@example.com\r\nMessage-ID: <f@x>\r\n\r\nx\r\n", {
      from: "x@example.com",
      to: ["gone@example.net"],
      writer,
    });
    await clock.run();
    const [report] = await sender.smartHost.messages();
    expect(report).toMatchObject({ from: "", to: ["x@example.com"] });
    expect(text(report?.raw ?? new Uint8Array())).toContain("Subject: [Not delivered] ");
  });

  it("is refused where it has gone in a circle", async () => {
    const hops = "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n".repeat(101);
    const writer = { kind: "relay", name: "relay 1", archive: [] } as const;
    const submitted = await clock.submit(`${hops}${letter()}`, {
      from: "x@example.com",
      to: ["zoe@example.net"],
      writer,
    });
    expect(submitted).toMatchObject({ ok: false, error: { reason: "loop" } });
  });
});

describe("the domain's signature", () => {
  const makeKey = async () => {
    const made = await asOperator("POST", `/api/domains/${sender.domain}/dkim`, { selector: "s1" });
    expect(made).toMatchObject({ status: 201, body: { active: false, record: { type: "TXT" } } });
    expect(JSON.stringify(made.body)).not.toContain("PRIVATE");
    return made.body.record as { name: string; value: string; strings: string[] };
  };
  const signed = async () => {
    await clock.run();
    const [message] = await sender.smartHost.messages();
    return text(message?.raw ?? new Uint8Array());
  };

  it("is there once its key is made to sign, below our Received, and the same at each try", async () => {
    const record = await makeKey();
    expect(record.name).toBe(`s1._domainkey.${sender.domain}`);
    expect(record.strings.every(({ length }) => length <= 255)).toBe(true);
    expect(record.strings.join("")).toBe(record.value);
    await clock.write({ to: ["zoe@example.net"] });
    expect(await signed()).not.toContain("DKIM-Signature");
    await sender.smartHost.forget();
    expect((await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s1`, { active: true })).status).toBe(204);
    await clock.write({ to: ["zoe@example.net"] });
    const octets = await signed();
    expect(octets).toMatch(/^Received: [^\r]*\r\n\t[^\r]*\r\nDKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed;/);
    expect(octets).toContain(`d=${sender.domain}`);
  });

  it("is not put on what is another domain's, or signed already", async () => {
    await makeKey();
    await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s1`, { active: true });
    const writer = { kind: "relay", name: "relay 1", archive: [] } as const;
    const from = `ann@${sender.domain}`;
    const bodies = [
      `From: x@example.com\r\nMessage-ID: <1@x>\r\n\r\nx\r\n`,
      `DKIM-Signature: v=1; d=${sender.domain}; b=x\r\nFrom: ${from}\r\nMessage-ID: <2@x>\r\n\r\nx\r\n`,
      `From: ${from}, x@example.com\r\nMessage-ID: <3@x>\r\n\r\nx\r\n`,
    ];
    for (const octets of bodies) await clock.submit(octets, { from, to: ["zoe@example.net"], writer });
    await clock.run();
    const all = (await sender.smartHost.messages()).map(({ raw }) => text(raw));
    expect(all).toHaveLength(3);
    for (const octets of all) expect(octets).not.toContain("c=relaxed/relaxed");
  });

  it("is not put on what a server forwards for a stranger, whatever its From says; on the server's own reports it is", async () => {
    await makeKey();
    await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s1`, { active: true });
    const writer = { kind: "relay", name: "relay 1", archive: [], others: true } as const;
    const lie = `From: The boss <ann@${sender.domain}>\r\nMessage-ID: <lie@x>\r\n\r\nPay this.\r\n`;
    await clock.submit(lie, { from: "thief@example.com", to: ["zoe@example.net"], writer });
    const absent = `From: ann@${sender.domain}\r\nMessage-ID: <absent@x>\r\nAuto-Submitted: auto-replied\r\n\r\nAway.\r\n`;
    await clock.submit(absent, { from: "", to: ["zoe@example.net"], writer });
    await clock.run();
    const all = (await sender.smartHost.messages()).map(({ from, raw }) => [
      from,
      text(raw).includes("DKIM-Signature: v=1; a=rsa-sha256"),
    ]);
    expect(all.sort()).toEqual([
      ["", true],
      ["thief@example.com", false],
    ]);
  });

  it("has keys that can be changed and forgotten", async () => {
    await makeKey();
    expect((await asOperator("POST", `/api/domains/${sender.domain}/dkim`, { selector: "s1" })).status).toBe(409);
    await asOperator("POST", `/api/domains/${sender.domain}/dkim`, { selector: "s2" });
    await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s1`, { active: true });
    await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s2`, { active: true });
    const keys = (await asOperator("GET", `/api/domains/${sender.domain}/dkim`)).body.items as {
      selector: string;
      active: boolean;
    }[];
    expect(keys.filter(({ active }) => active).map(({ selector }) => selector)).toEqual(["s2"]);
    expect((await asOperator("PUT", `/api/domains/${sender.domain}/dkim/s9`, { active: true })).status).toBe(404);
    expect((await asOperator("DELETE", `/api/domains/${sender.domain}/dkim/s2`)).status).toBe(204);
    expect((await asOperator("DELETE", `/api/domains/${sender.domain}/dkim/s2`)).status).toBe(404);
  });
});
