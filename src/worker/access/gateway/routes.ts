/** What gateways may call. Each request is signed (core/protocol/gateway/signature.ts). */
import { Hono } from "hono";
import { GATEWAY_FRAME_TIMEOUT, GATEWAY_IDLE_TIMEOUT } from "../../../core/limits.ts";
import { type MailFrame, readGatewayFrame, writeFrame } from "../../../core/protocol/gateway/frames.ts";
import { NonceMemory, parseSecrets, verifyRequest } from "../../../core/protocol/gateway/signature.ts";
import type { Env } from "../../env.ts";
import type { Transaction } from "../../receive/contract.ts";
import { openTransaction } from "../../receive/transaction.ts";
import { problemResponse } from "../problem.ts";
import { Inbox } from "./inbox.ts";

const nonces = new NonceMemory();

export const gatewayRoutes = new Hono<{ Bindings: Env }>();

gatewayRoutes.use(async (c, next) => {
  const secrets = parseSecrets(c.env.GATEWAY_SECRETS ?? "");
  if (!secrets.ok) {
    console.error(`GATEWAY_SECRETS: ${secrets.error}`);
    return problemResponse(c, { status: 503, code: "not_configured", detail: "This service has no gateway secrets." });
  }
  const url = new URL(c.req.url);
  const request = { method: c.req.method, path: `${url.pathname}${url.search}` };
  const authorization = c.req.header("authorization") ?? null;
  const verified = await verifyRequest(secrets.value, request, authorization, Date.now(), nonces);
  if (verified.ok) return next();
  const detail = `The gateway's signature does not hold: ${verified.error.replaceAll("_", " ")}. Check its secret and its clock.`;
  return problemResponse(c, { status: 401, code: "bad_gateway_signature", detail });
});

gatewayRoutes.get("/gateway/transaction", (c) => {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    return problemResponse(c, { status: 400, code: "upgrade_required", detail: "This address speaks WebSocket only." });
  }
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.accept();
  ours.binaryType = "arraybuffer";
  c.executionCtx.waitUntil(serve(ours, c.env, c.executionCtx));
  return new Response(null, { status: 101, webSocket: theirs });
});

gatewayRoutes.notFound((c) =>
  problemResponse(c, { status: 404, code: "not_found", detail: `There is no ${c.req.path} for gateways.` }),
);

/** One transaction, from its first frame to its last. */
async function serve(socket: WebSocket, env: Env, ctx: Pick<ExecutionContext, "waitUntil">): Promise<void> {
  const inbox = new Inbox(socket);
  let transaction: Transaction | null = null;
  try {
    for (;;) {
      const frame = await inbox.next(GATEWAY_IDLE_TIMEOUT);
      if (!frame) break;
      const read = "text" in frame ? readGatewayFrame(frame.text) : { ok: false as const, error: "octets before data" };
      if (!read.ok) throw new ProtocolError(read.error);
      const said = read.value;
      if (said.op === "abort") break;
      if (said.op === "mail") {
        if (transaction) throw new ProtocolError("mail twice");
        transaction = openTransaction(env, ctx, said.client, mailOf(said.mail));
        continue;
      }
      if (!transaction) throw new ProtocolError(`${said.op} before mail`);
      if (said.op === "rcpt") {
        send(socket, { reply: await transaction.recipient(said.to) });
        continue;
      }
      const current = transaction;
      // `message` ends the transaction, whatever comes of it.
      transaction = null;
      send(socket, { reply: await current.message({ size: said.size, chunks: octets(inbox, socket, said.size) }) });
      break;
    }
    socket.close(1000);
  } catch (error) {
    console.error("a gateway's transaction failed:", String(error));
    if (error instanceof ProtocolError) socket.close(1002, error.message.slice(0, 100));
    else {
      send(socket, {
        reply: { code: 451, enhanced: "4.3.0", text: "The message could not be taken, please try again later" },
      });
      socket.close(1011);
    }
  } finally {
    transaction?.abort();
  }
}

class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** The message's frames, each acknowledged when the next is asked for. */
async function* octets(inbox: Inbox, socket: WebSocket, size: number): AsyncGenerator<Uint8Array> {
  let count = 0;
  for (let left = size; left > 0; ) {
    const frame = await inbox.next(GATEWAY_FRAME_TIMEOUT);
    if (!frame || !("octets" in frame)) throw new Error("the gateway broke off in the middle of a message");
    left -= frame.octets.length;
    yield frame.octets;
    send(socket, { ack: ++count });
  }
}

/** The other side may be gone: then nobody waits for it, and what was done stays done. */
function send(socket: WebSocket, frame: Parameters<typeof writeFrame>[0]): void {
  if (socket.readyState === WebSocket.READY_STATE_OPEN) socket.send(writeFrame(frame));
}

function mailOf({ from, body, smtputf8, size }: MailFrame["mail"]) {
  return { from, body, smtputf8, ...(size === undefined ? {} : { size }) };
}
