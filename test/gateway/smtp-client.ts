/** A sender that writes exactly the octets it is given, for ports that must be tried with wrong ones. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { onTestFinished } from "vitest";
import type { GatewaySecret } from "../../src/core/protocol/gateway/signature.ts";
import { listenMx } from "../../src/gateway/mx.ts";
import type { PortLimits, SmtpPort } from "../../src/gateway/smtp-port.ts";
import { SECRET } from "./worker-double.ts";

export class SmtpClient {
  #socket: Socket;
  #text = "";
  #ended = false;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async connect(port: number): Promise<SmtpClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const client = new SmtpClient(socket);
    onTestFinished(() => client.destroy());
    return client;
  }

  /** After the greeting and EHLO. */
  static async greet(port: number): Promise<SmtpClient> {
    const client = await SmtpClient.connect(port);
    await client.reply();
    await client.command("EHLO sender.example.net");
    return client;
  }

  write(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  /** One reply, all its lines, without the last line end. Null: the connection has ended. */
  async reply(): Promise<string | null> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/.exec(this.#text);
      if (match) {
        this.#text = this.#text.slice(match[0].length);
        return match[0].trimEnd().replaceAll("\r", "");
      }
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async command(line: string): Promise<string | null> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  async startTls(): Promise<void> {
    this.#socket.removeAllListeners();
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    this.#socket = socket;
    this.#listen();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on("data", (octets) => {
      this.#text += octets.toString("latin1");
      this.#wake?.();
    });
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => {
      this.#ended = true;
      this.#wake?.();
    });
  }
}

/** A gateway that only receives. */
export const RECEIVING = {
  host: "127.0.0.1",
  mxPort: 0,
  hostname: "mx.holdfast.test",
  proxies: [],
  connectionRate: 0,
  submissionPort: null,
  submissionsPort: null,
  relay: null,
} as const;

/** Limits that no ordinary test meets. */
export const ROOM = { memoryBytes: 10_000_000, connections: 100, connectionsPerAddress: 100 };

export async function startMx(
  worker: URL,
  limits?: PortLimits,
  options: { tls?: { cert: string; key: string }; secret?: GatewaySecret } = {},
): Promise<SmtpPort> {
  const { tls = null, secret = SECRET } = options;
  const mx = await listenMx({ ...RECEIVING, worker, secrets: [secret], tls }, limits);
  onTestFinished(() => mx.close());
  return mx;
}
