/** Watchers of mailboxes, each over a connection of its own: a gateway's WebSocket, or a stream of events. */
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { WebSocket } from "ws";
import { parseSecrets, signRequest } from "../../src/core/protocol/gateway/signature.ts";
import { PING, PONG, readObjectFrame, writePushFrame } from "../../src/core/protocol/push/frames.ts";
import { WATCH_PING } from "../../src/core/protocol/push/limits.ts";

export interface Watcher {
  readonly kind: "websocket" | "events";
  /** Of the mailbox. */
  readonly account: number;
  /** Takes the state that was heard of. */
  heard: (seq: number) => void;
  close(): void;
}

const ID = /^id: (\d+)$/gm;

/** @param secrets the gateway's, `id:secret` @returns once the state of the mailbox has come */
export async function openWebSocket(base: string, secrets: string, domain: string, account: number): Promise<Watcher> {
  const parsed = parseSecrets(secrets);
  if (!parsed.ok) throw new Error(parsed.error);
  const url = new URL(`/gateway/watch/${domain}`, base);
  const nonce = randomBytes(18).toString("base64url");
  const signed = { method: "GET", path: url.pathname };
  const authorization = await signRequest(parsed.value[0], signed, Date.now(), nonce);
  url.protocol = "ws:";
  const socket = new WebSocket(url, { headers: { authorization }, perMessageDeflate: false });
  const ping = setInterval(() => socket.send(PING), WATCH_PING);
  const close = () => {
    clearInterval(ping);
    socket.terminate();
  };
  const watcher: Watcher = { kind: "websocket", account, heard: () => undefined, close };
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (data) => {
      if (data.toString() === PONG) return;
      const frame = readObjectFrame(data.toString());
      if (!frame.ok) throw new Error(`the object said something unexpected: ${frame.error}`);
      if (frame.value.op === "hello")
        socket.send(writePushFrame({ op: "watch", accounts: [{ account, since: null }] }));
      if (frame.value.op !== "changed") return;
      watcher.heard(frame.value.seq ?? 0);
      resolve(watcher);
    });
  });
}

/** @param token a session of the mailbox's user @returns once the state of the mailbox has come */
export function openEvents(base: string, token: string, account: number): Promise<Watcher> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
    const asked = request(new URL("/api/mail/events", base), { headers, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        reject(new Error(`the stream of events was answered ${response.statusCode}`));
        return;
      }
      response.setEncoding("utf8");
      response.on("error", () => undefined); // closed by us, or the watcher misses what comes
      response.on("data", (text: string) => {
        for (const [, id] of text.matchAll(ID)) {
          watcher.heard(Number(id));
          resolve(watcher);
        }
      });
    });
    const watcher: Watcher = { kind: "events", account, heard: () => undefined, close: () => asked.destroy() };
    asked.on("error", reject);
    asked.end();
  });
}
