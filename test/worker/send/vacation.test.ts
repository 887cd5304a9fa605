/** The vacation notice: who hears it, what it says, and how often. */
import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AUTOMATIC, NOTICE_AGAIN } from "../../../src/core/send/limits.ts";
import type { OutboundObject } from "../../../src/worker/send/object.ts";
import { automaticWho } from "../../../src/worker/send/rates.ts";
import { purgeSent } from "../../../src/worker/send/upkeep.ts";
import { type Json, json } from "../access/client.ts";
import { letter, must, send, sendByEmailRouting } from "../receive/organisation.ts";
import { createSender, flush, folder, outbound, type Sender, text, userOf, write } from "./sending.ts";

let sender: Sender;
let ann = "";
const AWAY = { isEnabled: true, textBody: "I am away until Monday." };

beforeAll(async () => {
  sender = await createSender("away.example.org");
  ann = `ann@${sender.domain}`;
});

beforeEach(async () => {
  await must("PUT", `/api/domains/${sender.domain}/mode`, { mode: "emergency" });
  // Other words than the last, so that whoever has heard those is told anew.
  await set({ isEnabled: false, textBody: crypto.randomUUID() });
  await set(AWAY);
  await sender.smartHost.forget();
});

async function set(vacation: Json): Promise<void> {
  const { status, body } = await json("PUT", "/api/mail/vacation", { token: sender.ann, body: vacation });
  if (status !== 200) throw new Error(JSON.stringify(body));
}

/** A letter to ann. @returns what went out because of it */
async function arrives(fields: Record<string, string> = {}, from = "zoe@example.net", to = ann) {
  const { final, rcpt } = await send([to], letter({ From: from, To: to, ...fields }), { from });
  expect((final ?? rcpt[0])?.code).toBe(250);
  return out();
}

async function out() {
  await flush(sender.domain);
  const messages = await sender.smartHost.messages();
  await sender.smartHost.forget();
  return messages.map(({ from, to, raw }) => ({ from, to, raw: text(raw) }));
}

describe("while the domain is in emergency mode, whoever writes to somebody who is away", () => {
  it("hears of it from the null sender, in their conversation, marked as an automatic reply", async () => {
    await json("PATCH", "/api/mail/identities/own", { token: sender.ann, body: { name: "Ann Ünlü" } });
    const [notice, ...others] = await arrives({
      Subject: "Lunch?",
      "Message-ID": "<lunch@example.net>",
      References: "<before@example.net>",
    });
    expect(others).toEqual([]);
    expect(notice).toMatchObject({ from: "", to: ["zoe@example.net"] });
    const raw = notice?.raw ?? "";
    expect(raw).toContain(`From: =?UTF-8?Q?Ann_=C3=9Cnl=C3=BC?= <${ann}>\r\n`);
    expect(raw).toContain("To: zoe@example.net\r\n");
    expect(raw).toContain("Subject: Auto: Lunch?\r\n");
    expect(raw).toContain("Auto-Submitted: auto-replied\r\n");
    expect(raw).toContain("In-Reply-To: <lunch@example.net>\r\n");
    expect(raw).toContain("References: <before@example.net> <lunch@example.net>\r\n");
    expect(raw).toContain("I am away until Monday.");
    expect((await folder(sender.ann, "inbox"))[0]).toMatchObject({ subject: "Lunch?", answered: false });
    expect(await folder(sender.ann, "sent")).toEqual([]);
    const { objects } = await env.MAIL.list({ include: ["customMetadata"] });
    const outgoing = objects.filter(({ customMetadata }) => customMetadata?.direction === "out");
    expect(outgoing.map(({ customMetadata }) => customMetadata?.archived)).toEqual(["no"]);
  });

  it("is signed with the domain's key where it has one", async () => {
    await must("POST", `/api/domains/${sender.domain}/dkim`, { selector: "hold1" });
    await must("PUT", `/api/domains/${sender.domain}/dkim/hold1`, { active: true });
    const [notice] = await arrives({}, "signed@example.net");
    expect(notice?.raw).toMatch(/^DKIM-Signature: .*d=away\.example\.org;\s.*s=hold1;/ms);
  });

  it("hears it with the subject and HTML that its owner has set", async () => {
    await set({ isEnabled: true, subject: "Away", htmlBody: "<p>Back on <b>Monday</b></p>" });
    const [notice] = await arrives();
    expect(notice?.raw).toContain("Subject: Away\r\n");
    expect(notice?.raw).toContain("multipart/alternative");
    expect(notice?.raw).toContain("Back on Monday");
  });

  it("hears it once in seven days, whichever address they write to; another hears it too", async () => {
    expect(await arrives({}, "once@example.net")).toHaveLength(1);
    expect(await arrives({}, "Once@EXAMPLE.net", `sales@${sender.domain}`)).toEqual([]);
    expect(await arrives({}, "another@example.net")).toHaveLength(1);
    const { mailbox } = await userOf(ann);
    await env.SHARD_0.prepare("UPDATE told SET at = at - ?1 WHERE account = ?2").bind(NOTICE_AGAIN, mailbox).run();
    expect(await arrives({}, "once@example.net")).toHaveLength(1);
  });

  it("hears other words anew, and the same ones not", async () => {
    expect(await arrives({}, "words@example.net")).toHaveLength(1);
    await set({ ...AWAY, isEnabled: false });
    await set({ ...AWAY, toDate: "2099-01-01T00:00:00Z" });
    expect(await arrives({}, "words@example.net")).toEqual([]);
    await set({ ...AWAY, textBody: "Until Tuesday." });
    expect(await arrives({}, "words@example.net")).toHaveLength(1);
  });

  it("hears it once of a message that comes again because its sender did not hear our answer", async () => {
    const octets = letter({ To: ann });
    await set({ isEnabled: true, textBody: "Once." });
    for (let tries = 0; tries < 2; tries++) await send([ann], octets, { from: "again@example.net" });
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM follow_up").first("n")).toBeLessThanOrEqual(1);
    expect(await out()).toHaveLength(1);
  });

  it("hears nothing before it begins and once it is over", async () => {
    const hour = (hours: number) => new Date(Date.now() + hours * 3600_000).toISOString();
    await set({ ...AWAY, fromDate: hour(1) });
    expect(await arrives()).toEqual([]);
    await set({ ...AWAY, fromDate: hour(-2), toDate: hour(-1) });
    expect(await arrives()).toEqual([]);
    await set({ ...AWAY, fromDate: hour(-2), toDate: hour(1) });
    expect(await arrives()).toHaveLength(1);
  });

  it("hears nothing where they are a machine, a list, or do not name whom they write to", async () => {
    expect(await arrives({ "Auto-Submitted": "auto-generated" })).toEqual([]);
    expect(await arrives({ "List-Id": "<news.example.net>" })).toEqual([]);
    expect(await arrives({ To: "undisclosed@example.net" })).toEqual([]);
    expect(await arrives({}, "noreply@example.net")).toEqual([]);
    expect(await arrives({}, "")).toEqual([]);
    expect(await arrives()).toHaveLength(1);
  });

  it("hears nothing where Email Routing has found their address to be forged; what they say of themselves is not believed", async () => {
    const by = (dmarc: string) =>
      `Authentication-Results: mx.cloudflare.net; dmarc=${dmarc} header.from=example.net\r\n`;
    const routed = async (top: string, from: string) => {
      const octets = new Uint8Array(new TextEncoder().encode(top + text(letter({ From: from, To: ann }))));
      expect(await sendByEmailRouting(ann, octets, from)).toMatchObject({ kind: "accepted" });
      return out();
    };
    const hop = "Received: from x (192.0.2.7)\r\n by cloudflare-email.net (cloudflare) id y\r\n";
    expect(await routed(hop + by("fail"), "forged@example.net")).toEqual([]);
    expect(await routed(hop + by("fail") + by("pass"), "forged@example.net")).toEqual([]);
    expect(await routed(hop + by("pass"), "real@example.net")).toHaveLength(1);
    // The gateway's senders may write what they like: it counts neither for nor against them.
    const octets = new TextEncoder().encode(by("fail") + text(letter({ To: ann })));
    await send([ann], octets, { from: "gateway@example.net" });
    expect(await out()).toHaveLength(1);
  });

  it("hears nothing in normal mode: the domain's own server answers by itself", async () => {
    await must("PUT", `/api/domains/${sender.domain}/mode`, { mode: "normal" });
    await sender.origin.set({ steps: { rcpt: "451 4.7.1 later" } });
    expect(await arrives()).toEqual([]);
    await sender.origin.set({});
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM follow_up").first("n")).toBe(0);
  });
});

describe("notices", () => {
  it("have a rate of their own: at its end nobody is told any more, and their owner writes on", async () => {
    const { mailbox } = await userOf(ann);
    const hour = Math.floor(Date.now() / 3600_000);
    await runInDurableObject(outbound(sender.domain), (_object: OutboundObject, state) => {
      const put = "INSERT OR REPLACE INTO rate (who, hour, recipients) VALUES (?, ?, ?)";
      state.storage.sql.exec(put, automaticWho("vacation", mailbox), hour, AUTOMATIC.vacation.hour);
    });
    expect(await arrives({}, "toomany@example.net")).toEqual([]);
    expect((await write(sender.ann, { to: ["a@example.net"], text: "Hello" })).status).toBe(201);
    expect(await out()).toHaveLength(1);
    await runInDurableObject(outbound(sender.domain), (_object: OutboundObject, state) => {
      const counted = state.storage.sql
        .exec("SELECT recipients FROM rate WHERE who = ?", `mailbox ${mailbox}`)
        .toArray();
      expect(counted).toEqual([{ recipients: 1 }]);
      state.storage.sql.exec("DELETE FROM rate");
    });
  });

  it("are sent from the mailbox's own address where Cloudflare's Email Service sends them, which takes no other", async () => {
    await must("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "cloudflare" } });
    await send([ann], letter({ To: ann }), { from: "cloud@example.net" });
    const { mailbox } = await userOf(ann);
    await expect
      .poll(() =>
        env.SHARD_0.prepare(
          `SELECT o.sender FROM outgoing o JOIN outgoing_recipient r ON r.outgoing = o.id
           WHERE o.account = ?1 AND r.recipient = 'cloud@example.net'`,
        )
          .bind(mailbox)
          .first("sender"),
      )
      .toBe(ann);
    const { domain } = sender;
    const { port } = sender.smartHost;
    await must("PUT", `/api/domains/${domain}`, {
      outgoing: { transport: "smarthost", host: "127.0.0.1", port, tls: "none" },
    });
    await out();
  });

  it("leave no trace of those who heard them once the seven days are over, nor of whose mailbox is removed", async () => {
    await arrives({}, "purged@example.net");
    const count = () => env.SHARD_0.prepare("SELECT count(*) AS n FROM told").first<number>("n");
    await purgeSent(env, Date.now());
    expect(await count()).toBeGreaterThan(0);
    await purgeSent(env, Date.now() + NOTICE_AGAIN + 1000);
    expect(await count()).toBe(0);
    await json("PUT", "/api/mail/vacation", { token: sender.bob, body: AWAY });
    await json("POST", "/api/mail/identities", { token: sender.bob, body: { email: `bob@${sender.domain}` } });
    const { mailbox } = await userOf(`bob@${sender.domain}`);
    const rows = async () => {
      const tables = ["identity", "on_arrival", "told", "follow_up"];
      const counts = tables.map((table) => `(SELECT count(*) FROM ${table} WHERE account = ?1)`).join(" + ");
      return env.SHARD_0.prepare(`SELECT ${counts} AS n`).bind(mailbox).first<number>("n");
    };
    expect(await rows()).toBe(2);
    await must("DELETE", `/api/domains/${sender.domain}/mailboxes/bob@${sender.domain}`);
    expect(await rows()).toBe(0);
  });

  it.each([
    [{ isEnabled: true }, "textBody"],
    [{ isEnabled: true, textBody: "  ", htmlBody: "" }, "textBody"],
    [{ ...AWAY, fromDate: "2026-02-01T00:00:00Z", toDate: "2026-01-01T00:00:00Z" }, "toDate"],
    [{ ...AWAY, subject: "Away\r\nBcc: x@example.net" }, "subject"],
    [{ ...AWAY, fromDate: "tomorrow" }, "fromDate"],
  ])("%j is refused, and what was set stays", async (vacation, field) => {
    const { status, body } = await json("PUT", "/api/mail/vacation", { token: sender.ann, body: vacation });
    expect([status, (body.errors as { field: string }[])[0]?.field]).toEqual([422, field]);
    expect((await json("GET", "/api/mail/vacation", { token: sender.ann })).body).toEqual({
      isEnabled: true,
      fromDate: null,
      toDate: null,
      subject: null,
      textBody: AWAY.textBody,
      htmlBody: null,
    });
  });
});
