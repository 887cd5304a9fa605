/** A Worker that says what a test tells it to: the other end of a gateway's WebSocket. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { Reply } from "../../src/core/outcome.ts";
import {
  type GatewayFrame,
  type MailFrame,
  readGatewayFrame,
  writeFrame,
} from "../../src/core/protocol/gateway/frames.ts";
import { NonceMemory, verifyRequest } from "../../src/core/protocol/gateway/signature.ts";

export const SECRET = { id: "g1", secret: "secret-of-the-tests" };

export interface Script {
  /** `hang`: no reply; `drop`: the socket is cut. */
  readonly recipient?: (to: string) => Reply | "hang" | "drop";
  readonly message?: (octets: Buffer) => Reply | "hang" | "drop";
  /** Answers as soon as the message begins. */
  readonly early?: Reply;
  /** HTTP status in place of the upgrade. */
  readonly status?: number;
  /** Octets are taken and never acknowledged. */
  readonly mute?: boolean;
  /** What the Worker goes on with behind its reply to a message, before it closes. */
  readonly afterwards?: Promise<void>;
  /** The reply to MAIL, where somebody submits. */
  readonly mail?: (frame: MailFrame) => Reply;
  /** The body of the answer to a login; absent: 404. */
  readonly login?: (login: unknown) => unknown;
  /** Sent in place of the reply to a recipient. */
  readonly nonsense?: string;
}

export interface Heard {
  readonly frames: GatewayFrame[];
  readonly messages: Buffer[];
  /** Binary frames that were under way at once, at most. */
  underWay: number;
  /** WebSockets that were opened, and that are still open. */
  opened: number;
  readonly open: Set<WebSocket>;
}

/** What the Worker was told, without what it says. */
export const ops = (heard: Heard) => heard.frames.map((frame) => frame.op);

export const accepted: Reply = { code: 250, enhanced: "2.0.0", text: "Accepted as 01TEST" };
export const senderOk: Reply = { code: 250, enhanced: "2.1.0", text: "Sender ok" };
export const recipientOk: Reply = { code: 250, enhanced: "2.1.5", text: "Recipient ok" };

export async function startWorker(script: Script = {}): Promise<{ url: URL; heard: Heard }> {
  const heard: Heard = { frames: [], messages: [], underWay: 0, opened: 0, open: new Set() };
  const sockets = new WebSocketServer({ noServer: true });
  const seen = new NonceMemory();
  const server = createServer(async (request, response) => {
    const { method = "", url: path = "", headers } = request;
    const body = Buffer.concat(await request.toArray());
    const bodyHash = createHash("sha256").update(body).digest("hex");
    const signed = { method, path, bodyHash };
    const verified = await verifyRequest([SECRET], signed, headers.authorization ?? null, Date.now(), seen);
    if (!verified.ok || path !== "/gateway/login" || !script.login) return response.writeHead(404).end();
    response.writeHead(200).end(JSON.stringify(script.login(JSON.parse(body.toString()))));
  });
  server.on("upgrade", async (request, socket, head) => {
    const { method = "", url: path = "", headers } = request;
    const verified = await verifyRequest([SECRET], { method, path }, headers.authorization ?? null, Date.now(), seen);
    const status = script.status ?? (verified.ok ? 101 : 401);
    if (status !== 101) return socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    sockets.handleUpgrade(request, socket, head, (upgraded) => serve(upgraded, script, heard));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of heard.open) socket.terminate();
    server.close();
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), heard };
}

function serve(socket: WebSocket, script: Script, heard: Heard): void {
  let size = -1;
  let taken = 0;
  let count = 0;
  let waiting = 0;
  const parts: Buffer[] = [];
  heard.opened++;
  heard.open.add(socket);
  socket.on("close", () => heard.open.delete(socket));

  const answer = (reply: Reply | "hang" | "drop") => {
    if (reply === "drop") socket.terminate();
    else if (reply !== "hang") socket.send(writeFrame({ reply }));
  };
  const finish = () => {
    const octets = Buffer.concat(parts);
    heard.messages.push(octets);
    conclude(script.message?.(octets) ?? accepted);
  };
  const conclude = async (reply: Reply | "hang" | "drop") => {
    answer(reply);
    if (typeof reply === "string") return;
    await script.afterwards;
    socket.close(1000);
  };

  socket.on("message", (data: Buffer, binary) => {
    if (binary) {
      parts.push(data);
      taken += data.length;
      heard.underWay = Math.max(heard.underWay, ++waiting);
      // Later, so that a gateway that does not wait for acknowledgements is found out.
      setTimeout(() => {
        waiting--;
        if (!script.mute) socket.send(writeFrame({ ack: ++count }));
      }, 2);
      if (taken === size) finish();
      return;
    }
    const frame = readGatewayFrame(data.toString());
    if (!frame.ok) return socket.close(1002, frame.error);
    heard.frames.push(frame.value);
    if (frame.value.op === "mail" && frame.value.submitter) answer(script.mail?.(frame.value) ?? senderOk);
    if (frame.value.op === "rcpt") {
      if (script.nonsense !== undefined) socket.send(script.nonsense);
      else answer(script.recipient?.(frame.value.to) ?? recipientOk);
    } else if (frame.value.op === "data") {
      size = frame.value.size;
      if (script.early) conclude(script.early);
      else if (size === 0) finish();
    }
  });
}
