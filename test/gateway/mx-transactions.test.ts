/** How a transaction ends at the MX port: by its sender, by the Worker, by the gateway's own end. */
import { describe, expect, it, vi } from "vitest";
import { ROOM, SmtpClient, startMx } from "./smtp-client.ts";
import { ops, startWorker } from "./worker-double.ts";

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
