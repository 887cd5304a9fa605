import { beforeAll, describe, expect, it } from "vitest";
import { call, json } from "../access/client.ts";
import { createSender, delivery, flush, folder, type Sender, text, write } from "./sending.ts";

let sender: Sender;

beforeAll(async () => {
  sender = await createSender("written.example.org");
});

describe("a message that a person writes", () => {
  it("goes to its recipients by the smart host, and a copy lies in Sent and in the archive", async () => {
    const answer = await write(sender.ann, {
      to: ["Zoe <zoe@example.net>"],
      cc: ["yan@example.net"],
      bcc: ["secret@example.com"],
      subject: "Grüße",
      text: "Hello Zoe,\n.\nall is well.",
    });
    expect(answer).toMatchObject({ status: 201, body: { isNew: true } });
    await flush(sender.domain);
    const [message] = await sender.smartHost.messages();
    expect(message).toMatchObject({
      from: "ann@written.example.org",
      to: ["zoe@example.net", "yan@example.net", "secret@example.com"],
    });
    const octets = text(message?.raw ?? new Uint8Array());
    expect(octets).toMatch(/^Received: by mx\.holdfast\.test \(Holdfast\) with HTTPS id [0-9A-Z]{26}\r\n\t; /);
    expect(octets).toContain("To: Zoe <zoe@example.net>\r\n");
    expect(octets).not.toContain("secret@example.com");
    expect(octets).not.toMatch(/(?<!\r)\n/);
    expect(await delivery(sender.ann, answer.body.id)).toMatchObject([
      { recipient: "zoe@example.net", state: "delivered" },
      { recipient: "yan@example.net", state: "delivered" },
      { recipient: "secret@example.com", state: "delivered" },
    ]);
    expect(await folder(sender.ann, "sent")).toMatchObject([{ subject: "Grüße", seen: true, waiting: false }]);
    expect(await folder(sender.ann, "archive")).toMatchObject([{ subject: "Grüße" }]);
    const found = await json("GET", "/api/archive?q=secret@example.com&direction=out", { token: sender.ann });
    expect(found.body.items).toMatchObject([{ subject: "Grüße" }]);
  });

  it("reaches a colleague's portal inbox at once in emergency mode", async () => {
    const { body } = await write(sender.ann, { to: [`bob@${sender.domain}`], subject: "Lunch?", text: "At one." });
    await flush(sender.domain);
    expect(await folder(sender.bob, "inbox")).toMatchObject([{ subject: "Lunch?", waiting: true }]);
    expect(await delivery(sender.ann, body.id)).toMatchObject([{ state: "delivered" }]);
    expect(await sender.origin.messages()).toEqual([]);
  });

  it.each([
    [{ from: "bob@written.example.org", to: ["a@example.net"] }, "from"],
    [{ from: "ann@elsewhere.example", to: ["a@example.net"] }, "from"],
    [{ from: "a@example.net, ann@written.example.org", to: ["a@example.net"] }, "from"],
    [{ to: ["nobody"] }, "to"],
    [{ to: ["a@example.net"], inReplyTo: "12" }, "inReplyTo"],
    [{ to: ["a@example.net"], attachments: [{ name: "x", content: "***" }] }, "attachments.0.content"],
    [{ to: ["a@example.net"], attachments: [{ name: "x", blob: "m1-1" }] }, "attachments.0.blob"],
  ])("%j is refused, and nothing is sent", async (message, field) => {
    const { status, body } = await write(sender.ann, message);
    expect([status, (body.errors as { field: string }[])[0]?.field]).toEqual([422, field]);
    expect(await folder(sender.ann, "sent")).toHaveLength(2);
  });

  it("without a recipient is refused", async () => {
    expect(await write(sender.ann, { subject: "To nobody" })).toMatchObject({
      status: 422,
      body: { code: "no_recipients" },
    });
  });

  it("may come from an alias, and with a plus-tag", async () => {
    for (const from of [`Sales <sales@${sender.domain}>`, `ann+news@${sender.domain}`])
      expect((await write(sender.ann, { from, to: ["a@example.net"], text: from })).status).toBe(201);
    await flush(sender.domain);
    const froms = (await sender.smartHost.messages()).map(({ from }) => from);
    expect(froms).toContain(`sales@${sender.domain}`);
    expect(froms).toContain(`ann+news@${sender.domain}`);
  });

  it("is sent once where its request is repeated, whose answer was lost", async () => {
    const message = { to: ["once@example.net"], subject: "Once" };
    const first = await write(sender.ann, message, { "idempotency-key": "a-1" });
    const again = await write(sender.ann, message, { "idempotency-key": "a-1" });
    expect(again).toMatchObject({
      status: 201,
      body: { id: first.body.id, messageId: first.body.messageId, isNew: false },
    });
    await flush(sender.domain);
    expect((await sender.smartHost.messages()).filter(({ to }) => to[0] === "once@example.net")).toHaveLength(1);
    expect((await folder(sender.ann, "sent")).filter(({ subject }) => subject === "Once")).toHaveLength(1);
  });

  it("answers a message: both are one conversation, and that is marked as answered", async () => {
    const [lunch] = await folder(sender.bob, "inbox");
    const answer = await write(sender.bob, {
      to: [`ann@${sender.domain}`],
      subject: "Re: Lunch?",
      text: "Yes.",
      inReplyTo: lunch?.id,
    });
    expect(answer.status).toBe(201);
    expect((await folder(sender.bob, "inbox"))[0]).toMatchObject({ subject: "Lunch?", answered: true });
    expect((await folder(sender.bob, "sent"))[0]).toMatchObject({ subject: "Re: Lunch?", thread: lunch?.thread });
    await flush(sender.domain);
    const [reply] = await folder(sender.ann, "inbox");
    const sent = (await folder(sender.ann, "sent")).find(({ subject }) => subject === "Lunch?");
    expect(reply).toMatchObject({ subject: "Re: Lunch?", thread: sent?.thread });
  });

  it("is nobody else's: who is not signed in or is no user cannot send, and another user does not see what became of it", async () => {
    expect((await json("POST", "/api/mail/messages", { body: { to: ["a@example.net"] } })).status).toBe(401);
    const [mine] = await folder(sender.ann, "sent");
    expect((await json("GET", `/api/mail/messages/${String(mine?.id)}/delivery`, { token: sender.bob })).status).toBe(
      404,
    );
  });
});

describe("a whole message", () => {
  const post = (octets: string, headers: Record<string, string> = {}) =>
    call("POST", "/api/mail/messages", {
      token: sender.ann,
      body: octets,
      headers: {
        "content-type": "message/rfc822",
        "content-length": String(new TextEncoder().encode(octets).length),
        ...headers,
      },
    });

  it("goes to its To, Cc and Bcc, of which Bcc is taken out, and gets the Date and Message-ID that it lacks", async () => {
    await sender.smartHost.forget();
    const lines = [
      `From: Ann <ann@${sender.domain}>`,
      "To: a@example.net, Group: b@example.net, c@example.net;",
      "Bcc: d@example.net,",
      " e@example.net",
      "Subject: Whole",
      "",
      "Body",
    ];
    const response = await post(lines.join("\n"));
    expect(response.status).toBe(201);
    await flush(sender.domain);
    const [message] = await sender.smartHost.messages();
    expect(message?.to).toEqual(["a", "b", "c", "d", "e"].map((name) => `${name}@example.net`));
    const octets = text(message?.raw ?? new Uint8Array());
    expect(octets).toMatch(/\r\nMessage-ID: <[0-9a-z]{26}@written\.example\.org>\r\nDate: \w{3}, /);
    expect(octets).not.toMatch(/bcc|d@example|e@example/i);
    expect(octets).toMatch(/\r\nSubject: Whole\r\n\r\nBody\r\n$/);
  });

  it("comes again with the same octets: it is a repeat, and sent once", async () => {
    await sender.smartHost.forget();
    const octets = `From: ann@${sender.domain}\r\nTo: a@example.net\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <same@x>\r\n\r\nx\r\n`;
    const [first, second] = [await post(octets), await post(octets)];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(await second.json()).toMatchObject({ isNew: false });
    await flush(sender.domain);
    expect(await sender.smartHost.messages()).toHaveLength(1);
  });

  it.each([
    ["From: bob@written.example.org\r\nTo: a@example.net\r\n\r\nx", "from"],
    ["From: ann@written.example.org\r\nFrom: bob@written.example.org\r\nTo: a@example.net\r\n\r\nx", "from"],
    ["From: ann@written.example.org, bob@written.example.org\r\nTo: a@example.net\r\n\r\nx", "from"],
    ["From: ann@written.example.org\r\nSender: bob@written.example.org\r\nTo: a@example.net\r\n\r\nx", "sender"],
    ["To: a@example.net\r\n\r\nx", "from"],
    ['From: "ann@written.example.org" <bob@written.example.org>\r\nTo: a@example.net\r\n\r\nx', "from"],
    ["From: ann@written.example.org\r\nTo: not an address\r\n\r\nx", "to"],
  ])("%j is refused", async (octets, field) => {
    const response = await post(octets);
    const body = await response.json<{ errors: { field: string }[] }>();
    expect([response.status, body.errors[0]?.field]).toEqual([422, field]);
  });
});
