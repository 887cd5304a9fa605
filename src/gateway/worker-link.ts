/** The gateway's way to the Worker: WebSockets whose opening is signed (docs/decisions/003). */
import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { GATEWAY_CONNECT_TIMEOUT } from "../core/limits.ts";
import { MAX_TEXT_FRAME } from "../core/protocol/gateway/frames.ts";
import { type GatewaySecret, signRequest } from "../core/protocol/gateway/signature.ts";

export interface WorkerLink {
  readonly worker: URL;
  /** The first signs. */
  readonly secrets: readonly [GatewaySecret, ...GatewaySecret[]];
}

/** @returns what opens the WebSocket, at once: the signature is good for a short time */
export async function signedSocket({ worker, secrets }: WorkerLink, path: string): Promise<() => WebSocket> {
  const url = new URL(path, worker);
  const request = { method: "GET", path: url.pathname };
  const authorization = await signRequest(secrets[0], request, Date.now(), randomBytes(18).toString("base64url"));
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return () =>
    new WebSocket(url, {
      headers: { authorization },
      handshakeTimeout: GATEWAY_CONNECT_TIMEOUT,
      perMessageDeflate: false,
      maxPayload: MAX_TEXT_FRAME,
    });
}
