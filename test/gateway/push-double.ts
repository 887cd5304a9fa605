/** A Worker with a domain's object that says what a test tells it to: the other end of a gateway's watch. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { NonceMemory, verifyRequest } from "../../src/core/protocol/gateway/signature.ts";
import {
  type ObjectFrame,
  PING,
  PONG,
  readWatcherFrame,
  type WatcherFrame,
  writePushFrame,
} from "../../src/core/protocol/push/frames.ts";
import type { WorkerLink } from "../../src/gateway/worker-link.ts";
import { SECRET } from "./worker-double.ts";

export class PushDouble {
  readonly frames: WatcherFrame[] = [];
  readonly paths: string[] = [];
  readonly sockets = new Set<WebSocket>();
  pings = 0;
  /** The state of each mailbox. */
  readonly states = new Map<number, number>();
  /** HTTP status in place of the upgrade. */
  status = 101;
  /** Pings are answered. */
  answers = true;
  link: WorkerLink;

  private constructor(worker: URL) {
    this.link = { worker, secrets: [SECRET] };
  }

  static async start(): Promise<PushDouble> {
    const server = createServer((_request, response) => response.writeHead(404).end());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const double = new PushDouble(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    const upgrades = new WebSocketServer({ noServer: true });
    const seen = new NonceMemory();
    server.on("upgrade", async (request, socket, head) => {
      const { method = "", url: path = "", headers } = request;
      const verified = await verifyRequest([SECRET], { method, path }, headers.authorization ?? null, Date.now(), seen);
      const status = verified.ok ? double.status : 401;
      double.paths.push(path);
      if (status !== 101) return socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      upgrades.handleUpgrade(request, socket, head, (upgraded) => double.#serve(upgraded));
    });
    onTestFinished(() => {
      for (const socket of double.sockets) socket.terminate();
      server.close();
    });
    return double;
  }

  say(frame: ObjectFrame): void {
    for (const socket of this.sockets) socket.send(writePushFrame(frame));
  }

  send(text: string): void {
    for (const socket of this.sockets) socket.send(text);
  }

  /** Every connection breaks. */
  drop(): void {
    for (const socket of this.sockets) socket.terminate();
  }

  #serve(socket: WebSocket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("message", (data) => {
      const text = data.toString();
      if (text === PING) {
        this.pings++;
        if (this.answers) socket.send(PONG);
        return;
      }
      const read = readWatcherFrame(text);
      if (!read.ok) throw new Error(`the gateway said ${text}: ${read.error}`);
      this.frames.push(read.value);
      if (read.value.op === "watch") this.#catchUp(socket, read.value.accounts);
    });
    socket.send(writePushFrame({ op: "hello" }));
  }

  #catchUp(socket: WebSocket, watched: readonly { account: number; since: number | null }[]): void {
    for (const { account, since } of watched) {
      const seq = this.states.get(account) ?? 0;
      if (seq !== since) socket.send(writePushFrame({ op: "changed", account, seq }));
    }
  }
}
