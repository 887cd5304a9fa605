/** Reports of other servers about what was sent from here (RFC 3464, RFC 6522): they lie in the conversation of the message. */
import { beforeEach, describe, expect, it } from "vitest";
import { extract, NOTHING } from "../../../src/worker/archive/extract.ts";
import { send } from "../receive/organisation.ts";
import { Clock, createSender, folder, rawOf, type Sender } from "./sending.ts";

let sender: Sender;
let clock: Clock;
let count = 0;

beforeEach(async () => {
  count++;
  sender = await createSender(`bounces-${count}.example.org`);
  clock = await Clock.over(sender);
});

/** As Postfix 3.7 writes it. @param evidence the third part, with its header */
const report = (evidence: readonly string[], fields: readonly string[] = []): Uint8Array =>
  new TextEncoder().encode(
    [
      "From: MAILER-DAEMON@mx.example.net (Mail Delivery System)",
      "Subject: Undelivered Mail Returned to Sender",
      `To: ann@${sender.domain}`,
      ...fields,
      "Auto-Submitted: auto-replied",
      "MIME-Version: 1.0",
      'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="B.1/mx.example.net"',
      `Message-ID: <report-${count}@mx.example.net>`,
      "",
      "--B.1/mx.example.net",
      "Content-Description: Notification",
      "Content-Type: text/plain; charset=us-ascii",
      "",
      "This is the mail system at host mx.example.net.",
      "",
      "--B.1/mx.example.net",
      "Content-Description: Delivery report",
      "Content-Type: message/delivery-status",
      "",
      "Reporting-MTA: dns; mx.example.net",
      "",
      "Final-Recipient: rfc822; zoe@example.net",
      "Action: failed",
      "Status: 5.2.2",
      "",
      "--B.1/mx.example.net",
      ...evidence,
      "",
      "--B.1/mx.example.net--",
      "",
    ].join("\r\n"),
  );

/** The header of what ann has sent, as its recipients' server got it. */
async function sentHeader(): Promise<string[]> {
  const [sent] = await folder(sender.ann, "sent");
  const [header = ""] = (await rawOf(sender.ann, sent?.id)).split("\r\n\r\n");
  return header.split("\r\n");
}

describe("a report from elsewhere", () => {
  it.each([
    ["the whole message", "Content-Type: message/rfc822"],
    ["its header alone", "Content-Type: text/rfc822-headers"],
  ])("that brings %s back lies in the conversation of the message", async (_what, type) => {
    await clock.write({ to: ["zoe@example.net"], subject: "Gr\u00fc\u00dfe an alle" });
    await clock.run();
    const body = type.endsWith("rfc822") ? ["", "Hello."] : [];
    const evidence = [type, "Content-Transfer-Encoding: 7bit", "", ...(await sentHeader()), ...body];
    await send([`ann@${sender.domain}`], report(evidence), { from: "" });
    const [sent] = await folder(sender.ann, "sent");
    const [bounce] = await folder(sender.ann, "inbox");
    expect(bounce).toMatchObject({ subject: "Undelivered Mail Returned to Sender", waiting: true });
    expect(bounce?.thread).toBe(sent?.thread);
  });

  it("about another message does not", async () => {
    await clock.write({ to: ["zoe@example.net"], subject: "Prices" });
    await clock.run();
    const evidence = ["Content-Type: text/rfc822-headers", "", "Message-ID: <other@example.org>", "Subject: Prices"];
    await send([`ann@${sender.domain}`], report(evidence), { from: "" });
    const [sent] = await folder(sender.ann, "sent");
    const [bounce] = await folder(sender.ann, "inbox");
    expect(bounce?.thread).not.toBe(sent?.thread);
  });

  it("in normal mode goes to the domain's own server, and lies with the message in the archive", async () => {
    sender = await createSender(`bounces-normal-${count}.example.org`, "normal");
    clock = await Clock.over(sender);
    await clock.write({ to: ["zoe@example.net"], subject: "Prices" });
    await clock.run();
    const evidence = ["Content-Type: text/rfc822-headers", "", ...(await sentHeader())];
    await send([`ann@${sender.domain}`], report(evidence), { from: "" });
    expect(await folder(sender.ann, "inbox")).toEqual([]);
    expect(await sender.origin.messages()).toHaveLength(1);
    const archive = await folder(sender.ann, "archive");
    expect(archive).toHaveLength(2);
    expect(new Set(archive.map(({ thread }) => thread)).size).toBe(1);
  });
});

describe("what a report brings back", () => {
  const read = (octets: Uint8Array) => extract(octets, octets.length);

  it("is read whatever encoding it has, and however it comes", async () => {
    const header = ["Message-ID: <a@example.org>", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="].join("\r\n");
    const encoded = btoa(header).replace(/.{20}/g, "$&\r\n");
    const octets = report(["Content-Type: text/rfc822-headers", "Content-Transfer-Encoding: base64", "", encoded]);
    const whole = await read(octets);
    expect(whole).toMatchObject({ references: ["a@example.org"], aboutSubject: "Gr\u00fc\u00dfe" });
    async function* pieces() {
      for (let at = 0; at < octets.length; at += 7) yield octets.subarray(at, at + 7);
    }
    expect(await extract(pieces(), octets.length)).toEqual(whole);
  });

  it("is the first thing that it brings, and nothing where that has no Message-ID", async () => {
    const none = await read(report(["Content-Type: text/rfc822-headers", "", "Subject: Prices"]));
    expect(none.references).toEqual([]);
    expect(none.aboutSubject).toBeUndefined();
    const nested = [
      ...["Content-Type: message/rfc822", "", "Message-ID: <outer@example.org>", "Subject: Outer"],
      ...['Content-Type: multipart/report; boundary="c"', "", "--c", "Content-Type: text/rfc822-headers", ""],
      ...["Message-ID: <inner@example.org>", "Subject: Inner", "", "--c--"],
    ];
    expect(await read(report(nested, ["References: <before@example.org>"]))).toMatchObject({
      references: ["before@example.org", "outer@example.org"],
      aboutSubject: "Outer",
    });
  });

  it("is not looked for in what is no report: a message that is attached has its own conversation", async () => {
    const text = new TextDecoder().decode(report(["Content-Type: message/rfc822", "", "Message-ID: <a@b>", "", "x"]));
    const octets = new TextEncoder().encode(text.replace("multipart/report", "multipart/mixed"));
    const attached = await read(octets);
    expect(attached.references).toEqual(NOTHING.references);
    expect(attached.aboutSubject).toBeUndefined();
  });
});
