/** The MX port: what it offers, and whose words a sender hears. */
import { describe, expect, it } from "vitest";
import { selfSigned } from "../../src/local/certificate.ts";
import { ROOM, SmtpClient, startMx } from "./smtp-client.ts";
import { ops, recipientOk, startWorker } from "./worker-double.ts";

describe("the MX port", () => {
  it("announces what it can do", async () => {
    const { url } = await startWorker();
    const { cert, key } = selfSigned("mx.holdfast.test", Date.now());
    const client = await SmtpClient.connect((await startMx(url, ROOM, { tls: { cert, key } })).port);
    expect(await client.reply()).toBe("220 mx.holdfast.test ESMTP Holdfast");
    expect((await client.command("EHLO sender.example.net"))?.split("\n").slice(1).sort()).toEqual([
      "250 SIZE 26214400",
      "250-8BITMIME",
      "250-ENHANCEDSTATUSCODES",
      "250-PIPELINING",
      "250-SMTPUTF8",
      "250-STARTTLS",
    ]);
    for (const verb of [
      "AUTH PLAIN AGEAYg==",
      "XCLIENT ADDR=192.0.2.1",
      "XFORWARD ADDR=192.0.2.1",
      "WIZ x",
      "SHELL",
      "KILL",
    ]) {
      expect(await client.command(verb)).toBe("500 5.5.2 Error: command not recognized");
    }
  });

  it("does not offer STARTTLS where it has no certificate", async () => {
    const { url } = await startWorker();
    const client = await SmtpClient.connect((await startMx(url)).port);
    await client.reply();
    expect(await client.command("EHLO sender.example.net")).not.toContain("STARTTLS");
    expect(await client.command("STARTTLS")).toMatch(/^500 /);
  });

  it("takes a message over STARTTLS and tells the Worker so", async () => {
    const { url, heard } = await startWorker();
    const { cert, key } = selfSigned("mx.holdfast.test", Date.now());
    const client = await SmtpClient.greet((await startMx(url, ROOM, { tls: { cert, key } })).port);
    expect(await client.command("STARTTLS")).toMatch(/^220 /);
    await client.startTls();
    await client.command("EHLO sender.example.net");
    await client.command("MAIL FROM:<>");
    await client.command("RCPT TO:<b@example.org>");
    await client.command("DATA");
    expect(await client.command("x\r\n.")).toBe("250 2.0.0 Accepted as 01TEST");
    expect(heard.frames[0]).toEqual({
      op: "mail",
      client: { ip: "127.0.0.1", helo: "sender.example.net", protocol: "ESMTPS" },
      mail: { from: "", body: "7BIT", smtputf8: false },
    });
  });

  it("asks the Worker nothing before the first recipient", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RSET");
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command("QUIT")).toMatch(/^221 /);
    expect(heard.opened).toBe(0);
  });

  it("answers pipelined commands in order, the message with them", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    client.write("MAIL FROM:<a@example.net> SIZE=3\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n");
    for (const code of ["250", "250", "250", "354"]) expect((await client.reply())?.slice(0, 3)).toBe(code);
    client.write("x\r\n.\r\nMAIL FROM:<a@example.net>\r\nRSET\r\nQUIT\r\n");
    for (const code of ["250", "250", "250", "221"]) expect((await client.reply())?.slice(0, 3)).toBe(code);
    expect(ops(heard)).toEqual(["mail", "rcpt", "rcpt", "data"]);
    expect(heard.frames[0]).toMatchObject({ mail: { size: 3 } });
  });
});

describe("replies", () => {
  it.each([
    [
      { code: 550, enhanced: "5.1.1", text: "<b@example.org>: no such user" },
      "550 5.1.1 <b@example.org>: no such user",
    ],
    [{ code: 550, enhanced: "5.7.1", text: "one\ntwo\nthree" }, "550-5.7.1 one\n550-5.7.1 two\n550 5.7.1 three"],
    [{ code: 553, text: "we use no enhanced codes" }, "553 we use no enhanced codes"],
    [
      { code: 450, enhanced: "4.2.0", text: "Greylisted, see https://example.org/why?a=b&c" },
      "450 4.2.0 Greylisted, see https://example.org/why?a=b&c",
    ],
    [
      { code: 452, enhanced: "4.5.3", text: "This recipient must come in a transaction of its own" },
      "452 4.5.3 This recipient must come in a transaction of its own",
    ],
  ])("to a recipient and to a message pass through as the origin wrote them: %j", async (reply, wire) => {
    const { url } = await startWorker({
      recipient: (to) => (to.startsWith("refused") ? reply : recipientOk),
      message: () => reply,
    });
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command("RCPT TO:<refused@example.org>")).toBe(wire);
    expect(await client.command("RCPT TO:<b@example.org>")).toMatch(/^250 2\.1\.5 /);
    await client.command("DATA");
    expect(await client.command("x\r\n.")).toBe(wire);
    expect(await client.command("NOOP")).toBe("250 2.0.0 OK");
  });

  it("a reply that comes before all octets were handed over is the message's", async () => {
    const { url } = await startWorker({ early: { code: 554, enhanced: "5.7.1", text: "not this one" } });
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RCPT TO:<b@example.org>");
    await client.command("DATA");
    expect(await client.command(`${"x".repeat(2_000_000)}\r\n.`)).toBe("554 5.7.1 not this one");
  });
});
