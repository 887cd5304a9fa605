import { describe, expect, it, onTestFinished, vi } from "vitest";
import { GATEWAY_FRAME_BYTES, GATEWAY_WINDOW, MX_MESSAGE_TIMEOUT } from "../../../src/core/limits.ts";
import type { Reply } from "../../../src/core/outcome.ts";
import { converse } from "../../../src/worker/access/gateway/conversation.ts";
import type { MessageSource, Transaction } from "../../../src/worker/receive/contract.ts";
import { GatewaySocket, MAIL, nobodySubmits } from "./socket.ts";

const ok: Reply = { code: 250, enhanced: "2.0.0", text: "Accepted" };

interface Steps {
  readonly recipient?: (to: string) => Promise<Reply>;
  readonly message?: (source: MessageSource) => Promise<Reply>;
  readonly afterwards?: () => Promise<void>;
}

/** @returns the gateway's end, and what the transaction went through */
function begin(steps: Steps = {}) {
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.binaryType = "arraybuffer";
  ours.accept();
  const log: unknown[] = [];
  const over = converse(
    ours,
    (client, mail) => {
      log.push({ client, mail });
      const transaction: Transaction = {
        recipient: async (to) => {
          log.push(to);
          return steps.recipient?.(to) ?? ok;
        },
        message: async (source) => (steps.message ? steps.message(source) : { ...ok, text: await text(source) }),
        abort: () => void log.push("abort"),
        afterwards: async () => steps.afterwards?.(),
      };
      return transaction;
    },
    nobodySubmits,
  );
  return { gateway: new GatewaySocket(theirs), log, over };
}

/** The octets, in decimal. */
async function text({ chunks }: MessageSource): Promise<string> {
  const all: number[] = [];
  for await (const chunk of chunks) all.push(...chunk);
  return all.join(" ");
}

describe("a gateway's transaction", () => {
  it("is opened with its client and sender, asks each recipient, takes the message, and is closed", async () => {
    const { gateway, log, over } = begin({ recipient: async (to) => ({ code: 250, text: to }) });
    gateway.say(MAIL);
    for (const to of ["b@example.org", "c@example.org"]) {
      gateway.say({ op: "rcpt", to });
      expect(await gateway.reply()).toEqual({ code: 250, text: to });
    }
    gateway.say({ op: "data", size: 6 });
    gateway.send(Uint8Array.of(0, 1, 255));
    gateway.send(Uint8Array.of(13, 10, 46));
    expect(await gateway.reply()).toEqual({ ...ok, text: "0 1 255 13 10 46" });
    expect((await gateway.end()).code).toBe(1000);
    await over;
    expect(log).toEqual([
      {
        client: { ip: "192.0.2.7", helo: "sender.example.net", protocol: "ESMTPS" },
        mail: { from: "a@example.net", body: "8BITMIME", smtputf8: false },
      },
      "b@example.org",
      "c@example.org",
    ]);
  });

  it("waits for a message that takes its sender as long as the MX port allows", async () => {
    const { gateway } = begin();
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    gateway.say(MAIL);
    gateway.say({ op: "rcpt", to: "b@example.org" });
    await gateway.reply();
    await vi.advanceTimersByTimeAsync(MX_MESSAGE_TIMEOUT);
    gateway.say({ op: "data", size: 1 });
    gateway.send(Uint8Array.of(46));
    expect(await gateway.reply()).toEqual({ ...ok, text: "46" });
  });

  it("of an empty message waits for no octets", async () => {
    const { gateway } = begin();
    gateway.say(MAIL);
    gateway.say({ op: "rcpt", to: "b@example.org" });
    gateway.say({ op: "data", size: 0 });
    expect(await gateway.reply()).toEqual(ok);
    expect(await gateway.reply()).toEqual({ ...ok, text: "" });
  });

  it("acknowledges a frame when the next one is asked for, so that a slow reader holds the gateway back", async () => {
    const gate = Promise.withResolvers<void>();
    const { gateway } = begin({
      async message({ chunks }) {
        let count = 0;
        for await (const _ of chunks) if (++count === 2) await gate.promise;
        return { ...ok, text: String(count) };
      },
    });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 3 * GATEWAY_FRAME_BYTES });
    for (let index = 0; index < 3; index++) gateway.send(new Uint8Array(GATEWAY_FRAME_BYTES));
    expect(await gateway.next()).toEqual({ ack: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gateway.waiting).toBe(0);
    gate.resolve();
    expect(await gateway.next()).toEqual({ ack: 2 });
    expect(await gateway.next()).toEqual({ ack: 3 });
    expect(await gateway.next()).toEqual({ reply: { ...ok, text: "3" } });
  });

  it("may be answered before all octets are in", async () => {
    const { gateway, over } = begin({ message: async () => ({ code: 554, text: "no" }) });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 1_000_000 });
    gateway.send(new Uint8Array(GATEWAY_FRAME_BYTES));
    expect(await gateway.reply()).toEqual({ code: 554, text: "no" });
    await over;
  });
});

describe("a message whose reply is out", () => {
  it("keeps the socket open while something goes on behind the reply: the invocation lives as long as it", async () => {
    const origin = Promise.withResolvers<void>();
    const { gateway, over } = begin({ afterwards: () => origin.promise });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 0 });
    expect(await gateway.reply()).toEqual({ ...ok, text: "" });
    const closed = vi.fn();
    void over.then(closed);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(closed).not.toHaveBeenCalled();
    origin.resolve();
    expect((await gateway.end()).code).toBe(1000);
    await over;
  });

  it("is followed to its end also where the gateway has gone", async () => {
    const origin = Promise.withResolvers<void>();
    const { gateway, over } = begin({ afterwards: () => origin.promise });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 0 });
    await gateway.reply();
    gateway.close();
    const ended = vi.fn();
    void over.then(ended);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ended).not.toHaveBeenCalled();
    origin.resolve();
    await over;
  });
});

describe("a gateway that leaves", () => {
  it.each([
    ["with abort", (gateway: GatewaySocket) => gateway.say({ op: "abort" })],
    ["without a word", (gateway: GatewaySocket) => gateway.close()],
  ])("%s ends the transaction", async (_, leave) => {
    const { gateway, log, over } = begin();
    gateway.say(MAIL);
    gateway.say({ op: "rcpt", to: "b@example.org" });
    await gateway.reply();
    leave(gateway);
    await over;
    expect(log.slice(1)).toEqual(["b@example.org", "abort"]);
  });

  it("in the middle of a message makes the octets fail, never end", async () => {
    const seen: unknown[] = [];
    const { gateway, over } = begin({
      async message({ chunks }) {
        try {
          for await (const chunk of chunks) seen.push(chunk.length);
          seen.push("whole");
        } catch (error) {
          seen.push(String(error));
        }
        return ok;
      },
    });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 10 });
    gateway.send(new Uint8Array(4));
    await vi.waitFor(() => expect(seen).toEqual([4]));
    gateway.close();
    await over;
    expect(seen).toEqual([4, "Error: the gateway broke off in the middle of a message"]);
  });

  it("after its last octet changes nothing: the message is concluded", async () => {
    const gate = Promise.withResolvers<void>();
    const done = vi.fn();
    const { gateway, log, over } = begin({
      async message(source) {
        await text(source);
        await gate.promise;
        done();
        return ok;
      },
    });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 1 });
    gateway.send(new Uint8Array(1));
    gateway.close();
    gate.resolve();
    await over;
    expect(done).toHaveBeenCalledOnce();
    expect(log).not.toContain("abort");
  });
});

describe("what a gateway may not say", () => {
  it.each<[string, (gateway: GatewaySocket) => void, boolean]>([
    ["not JSON", (gateway) => gateway.send("hello"), false],
    ["rcpt before mail", (gateway) => gateway.say({ op: "rcpt", to: "b@example.org" }), false],
    ["data before mail", (gateway) => gateway.say({ op: "data", size: 1 }), false],
    ["octets before data", (gateway) => gateway.send(new Uint8Array(1)), false],
    [
      "mail twice",
      (gateway) => {
        gateway.say(MAIL);
        gateway.say(MAIL);
      },
      true,
    ],
  ])("%s closes with 1002, and nothing is kept", async (reason, say, opened) => {
    const { gateway, log, over } = begin();
    say(gateway);
    expect(await gateway.end()).toEqual({ code: 1002, reason });
    await over;
    expect(log.slice(1)).toEqual(opened ? ["abort"] : []);
  });

  it("a frame that is too large: the message fails", async () => {
    const { gateway } = begin();
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 2 * GATEWAY_FRAME_BYTES });
    gateway.send(new Uint8Array(GATEWAY_FRAME_BYTES + 1));
    expect(await gateway.end()).toEqual({ code: 1002, reason: "a frame that is too large" });
  });

  it("more frames than the window allows: the message fails, and they are not kept", async () => {
    const failed = vi.fn();
    const { gateway, over } = begin({
      async message({ chunks }) {
        for await (const _ of chunks) await new Promise((resolve) => setTimeout(resolve, 5));
        return ok;
      },
    });
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 100 });
    for (let index = 0; index < 3 * GATEWAY_WINDOW; index++) gateway.send(new Uint8Array(1));
    expect(await gateway.end()).toEqual({ code: 1002, reason: "more frames than the window allows" });
    await over.then(failed);
    expect(failed).toHaveBeenCalledOnce();
  });

  it("more octets than it announced: the message fails", async () => {
    const { gateway } = begin();
    gateway.say(MAIL);
    gateway.say({ op: "data", size: 3 });
    gateway.send(new Uint8Array(4));
    expect(await gateway.end()).toEqual({ code: 1002, reason: "more octets than announced" });
  });
});

it("a transaction that throws is a temporary failure, without its cause", async () => {
  const fail = async () => {
    throw new Error("D1_ERROR: secret detail");
  };
  for (const steps of [{ recipient: fail }, { message: fail }]) {
    const { gateway, over } = begin(steps);
    gateway.say(MAIL);
    gateway.say("recipient" in steps ? { op: "rcpt", to: "b@example.org" } : { op: "data", size: 0 });
    expect(await gateway.reply()).toEqual({
      code: 451,
      enhanced: "4.3.0",
      text: "The message could not be taken, please try again later",
    });
    await over;
  }
});
