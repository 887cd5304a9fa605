/** Addresses at the MX port, and commands that are none. */
import { describe, expect, it } from "vitest";
import { SmtpClient, startMx } from "./smtp-client.ts";
import { startWorker } from "./worker-double.ts";

describe("addresses", () => {
  it.each([
    ["Info+Tag@EXAMPLE.org"],
    ["b@xn--exmple-cua.example.org"],
    ['"a b"@example.org'],
    ['"a@b\\"c>"@example.org'],
    ["dots..side.by.side.@example.org"],
    ["b@[192.0.2.1]"],
    ["postmaster"],
  ])("reach the Worker exactly as received: %s", async (address) => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    const sender = address === "postmaster" ? "" : address;
    expect(await client.command(`MAIL FROM:<${sender}>`)).toMatch(/^250 /);
    expect(await client.command(`RCPT TO:<${address}>`)).toMatch(/^250 /);
    expect(heard.frames).toMatchObject([
      { op: "mail", mail: { from: sender } },
      { op: "rcpt", to: address },
    ]);
  });

  it("lose a source route (RFC 5321 appendix C)", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RCPT TO:<@relay.example.net,@two.example.net:b@example.org>");
    expect(heard.frames[1]).toEqual({ op: "rcpt", to: "b@example.org" });
  });

  it("beyond ASCII need SMTPUTF8", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    expect(await client.command("MAIL FROM:<jürgen@example.net>")).toMatch(/^553 5\.6\.7 /);
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command("RCPT TO:<jürgen@example.org>")).toMatch(/^553 5\.6\.7 /);
    await client.command("RSET");
    expect(await client.command("MAIL FROM:<jürgen@exämple.net> SMTPUTF8")).toMatch(/^250 /);
    expect(await client.command("RCPT TO:<jürgen@example.org>")).toMatch(/^250 /);
    expect(heard.frames).toMatchObject([
      { op: "mail", mail: { from: "jürgen@exämple.net", smtputf8: true } },
      { op: "rcpt", to: "jürgen@example.org" },
    ]);
  });

  it.each([
    ["MAIL FROM:a@example.net", "501 5.1.7"],
    ["MAIL FROM:<a@@example.net>", "501 5.1.7"],
    ["MAIL FROM:<a@example.net>SIZE=1", "501 5.1.7"],
    [`MAIL FROM:<${"a".repeat(243)}@example.net>`, "501 5.1.7"],
    ["MAIL FROM:<a@example.net> SIZE=1 SIZE=2", "501 5.5.4"],
    ["MAIL FROM:<a@example.net> SIZE=26214401", "552 5.3.4"],
    ["MAIL FROM:<a@example.net> BODY=BINARYMIME", "501 5.5.4"],
    ["RCPT TO:<b@example.org>", "503 5.5.1"],
    ["DATA", "503 5.5.1"],
    ["EXPN list", "500 5.5.2"],
  ])("%s hears %s", async (line, code) => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    expect((await client.command(line))?.startsWith(`${code} `)).toBe(true);
    expect(heard.opened).toBe(0);
  });

  it.each([
    "RCPT TO:<>",
    "RCPT TO:<b>",
    "RCPT TO:<b@example..org>",
    'RCPT TO:<"b@example.org>',
    "RCPT TO:<b c@example.org>",
  ])("%s hears 501 5.1.3", async (line) => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command(line)).toMatch(/^501 5\.1\.3 /);
    expect(heard.opened).toBe(0);
  });
});
