import { describe, expect, it, vi } from "vitest";
import { MAX_RECIPIENTS } from "../../src/core/limits.ts";
import { selfSigned } from "../../src/local/certificate.ts";
import { SmtpClient, startMx } from "./smtp-client.ts";
import { type Heard, recipientOk, startWorker } from "./worker-double.ts";

const ROOM = { memoryBytes: 10_000_000, connections: 100, connectionsPerAddress: 100 };
const ops = (heard: Heard) => heard.frames.map((frame) => frame.op);

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

describe("the end of a transaction", () => {
  it.each([
    ["RSET", (client: SmtpClient) => client.command("RSET")],
    ["EHLO", (client: SmtpClient) => client.command("EHLO again.example.net")],
    ["QUIT", (client: SmtpClient) => client.command("QUIT")],
    ["a connection that is cut", (client: SmtpClient) => client.destroy()],
    [
      "a connection that is cut in the middle of the message",
      async (client: SmtpClient) => {
        await client.command("DATA");
        client.write("half a mess");
        client.destroy();
      },
    ],
  ])("by %s lets go of the Worker at once", async (_, leave) => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RCPT TO:<b@example.org>");
    expect(heard.open.size).toBe(1);
    await leave(client);
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
    expect(ops(heard)).toEqual(["mail", "rcpt", "abort"]);
    expect(heard.messages).toEqual([]);
  });

  it("each message of a connection is a transaction of its own", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    for (const text of ["one", "two"]) {
      await client.command("MAIL FROM:<a@example.net>");
      await client.command("RCPT TO:<b@example.org>");
      await client.command("DATA");
      expect(await client.command(`${text}\r\n.`)).toMatch(/^250 /);
    }
    expect(ops(heard)).toEqual(["mail", "rcpt", "data", "mail", "rcpt", "data"]);
    expect(heard.messages.map(String)).toEqual(["one\r\n", "two\r\n"]);
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
  });
});

describe("where the Worker fails, the sender hears 451 4.3.0 and keeps the message", () => {
  const temporary = "451 4.3.0 The service cannot take mail now, please try again later";

  async function recipient(url: URL, secret?: { id: string; secret: string }): Promise<string | null> {
    const mx = await startMx(url, ROOM, secret ? { secret } : {});
    const client = await SmtpClient.greet(mx.port);
    await client.command("MAIL FROM:<a@example.net>");
    return client.command("RCPT TO:<b@example.org>");
  }

  it("nothing listens there", async () => {
    expect(await recipient(new URL("http://127.0.0.1:1"))).toBe(temporary);
  });
  it("it answers 503", async () => {
    expect(await recipient((await startWorker({ status: 503 })).url)).toBe(temporary);
  });
  it("it does not know the gateway's secret", async () => {
    const { url, heard } = await startWorker();
    expect(await recipient(url, { id: "g1", secret: "another-secret" })).toBe(temporary);
    expect(heard.opened).toBe(0);
  });
  it("it cuts the connection at a recipient", async () => {
    expect(await recipient((await startWorker({ recipient: () => "drop" })).url)).toBe(temporary);
  });
  it("it says nonsense", async () => {
    expect(await recipient((await startWorker({ nonsense: '{"reply":{"code":999,"text":""}}' })).url)).toBe(temporary);
  });
  it("it cuts the connection at the message", async () => {
    const { url } = await startWorker({ message: () => "drop" });
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    await client.command("RCPT TO:<b@example.org>");
    await client.command("DATA");
    expect(await client.command("x\r\n.")).toBe(temporary);
  });
  it("it goes away between recipients: the next one and the message are not taken in part", async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    expect(await client.command("RCPT TO:<b@example.org>")).toMatch(/^250 /);
    for (const socket of heard.open) socket.terminate();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
    expect(await client.command("RCPT TO:<c@example.org>")).toBe(temporary);
    await client.command("DATA");
    expect(await client.command("x\r\n.")).toBe(temporary);
    expect(heard.messages).toEqual([]);
  });
});

describe("limits", () => {
  it(`the ${MAX_RECIPIENTS + 1}st recipient hears 452 4.5.3, also where each is the same`, async () => {
    const { url, heard } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    await client.command("MAIL FROM:<a@example.net>");
    for (let index = 0; index < MAX_RECIPIENTS; index++) {
      expect(await client.command("RCPT TO:<b@example.org>")).toMatch(/^250 /);
    }
    expect(await client.command("RCPT TO:<b@example.org>")).toMatch(/^452 4\.5\.3 /);
    expect(ops(heard).filter((op) => op === "rcpt")).toHaveLength(MAX_RECIPIENTS);
  });

  it("memory over all connections: a message beyond it hears 452 4.3.1, and the next finds room", async () => {
    const { url, heard } = await startWorker();
    const { port } = await startMx(url, { ...ROOM, memoryBytes: 3 * 65_536 });
    const data = async () => {
      const client = await SmtpClient.greet(port);
      await client.command("MAIL FROM:<a@example.net>");
      await client.command("RCPT TO:<b@example.org>");
      await client.command("DATA");
      return client;
    };
    const first = await data();
    first.write(`${"x".repeat(100_000)}\r\n`);
    const second = await data();
    // The first one's octets are in before the second one's are sent.
    await vi.waitFor(async () => expect(await probe(port)).toMatch(/^250 /));
    expect(await second.command(`${"y".repeat(100_000)}\r\n.`)).toMatch(/^452 4\.3\.1 /);
    expect(await first.command(".")).toMatch(/^250 /);
    const third = await data();
    expect(await third.command(`${"z".repeat(100_000)}\r\n.`)).toMatch(/^250 /);
    expect(heard.messages.map((message) => message.length)).toEqual([100_002, 100_002]);
  });

  it("connections from one address: the next one hears 421, and one that ends makes room", async () => {
    const { url } = await startWorker();
    const { port } = await startMx(url, { ...ROOM, connectionsPerAddress: 2 });
    const first = await SmtpClient.greet(port);
    await SmtpClient.greet(port);
    const third = await SmtpClient.connect(port);
    expect(await third.reply()).toBe("421 Too many connections from your address");
    expect(await third.reply()).toBeNull();
    await first.command("QUIT");
    first.destroy();
    await vi.waitFor(async () => expect(await greeting(port)).toMatch(/^220 /));
  });

  it("connections in all: the next one hears 421", async () => {
    const { url } = await startWorker();
    const { port } = await startMx(url, { ...ROOM, connections: 1 });
    await SmtpClient.greet(port);
    expect(await greeting(port)).toMatch(/^421 /);
  });

  it("a command line beyond 4,096 octets ends the connection with 421", async () => {
    const { url } = await startWorker();
    const client = await SmtpClient.greet((await startMx(url)).port);
    expect(await client.command(`NOOP ${"x".repeat(5_000)}`)).toMatch(/^421 /);
    expect(await client.reply()).toBeNull();
  });

  it("a sender that talks before the greeting is turned away", async () => {
    const { url } = await startWorker();
    const client = await SmtpClient.connect((await startMx(url)).port);
    expect(await client.command("EHLO hasty.example.net")).toMatch(/^421 /);
    expect(await client.reply()).toBeNull();
  });
});

it("stops with 421 to idle connections, and ends a message that is under way", async () => {
  const { url, heard } = await startWorker();
  const mx = await startMx(url);
  const idle = await SmtpClient.greet(mx.port);
  const busy = await SmtpClient.greet(mx.port);
  await busy.command("MAIL FROM:<a@example.net>");
  await busy.command("RCPT TO:<b@example.org>");
  await busy.command("DATA");
  const closed = mx.close();
  expect(await idle.reply()).toBe("421 4.3.2 Service is stopping");
  expect(await busy.command("x\r\n.")).toMatch(/^250 /);
  expect(heard.messages.map(String)).toEqual(["x\r\n"]);
  busy.destroy();
  await closed;
});

async function greeting(port: number): Promise<string | null> {
  const client = await SmtpClient.connect(port);
  const reply = await client.reply();
  client.destroy();
  return reply;
}

/** Proves that the port has read what was written to it before. */
async function probe(port: number): Promise<string | null> {
  const client = await SmtpClient.greet(port);
  const reply = await client.command("NOOP");
  client.destroy();
  return reply;
}

it("a Worker that goes on behind its reply keeps neither the sender nor the end of the gateway waiting", async () => {
  const { url, heard } = await startWorker({ afterwards: new Promise(() => undefined) });
  const mx = await startMx(url);
  const client = await SmtpClient.greet(mx.port);
  for (let message = 1; message <= 2; message++) {
    for (const command of ["MAIL FROM:<>", "RCPT TO:<b@example.org>", "DATA"]) await client.command(command);
    expect(await client.command("x\r\n.")).toBe("250 2.0.0 Accepted as 01TEST");
    expect(heard.open.size).toBe(message);
  }
  expect(await client.command("QUIT")).toMatch(/^221 /);
  await mx.close();
  expect(heard.open.size).toBe(2);
});
