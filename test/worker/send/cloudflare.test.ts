/** Cloudflare's Email Service as a way out: its rules, its errors, and wrangler's own simulation of it. */

import { EmailMessage } from "cloudflare:email";
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { asOperator } from "../access/client.ts";
import { Clock, createSender, folder, type Sender, write } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`cloudflare-${count}.example.org`);
  clock = await Clock.over(sender);
});

describe("Cloudflare's Email Service", () => {
  interface Given {
    readonly from: string;
    readonly to: string;
  }
  const given: Given[] = [];
  /** @param said what it answers instead */
  const service = (said?: { code: string; message: string }) =>
    ({
      send: async ({ from, to }: Given) => {
        if (said) throw Object.assign(new Error(said.message), { code: said.code });
        given.push({ from, to });
        return { messageId: "cf-1" };
      },
    }) as unknown as SendEmail;
  const use = async (said?: { code: string; message: string }) => {
    clock.env = { ...env, SEND_EMAIL: service(said) } as Env;
    await clock.enter();
  };

  beforeEach(async () => {
    given.length = 0;
    await asOperator("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "cloudflare" } });
    await use();
  });

  it("is given each recipient outside, and colleagues have theirs at once", async () => {
    const id = await clock.write({ to: ["zoe@example.net", "yan@example.net", `bob@${sender.domain}`] });
    await clock.run();
    const from = `ann@${sender.domain}`;
    expect(given).toEqual([
      { from, to: "zoe@example.net" },
      { from, to: "yan@example.net" },
    ]);
    expect(await clock.states(id)).toMatchObject([
      { state: "delivered", reply: "250 2.0.0 Cloudflare took it as cf-1" },
      { state: "delivered" },
      { state: "delivered" },
    ]);
    expect(await folder(sender.bob, "inbox")).toHaveLength(1);
  });

  // https://developers.cloudflare.com/email-service/api/send-emails/workers-api/#error-codes
  const refused = (enhanced: string) => ({ state: "refused", reply: expect.stringContaining(`550 ${enhanced} `) });
  const waiting = { state: "waiting" };
  it.each([
    ["E_VALIDATION_ERROR", refused("5.6.0")],
    ["E_FIELD_MISSING", refused("5.6.0")],
    ["E_TOO_MANY_RECIPIENTS", waiting],
    ["E_SENDER_NOT_VERIFIED", waiting],
    ["E_RECIPIENT_NOT_ALLOWED", waiting],
    ["E_RECIPIENT_SUPPRESSED", refused("5.7.1")],
    ["E_SENDER_DOMAIN_NOT_AVAILABLE", waiting],
    ["E_CONTENT_TOO_LARGE", refused("5.3.4")],
    ["E_DELIVERY_FAILED", waiting],
    ["E_RATE_LIMIT_EXCEEDED", waiting],
    ["E_DAILY_LIMIT_EXCEEDED", waiting],
    ["E_INTERNAL_SERVER_ERROR", waiting],
    ["E_HEADER_NOT_ALLOWED", refused("5.6.0")],
    ["E_HEADER_USE_API_FIELD", refused("5.6.0")],
    ["E_HEADER_VALUE_INVALID", refused("5.6.0")],
    ["E_HEADER_VALUE_TOO_LONG", refused("5.6.0")],
    ["E_HEADER_NAME_INVALID", refused("5.6.0")],
    ["E_HEADERS_TOO_LARGE", refused("5.6.0")],
    ["E_HEADERS_TOO_MANY", refused("5.6.0")],
    ["E_NOT_KNOWN_YET", waiting],
  ])("says %s, and what becomes of the message fits that", async (code, expected) => {
    await use({ code, message: "in its words" });
    const id = await clock.write({ to: ["zoe@example.net"] });
    await clock.run();
    const [state] = await clock.states(id);
    expect(state).toMatchObject(expected);
    if (expected !== waiting) {
      expect(state?.reply).toContain(`${code} in its words`);
      expect(await folder(sender.ann, "inbox")).toMatchObject([{ subject: "[Not delivered] Hello" }]);
      return;
    }
    // Not the writer's business; in its own words for whoever has to do something about it.
    const { items } = (await asOperator("GET", `/api/domains/${sender.domain}/outgoing`)).body;
    expect(items).toMatchObject([{ reply: expect.stringContaining(`${code} in its words`) }]);
    expect(await folder(sender.ann, "inbox")).toEqual([]);
    await use();
    await clock.run(120);
    expect(await clock.states(id)).toMatchObject([{ state: "delivered" }]);
  });

  const octets = (fields: string[], body = "x"): string => `${fields.join("\r\n")}\r\n\r\n${body}\r\n`;
  const from = () => `From: ann@${sender.domain}`;
  const message = (id: string) => `Message-ID: <${id}@x>`;

  it.each([
    ["too large", () => octets([from(), message("a")], "x".repeat(5 * 1024 * 1024)), "larger than 5242880 octets"],
    [
      "with a long header",
      () => octets([from(), message("b"), `Subject: ${"x ".repeat(9000)}`]),
      "header is larger than 16384",
    ],
    ["without a Message-ID", () => octets([from()]), "no Message-ID"],
    ["that came over other hops", () => octets(["Received: from a by b; x", from(), message("c")]), "a field received"],
    ["that is signed", () => octets(["DKIM-Signature: v=1", from(), message("d")]), "a field dkim-signature"],
    ["with a seal", () => octets(["ARC-Seal: i=1", from(), message("s")]), "a field arc-seal"],
    ["about TLS reports", () => octets(["TLS-Report-Domain: x", from(), message("t")]), "a field tls-report-domain"],
    ["about complaints", () => octets(["CFBL-Feedback-ID: x", from(), message("u")]), "a field cfbl-feedback-id"],
    ["of another From", () => octets([`From: bob@${sender.domain}`, message("e")]), "From is not the sender"],
  ])("does not take a message %s, which is said before it is queued", async (_what, made, words) => {
    const writer = { kind: "system" } as const;
    const submitted = await clock.submit(made(), { from: `ann@${sender.domain}`, to: ["zoe@example.net"], writer });
    expect(submitted).toMatchObject({ ok: false, error: { reason: "transport_rules" } });
    expect(submitted.ok ? "" : submitted.error.detail).toContain(words);
    // Colleagues have it all the same: it does not go that way.
    const inside = await clock.submit(made(), { from: `ann@${sender.domain}`, to: [`bob@${sender.domain}`], writer });
    expect(inside.ok).toBe(true);
  });

  it("takes at most 50 recipients", async () => {
    const to = Array.from({ length: 51 }, (_, number) => `r${number}@example.net`);
    expect(await write(sender.ann, { to })).toMatchObject({ status: 422, body: { code: "transport_rules" } });
  });

  describe("as wrangler simulates it", () => {
    beforeEach(async () => {
      clock.env = env as Env;
      await clock.enter();
    });

    const hand = async (raw: string, sender: string) => {
      const stream = new Response(raw).body;
      if (!stream) throw new Error("no octets");
      return env.SEND_EMAIL.send(new EmailMessage(sender, "zoe@example.net", stream));
    };

    it.each([
      ["without a Message-ID", () => octets([from()]), "invalid message-id"],
      [
        "that came over other hops",
        () => octets(["Received: from a by b; x", from(), message("c")]),
        "invalid headers",
      ],
      ["of another From", () => octets([`From: bob@${sender.domain}`, message("e")]), "does not match mail from"],
    ])("refuses a message %s, which we say before it is queued", async (_what, made, words) => {
      await expect(hand(made(), `ann@${sender.domain}`)).rejects.toThrow(words);
    });

    it("takes a message whose From is written in other letters than its envelope", async () => {
      const writer = { kind: "system" } as const;
      const author = `Ann@${sender.domain.toUpperCase()}`;
      const raw = octets([`From: "Ann, of Sales" <${author}>`, message("letters")]);
      // Letter by letter, it says.
      await expect(hand(raw, author.toLowerCase())).rejects.toThrow("does not match mail from");
      const submitted = await clock.submit(raw, { from: author.toLowerCase(), to: ["zoe@example.net"], writer });
      expect(submitted.ok).toBe(true);
      await clock.run();
      const { items } = (await asOperator("GET", `/api/domains/${sender.domain}/outgoing`)).body;
      expect(items).toEqual([]);
      expect(await folder(sender.ann, "inbox")).toEqual([]);
    });

    it("is never given somebody else's name: what was queued for another way out stays with its own sender", async () => {
      await asOperator("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "gateway" } });
      const writer = { kind: "relay", name: "relay 1", archive: [], others: true } as const;
      const raw = octets([`From: boss@another.example`, message("other")]);
      await clock.submit(raw, { from: "x@example.com", to: ["zoe@example.net"], writer });
      await asOperator("PUT", `/api/domains/${sender.domain}`, { outgoing: { transport: "cloudflare" } });
      await clock.run();
      const { items } = (await asOperator("GET", `/api/domains/${sender.domain}/outgoing`)).body;
      expect(items).toMatchObject([
        { state: "waiting", reply: expect.stringContaining("From: header does not match mail from") },
      ]);
    });

    it("takes what people write, in any script", async () => {
      const id = await clock.write({ to: ["zoe@example.net", "yan@example.net"], subject: "Grüße — 日本語 🎉" });
      await clock.run();
      expect(await clock.states(id)).toMatchObject([{ state: "delivered" }, { state: "delivered" }]);
    });
  });
});
