/** How long a gateway waits for the Worker, and what it does then. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import {
  GATEWAY_ACK_TIMEOUT,
  GATEWAY_AFTERWARDS,
  GATEWAY_FINAL_TIMEOUT,
  GATEWAY_FRAME_BYTES,
  GATEWAY_RECIPIENT_TIMEOUT,
  GATEWAY_WINDOW,
  RECEIVE_BUDGET,
  STORE_TIMEOUT,
} from "../../src/core/limits.ts";
import { WorkerTransaction } from "../../src/gateway/transaction.ts";
import { accepted, type Script, SECRET, startWorker } from "./worker-double.ts";

const client = { ip: "192.0.2.7", helo: "sender.example.net", protocol: "ESMTP" };
const mail = { from: "a@example.net", body: "7BIT", smtputf8: false } as const;

async function open(script: Script) {
  const { url, heard } = await startWorker(script);
  return { heard, transaction: await WorkerTransaction.open({ worker: url, secrets: [SECRET] }, client, mail) };
}

/** The clock that the limits are measured with; sockets go on as they are. */
const holdTime = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });

afterEach(() => {
  vi.useRealTimers();
});

describe("a Worker that falls silent", () => {
  it("at a recipient is left at the limit, and not before", async () => {
    const { heard, transaction } = await open({ recipient: () => "hang" });
    holdTime();
    const settled = vi.fn();
    const reply = transaction.recipient("b@example.org");
    void reply.catch(() => undefined).finally(settled);
    await vi.advanceTimersByTimeAsync(GATEWAY_RECIPIENT_TIMEOUT - 1);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await expect(reply).rejects.toThrow("the Worker did not answer in time");
    expect(transaction.usable).toBe(false);
    vi.useRealTimers();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
  });

  it("at the final dot is left at the limit, and not before", async () => {
    const { heard, transaction } = await open({ message: () => "hang" });
    holdTime();
    const settled = vi.fn();
    const reply = transaction.message(3, [Buffer.from("x\r\n")]);
    void reply.catch(() => undefined).finally(settled);
    await vi.advanceTimersByTimeAsync(GATEWAY_FINAL_TIMEOUT - 1);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    await expect(reply).rejects.toThrow("the Worker did not answer in time");
    vi.useRealTimers();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
  });

  it("in the middle of a message, without acknowledging, is left at the limit, not while it may wait for a slow origin", async () => {
    const { transaction } = await open({ mute: true });
    holdTime();
    const settled = vi.fn();
    const frame = Buffer.alloc(GATEWAY_FRAME_BYTES);
    const frames = Array.from({ length: GATEWAY_WINDOW + 2 }, () => frame);
    const reply = transaction.message(frames.length * GATEWAY_FRAME_BYTES, frames);
    void reply.catch(() => undefined).finally(settled);
    await vi.advanceTimersByTimeAsync(RECEIVE_BUDGET + STORE_TIMEOUT);
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(GATEWAY_ACK_TIMEOUT - RECEIVE_BUDGET - STORE_TIMEOUT);
    await expect(reply).rejects.toThrow("the Worker did not answer in time");
  });

  it("at the upgrade is left", async () => {
    const server = createServer(() => undefined);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const worker = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(WorkerTransaction.open({ worker, secrets: [SECRET] }, client, mail)).rejects.toThrow(
      "Opening handshake has timed out",
    );
  }, 20_000);
});

describe("a Worker that has replied and goes on waiting for the origin", () => {
  const message = (transaction: WorkerTransaction) => transaction.message(3, [Buffer.from("x\r\n")]);

  it("has its socket until it closes it, and the sender has its reply meanwhile", async () => {
    const origin = Promise.withResolvers<void>();
    const { heard, transaction } = await open({ afterwards: origin.promise });
    expect(await message(transaction)).toEqual(accepted);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard.open.size).toBe(1);
    origin.resolve();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
  });

  it("is left when no origin may take that long", async () => {
    const { heard, transaction } = await open({ afterwards: new Promise(() => undefined) });
    holdTime();
    await message(transaction);
    await vi.advanceTimersByTimeAsync(GATEWAY_AFTERWARDS - 1);
    expect(heard.open.size).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    vi.useRealTimers();
    await vi.waitFor(() => expect(heard.open.size).toBe(0));
  });
});
