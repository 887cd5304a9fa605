/** One SMTP transaction on its way to the Worker: a signed WebSocket, see core/protocol/gateway/frames.ts. */
import { WebSocket } from "ws";
import type { Client } from "../core/envelope.ts";
import {
  GATEWAY_ACK_TIMEOUT,
  GATEWAY_AFTERWARDS,
  GATEWAY_FINAL_TIMEOUT,
  GATEWAY_PING,
  GATEWAY_RECIPIENT_TIMEOUT,
  GATEWAY_WINDOW,
} from "../core/limits.ts";
import type { Reply } from "../core/outcome.ts";
import {
  type MailFrame,
  readWorkerFrame,
  type Submitter,
  type WorkerFrame,
  writeFrame,
} from "../core/protocol/gateway/frames.ts";
import { signedSocket, type WorkerLink } from "./worker-link.ts";

/** The Worker cannot be had, or says what it should not: a temporary failure to the sender. */
export class WorkerUnavailableError extends Error {
  override readonly name = "WorkerUnavailableError";
}

export class WorkerTransaction {
  readonly #socket: WebSocket;
  readonly #frames: WorkerFrame[] = [];
  readonly #ping: NodeJS.Timeout;
  #wake: (() => void) | null = null;
  #failure: WorkerUnavailableError | null = null;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data, binary) => this.#take(data.toString(), binary));
    socket.on("error", (error) => this.#fail(error.message));
    socket.on("close", (code) => this.#fail(`the Worker closed the transaction (${code})`));
    this.#ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.ping(), GATEWAY_PING);
    this.#ping.unref();
  }

  /** @throws WorkerUnavailableError */
  static async open(
    link: WorkerLink,
    client: Client,
    mail: MailFrame["mail"],
    submitter?: Submitter,
  ): Promise<WorkerTransaction> {
    const connect = await signedSocket(link, "/gateway/transaction");
    const socket = connect();
    const transaction = new WorkerTransaction(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("unexpected-response", (_request, response) => {
        socket.terminate();
        reject(new WorkerUnavailableError(`the Worker answered ${response.statusCode} to the gateway`));
      });
      socket.once("error", (error) => reject(new WorkerUnavailableError(error.message)));
    });
    transaction.#send({ op: "mail", client, mail, ...(submitter ? { submitter } : {}) });
    return transaction;
  }

  /** The reply to MAIL, which there is where a submitter was named. @throws WorkerUnavailableError */
  begun(): Promise<Reply> {
    return this.#reply(GATEWAY_RECIPIENT_TIMEOUT);
  }

  /** Whether it can still take a recipient or the message. */
  get usable(): boolean {
    return this.#failure === null;
  }

  /** @throws WorkerUnavailableError */
  async recipient(to: string): Promise<Reply> {
    this.#send({ op: "rcpt", to });
    return this.#reply(GATEWAY_RECIPIENT_TIMEOUT);
  }

  /**
   * Hands the octets over, a window at a time.
   * @param frames GATEWAY_FRAME_BYTES at most each
   * @throws WorkerUnavailableError: it is not known then whether they were taken
   */
  async message(size: number, frames: readonly Uint8Array[]): Promise<Reply> {
    this.#send({ op: "data", size });
    let sent = 0;
    let acknowledged = 0;
    for (const octets of frames) {
      while (sent - acknowledged >= GATEWAY_WINDOW) {
        const frame = await this.#next(GATEWAY_ACK_TIMEOUT);
        if ("reply" in frame) return this.#end(frame.reply);
        acknowledged = frame.ack;
      }
      if (this.#failure) throw this.#failure;
      this.#socket.send(octets, { binary: true });
      sent++;
    }
    return this.#end(await this.#reply(GATEWAY_FINAL_TIMEOUT));
  }

  /** The sender went away or began anew. Idempotent. */
  abort(): void {
    clearInterval(this.#ping);
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(writeFrame({ op: "abort" }));
      this.#socket.close(1000);
    } else if (this.#socket.readyState === WebSocket.CONNECTING) this.#socket.terminate();
    this.#failure ??= new WorkerUnavailableError("the transaction was left");
  }

  /**
   * The reply is there, and the sender has it. The Worker closes: it may wait on for a slow origin, and lives as long as this
   * socket is open.
   */
  #end(reply: Reply): Reply {
    const late = setTimeout(() => this.#socket.terminate(), GATEWAY_AFTERWARDS);
    late.unref();
    this.#socket.once("close", () => clearTimeout(late));
    return reply;
  }

  async #reply(timeout: number): Promise<Reply> {
    const end = Date.now() + timeout;
    for (;;) {
      const frame = await this.#next(Math.max(0, end - Date.now()));
      if ("reply" in frame) return frame.reply;
    }
  }

  async #next(timeout: number): Promise<WorkerFrame> {
    const end = Date.now() + timeout;
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) return frame;
      if (this.#failure) throw this.#failure;
      const left = end - Date.now();
      if (left <= 0) {
        this.#fail("the Worker did not answer in time");
        this.#socket.terminate();
      } else await this.#something(left);
    }
  }

  /** Until a frame, a failure, or the time is over. */
  #something(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(text: string, binary: boolean): void {
    const frame = readWorkerFrame(text);
    if (binary || !frame.ok) {
      this.#fail(`the Worker said something unexpected: ${frame.ok ? "octets" : frame.error}`);
      this.#socket.terminate();
      return;
    }
    this.#frames.push(frame.value);
    this.#wake?.();
  }

  #fail(why: string): void {
    clearInterval(this.#ping);
    this.#failure ??= new WorkerUnavailableError(why);
    this.#wake?.();
  }

  #send(frame: Parameters<typeof writeFrame>[0]): void {
    if (this.#failure) throw this.#failure;
    this.#socket.send(writeFrame(frame));
  }
}
