/** Recipients, memory, connections and lines beyond what the MX port takes. */
import { describe, expect, it, vi } from "vitest";
import { MAX_RECIPIENTS } from "../../src/core/limits.ts";
import { ROOM, SmtpClient, startMx } from "./smtp-client.ts";
import { ops, startWorker } from "./worker-double.ts";

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
