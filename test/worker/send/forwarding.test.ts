/** Forwarding in an outage: confirmed first, as it came, once, and never round and round. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AUTOMATIC, CONFIRMATION_LIFE, CONFIRMATION_TRIES } from "../../../src/core/send/limits.ts";
import type { OutboundObject } from "../../../src/worker/send/object.ts";
import { automaticWho } from "../../../src/worker/send/rates.ts";
import { json } from "../access/client.ts";
import { createOrganisation, letter, must, send } from "../receive/organisation.ts";
import { createSender, flush, folder, outbound, rawOf, type Sender, text, userOf } from "./sending.ts";

let sender: Sender;
let ann = "";
const PRIVATE = "ann.private@example.com";

beforeAll(async () => {
  sender = await createSender("sent-on.example.org");
  ann = `ann@${sender.domain}`;
});

beforeEach(async () => {
  await must("PUT", `/api/domains/${sender.domain}/mode`, { mode: "emergency" });
  await runInDurableObject(outbound(sender.domain), (_object: OutboundObject, state) => {
    state.storage.sql.exec("DELETE FROM rate");
  });
  await put(null);
  await out();
});

const put = (address: string | null, token = sender.ann) =>
  json("PUT", "/api/mail/forwarding", { token, body: { address } });
const confirm = (code: string, token = sender.ann) =>
  json("POST", "/api/mail/forwarding/confirm", { token, body: { code } });
const state = async (token = sender.ann) => (await json("GET", "/api/mail/forwarding", { token })).body;

async function out() {
  await flush(sender.domain);
  const messages = await sender.smartHost.messages();
  await sender.smartHost.forget();
  return messages.map(({ from, to, raw }) => ({ from, to, raw: text(raw) }));
}

/** @returns the code that was sent to the address */
async function asked(address = PRIVATE): Promise<string> {
  expect((await put(address)).status).toBe(200);
  const [mail, ...others] = await out();
  expect([mail?.to, others]).toEqual([[address], []]);
  return /^ {4}([a-z2-7]{4}-[a-z2-7]{4})\r$/m.exec(mail?.raw ?? "")?.[1] ?? "";
}

async function confirmed(address = PRIVATE): Promise<void> {
  expect((await confirm(await asked(address))).status).toBe(200);
}

async function arrives(octets = letter({ To: ann }), from = "zoe@example.net", to = ann) {
  const { final, rcpt } = await send([to], octets, { from });
  expect((final ?? rcpt[0])?.code).toBe(250);
  return out();
}

const events = async (kind: string) => {
  const body = await must("GET", `/api/domains/${sender.domain}/events?limit=200`);
  return (body.items as { kind: string; data: Record<string, unknown> }[]).filter((event) => event.kind === kind);
};

describe("a private address", () => {
  it("is in force once whoever sits there has told the code; administrators see it in the log", async () => {
    expect(await state()).toEqual({ address: null, keep: true, pending: null });
    const code = await asked();
    expect(await state()).toMatchObject({ address: null, pending: { address: PRIVATE } });
    expect(await arrives()).toEqual([]);
    expect((await confirm("aaaa-aaaa")).status).toBe(422);
    expect(await confirm(code.toUpperCase().replace("-", " "))).toMatchObject({
      status: 200,
      body: { address: PRIVATE, pending: null },
    });
    // The answer was lost, and it is said again.
    expect((await confirm(code)).status).toBe(200);
    expect((await events("forwarding_set"))[0]).toMatchObject({ data: { mailbox: ann, address: PRIVATE } });
    expect(await put(null)).toMatchObject({ status: 200, body: { address: null } });
    expect((await events("forwarding_ended"))[0]).toMatchObject({ data: { address: PRIVATE } });
    expect((await confirm(code)).status).toBe(422);
    expect(await arrives()).toEqual([]);
  });

  it("is told of no code by us, and none is where it could be read", async () => {
    const code = await asked();
    const { results } = await env.SHARD_0.prepare("SELECT * FROM on_arrival").all();
    const plain = code.replace("-", "");
    expect(JSON.stringify([results, await state(), await events("forwarding_set")])).not.toContain(plain);
  });

  it("stays as it is while another one is asked for, and whoever guesses too often is not heard any more", async () => {
    await confirmed();
    const code = await asked("other@example.com");
    expect(await state()).toMatchObject({ address: PRIVATE, pending: { address: "other@example.com" } });
    for (let tries = 0; tries < CONFIRMATION_TRIES; tries++) await confirm(`aaaa-aaa${"abcdefghij"[tries]}`);
    expect((await confirm(code)).status).toBe(422);
    expect(await state()).toMatchObject({ address: PRIVATE });
    const [first] = await arrives();
    expect(first?.to).toEqual([PRIVATE]);
  });

  it("is not confirmed by a code of the day before, nor by another mailbox's", async () => {
    const code = await asked();
    expect((await confirm(code, sender.bob)).status).toBe(422);
    await env.SHARD_0.prepare("UPDATE on_arrival SET asked_at = asked_at - ?1").bind(CONFIRMATION_LIFE).run();
    expect((await confirm(code)).status).toBe(422);
  });

  it("that nobody asks for is not flooded: at most so many codes an hour", async () => {
    for (let count = 0; count < AUTOMATIC.confirmation.hour; count++) {
      expect((await put(`victim${count}@example.com`)).status).toBe(200);
    }
    expect(await put("victim@example.com")).toMatchObject({ status: 429, body: { code: "rate" } });
    expect(await out()).toHaveLength(AUTOMATIC.confirmation.hour);
  });

  it("has to be elsewhere, and there has to be a way out for what others wrote", async () => {
    await createOrganisation("other-customer.example");
    for (const address of [`bob@${sender.domain}`, "x@other-customer.example"]) {
      expect(await put(address)).toMatchObject({ status: 422, body: { code: "own_domain" } });
    }
    expect(await put("nobody")).toMatchObject({ status: 422, body: { code: "bad_address" } });
    await must("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "cloudflare" } });
    expect(await put(PRIVATE)).toMatchObject({ status: 409, body: { code: "no_way_out" } });
    await smartHost();
  });
});

const smartHost = () =>
  must("PUT", `/api/domains/${sender.domain}`, {
    outgoing: { transport: "smarthost", host: "127.0.0.1", port: sender.smartHost.port, tls: "none" },
  });

describe("what arrives in emergency mode", () => {
  it("goes on to it as it came, below a Received and a mark of ours, and stays in the inbox to be given back", async () => {
    await confirmed();
    const octets = letter({ To: ann, Subject: "Gr\u00fc\u00dfe" }, "eight bits: \u00e4\r\n.\r\ntrailing space \r\n");
    const [copy, ...others] = await arrives(octets, "zoe@example.net", `sales@${sender.domain}`);
    expect(others).toEqual([]);
    expect(copy).toMatchObject({ from: ann, to: [PRIVATE] });
    const top =
      /^Received: from mail\.example\.net \(\[192\.0\.2\.7\]\)\r\n\tby mx\.holdfast\.test \(Holdfast\) .*\r\n\t; .*\r\nX-Holdfast-Forwarded: by mx\.holdfast\.test for <ann@sent-on\.example\.org>\r\n/;
    expect(copy?.raw).toMatch(top);
    expect(copy?.raw.replace(top, "")).toBe(text(octets));
    const [kept] = await folder(sender.ann, "inbox");
    expect(kept).toMatchObject({ waiting: true });
    expect(await rawOf(sender.ann, kept?.id)).toBe(text(octets));
    expect(await folder(sender.ann, "sent")).toEqual([]);
    await sender.origin.forget();
    await must("PUT", `/api/domains/${sender.domain}/mode`, { mode: "normal" });
    await expect.poll(async () => (await sender.origin.messages()).length, { timeout: 10_000 }).toBeGreaterThan(0);
    await expect.poll(async () => (await folder(sender.ann, "inbox")).length, { timeout: 10_000 }).toBe(0);
  });

  it("goes on once where its sender comes again", async () => {
    await confirmed();
    const octets = letter({ To: ann });
    expect(await arrives(octets)).toHaveLength(1);
    expect(await arrives(octets)).toEqual([]);
  });

  it("goes on no second time when it comes back, to whichever of our mailboxes", async () => {
    await confirmed();
    const [copy] = await arrives();
    const back = new Uint8Array(new TextEncoder().encode(copy?.raw ?? ""));
    // To the one that sent it on: a loop, by the mail's own way.
    const { final } = await send([ann], back, { from: "ann.private@example.com" });
    expect(final?.code).toBe(554);
    expect(await arrives(back, "ann.private@example.com", `sales@${sender.domain}`)).toEqual([]);
  });

  it("does not go on where it is a report, such as one that a copy was not taken", async () => {
    await confirmed();
    expect(await arrives(letter({ To: ann }), "")).toEqual([]);
  });

  it("does not go on in normal mode", async () => {
    await confirmed();
    await must("PUT", `/api/domains/${sender.domain}/mode`, { mode: "normal" });
    await sender.origin.set({ steps: { rcpt: "451 4.7.1 later" } });
    expect(await arrives()).toEqual([]);
    await sender.origin.set({});
  });

  it("stays where it is when the private address refuses it: its owner hears of it in their inbox, its sender does not", async () => {
    await confirmed();
    await sender.smartHost.set({ steps: { rcpt: "550 5.1.1 no such user" } });
    expect(await arrives(letter({ To: ann, Subject: "Refused there" }))).toEqual([]);
    await sender.smartHost.set({});
    const [report, kept] = await folder(sender.ann, "inbox");
    expect(kept).toMatchObject({ subject: "Refused there", waiting: true });
    expect(report).toMatchObject({ subject: "[Not sent on] Refused there" });
    const raw = await rawOf(sender.ann, report?.id);
    expect(raw).toContain("The message itself is in your mailbox here.");
    expect(raw).toContain("no such user");
    // Nor is the report sent on.
    expect(await out()).toEqual([]);
  });

  it("waits where too much has been sent on, and then goes on", async () => {
    await confirmed();
    const { mailbox } = await userOf(ann);
    const who = automaticWho("forwarding", mailbox);
    const hour = Math.floor(Date.now() / 3600_000);
    await runInDurableObject(outbound(sender.domain), (_object: OutboundObject, state) => {
      const much = "INSERT INTO rate (who, hour, recipients) VALUES (?, ?, ?)";
      state.storage.sql.exec(much, who, hour, AUTOMATIC.forwarding.hour);
    });
    expect(await arrives()).toEqual([]);
    await runInDurableObject(outbound(sender.domain), (_object: OutboundObject, state) => {
      state.storage.sql.exec("DELETE FROM rate");
    });
    await env.SHARD_0.prepare("UPDATE follow_up SET due = due - 7200").run();
    expect(await out()).toHaveLength(1);
  });

  it("does not go on where the private address has become one of this service's; that is an event, once an hour", async () => {
    await confirmed("ann@joins-later.example");
    await createOrganisation("joins-later.example");
    expect(await arrives()).toEqual([]);
    expect(await arrives()).toEqual([]);
    const whys = (await events("not_sent_on")).map(({ data }) => data.why);
    expect(whys).toEqual(["joins-later.example is a domain of this service"]);
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM follow_up").first("n")).toBe(0);
  });

  it("does not go on where there is no way out for it any more", async () => {
    await confirmed();
    await must("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "cloudflare" } });
    expect(await arrives()).toEqual([]);
    expect((await folder(sender.ann, "inbox"))[0]).toMatchObject({ waiting: true });
    await smartHost();
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM follow_up").first("n")).toBe(0);
  });
});
