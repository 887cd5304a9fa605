/** What gateways may call. Each request is signed (core/protocol/gateway/signature.ts). */
import { type Context, Hono } from "hono";
import { MAX_TEXT_FRAME } from "../../../core/protocol/gateway/frames.ts";
import { LOGIN_PATH, readLogin } from "../../../core/protocol/gateway/login.ts";
import { NonceMemory, parseSecrets, verifyRequest } from "../../../core/protocol/gateway/signature.ts";
import type { Env } from "../../env.ts";
import { sha256 } from "../../identity/random-secret.ts";
import { openWatch } from "../../push/watch.ts";
import { AT_MX_PORT } from "../../receive/patience.ts";
import { openTransaction } from "../../receive/transaction.ts";
import { logIn } from "../../submission/login.ts";
import { openSubmission } from "../../submission/transaction.ts";
import { notFound, type Problem, problemResponse, unavailable } from "../problem.ts";
import { converse } from "./conversation.ts";

const nonces = new NonceMemory();

const UPGRADE: Problem = { status: 400, code: "upgrade_required", detail: "This address speaks WebSocket only." };

const isUpgrade = (c: Context): boolean => c.req.header("upgrade")?.toLowerCase() === "websocket";

export const gatewayRoutes = new Hono<{ Bindings: Env; Variables: { body: string } }>();

gatewayRoutes.use(async (c, next) => {
  const secrets = parseSecrets(c.env.GATEWAY_SECRETS ?? "");
  if (!secrets.ok) {
    console.error(`GATEWAY_SECRETS: ${secrets.error}`);
    return problemResponse(c, { status: 503, code: "not_configured", detail: "This service has no gateway secrets." });
  }
  const url = new URL(c.req.url);
  const signed = { method: c.req.method, path: `${url.pathname}${url.search}` };
  const body = c.req.method === "POST" ? await bodyOf(c.req.raw) : "";
  if (body === null) return problemResponse(c, { status: 413, code: "too_large", detail: "The body is too large." });
  const request = c.req.method === "POST" ? { ...signed, bodyHash: await sha256(body) } : signed;
  const authorization = c.req.header("authorization") ?? null;
  const verified = await verifyRequest(secrets.value, request, authorization, Date.now(), nonces);
  c.set("body", body);
  if (verified.ok) return next();
  const detail = `The gateway's signature does not hold: ${verified.error.replaceAll("_", " ")}. Check its secret and its clock.`;
  return problemResponse(c, { status: 401, code: "bad_gateway_signature", detail });
});

gatewayRoutes.get("/gateway/transaction", (c) => {
  if (!isUpgrade(c)) return problemResponse(c, UPGRADE);
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.binaryType = "arraybuffer";
  ours.accept();
  const { env, executionCtx } = c;
  executionCtx.waitUntil(
    converse(
      ours,
      (client, mail) => openTransaction(env, executionCtx, client, mail, null, AT_MX_PORT),
      (client, mail, shown) => openSubmission(env, executionCtx, client, mail, shown),
    ),
  );
  return new Response(null, { status: 101, webSocket: theirs });
});

/** Changes of the mailboxes that the gateway will name, core/protocol/push/frames.ts; the domain's object holds the socket. */
gatewayRoutes.get("/gateway/watch/:domain", async (c) => {
  if (!isUpgrade(c)) return problemResponse(c, UPGRADE);
  const opened = await openWatch(c.env, c.req.param("domain"), { kind: "gateway" });
  if (typeof opened !== "string") return opened;
  if (opened === "none") return problemResponse(c, notFound("such domain"));
  if (opened === "failed") return problemResponse(c, unavailable("The domain's object does not answer; try again."));
  const detail = "Too many watch this domain already.";
  return problemResponse(c, { status: 429, code: "too_many_watchers", detail, retryAfter: 60 });
});

gatewayRoutes.post(LOGIN_PATH, async (c) => {
  const login = readLogin(c.get("body"));
  if (login.ok) return c.json(await logIn(c.env, login.value, Date.now()), 200, { "cache-control": "no-store" });
  return problemResponse(c, { status: 400, code: "malformed", detail: `No login: ${login.error}` });
});

/** @returns null where it is longer than any that a gateway sends */
async function bodyOf(request: Request): Promise<string | null> {
  const announced = Number(request.headers.get("content-length") ?? Number.NaN);
  return announced <= MAX_TEXT_FRAME ? request.text() : null;
}

gatewayRoutes.notFound((c) =>
  problemResponse(c, { status: 404, code: "not_found", detail: `There is no ${c.req.path} for gateways.` }),
);
