/** A gateway's end of a WebSocket, for tests in workerd. */
import type { Reply } from "../../../src/core/outcome.ts";
import {
  type GatewayFrame,
  readWorkerFrame,
  type WorkerFrame,
  writeFrame,
} from "../../../src/core/protocol/gateway/frames.ts";

export const MAIL: GatewayFrame = {
  op: "mail",
  client: { ip: "192.0.2.7", helo: "sender.example.net", protocol: "ESMTPS" },
  mail: { from: "a@example.net", body: "8BITMIME", smtputf8: false },
};

export class GatewaySocket {
  readonly #socket: WebSocket;
  readonly #frames: WorkerFrame[] = [];
  #closed: { code: number; reason: string } | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const frame = readWorkerFrame(String(data));
      if (!frame.ok) throw new Error(`the Worker said ${String(data)}: ${frame.error}`);
      this.#frames.push(frame.value);
      this.#wake?.();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.#closed = { code, reason };
      this.#wake?.();
    });
    socket.accept();
  }

  say(frame: GatewayFrame): void {
    this.#socket.send(writeFrame(frame));
  }

  send(octets: string | Uint8Array): void {
    this.#socket.send(octets);
  }

  close(): void {
    this.#socket.close(1000);
  }

  /** The frames that are here and have not been taken. */
  get waiting(): number {
    return this.#frames.length;
  }

  /** The next frame, or null once the Worker has closed. */
  async next(): Promise<WorkerFrame | null> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame || this.#closed) return frame ?? null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async reply(): Promise<Reply | null> {
    for (;;) {
      const frame = await this.next();
      if (!frame) return null;
      if ("reply" in frame) return frame.reply;
    }
  }

  /** How the Worker closed. */
  async end(): Promise<{ code: number; reason: string }> {
    while (!this.#closed) await this.next();
    return this.#closed;
  }
}

/** Of conversations in which nobody submits. */
export function nobodySubmits(): never {
  throw new Error("nobody submits here");
}
