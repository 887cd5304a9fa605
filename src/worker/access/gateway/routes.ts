/** What gateways may call. Each request is signed (core/protocol/gateway/signature.ts). */
import { Hono } from "hono";
import { NonceMemory, parseSecrets, verifyRequest } from "../../../core/protocol/gateway/signature.ts";
import type { Env } from "../../env.ts";
import { AT_MX_PORT } from "../../receive/patience.ts";
import { openTransaction } from "../../receive/transaction.ts";
import { problemResponse } from "../problem.ts";
import { converse } from "./conversation.ts";

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
  ours.binaryType = "arraybuffer";
  ours.accept();
  const { env, executionCtx } = c;
  executionCtx.waitUntil(
    converse(ours, (client, mail) => openTransaction(env, executionCtx, client, mail, null, AT_MX_PORT)),
  );
  return new Response(null, { status: 101, webSocket: theirs });
});

gatewayRoutes.notFound((c) =>
  problemResponse(c, { status: 404, code: "not_found", detail: `There is no ${c.req.path} for gateways.` }),
);
