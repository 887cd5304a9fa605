/** Through which gateway an origin is reached: the list, which of them answer, and one that does. */
import { GATEWAY_CONNECT_TIMEOUT, GATEWAY_REST, GATEWAY_SEARCH } from "../../core/limits.ts";
import { classifyHost } from "../../core/origin-host.ts";
import type { Unavailable } from "../../core/outcome.ts";
import { type GatewaySecret, parseSecrets, signRequest } from "../../core/protocol/gateway/signature.ts";
import { RELAY_HEALTH_PATH, RELAY_PATH } from "../../core/protocol/gateway/tunnel.ts";
import { within } from "../../core/protocol/smtp/wire.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import { timing } from "./socket.ts";
import { connectThrough, type GatewayWire, type TunnelFailure } from "./tunnel.ts";

export type RelaySettings = Pick<Env, "GATEWAYS" | "GATEWAY_SECRETS">;

/** Gateways of this isolate that failed, with the time until which they come last, unix milliseconds. */
const resting = new Map<string, number>();

/**
 * The base addresses in GATEWAYS.
 * @returns what is wrong, in words
 */
export function gatewaysOf({ GATEWAYS }: RelaySettings): Result<readonly URL[], string> {
  const urls: URL[] = [];
  for (const text of (GATEWAYS ?? "").split(",").map((one) => one.trim())) {
    if (text === "") continue;
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url?.protocol !== "https:" && url?.protocol !== "http:") {
      return err(`GATEWAYS must list https addresses, not ${JSON.stringify(text)}`);
    }
    urls.push(url);
  }
  return ok(urls);
}

/** An origin by name or address, or a host that takes a stranger's mail. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Milliseconds for the connection, each time. */
  readonly limit: number;
  /** See core/protocol/gateway/tunnel.ts; absent: an origin. */
  readonly mx?: { readonly verify: boolean };
}

/**
 * Connects by one gateway after the other until one can; an origin that one cannot reach another is asked about too, since it
 * may be the first one's network. Never rejects.
 * @param deadline unix milliseconds for all
 * @param search milliseconds after which no further gateway is tried
 */
export async function connectByGateway(
  settings: RelaySettings,
  { host, port, limit, mx }: Target,
  deadline = Number.POSITIVE_INFINITY,
  search = GATEWAY_SEARCH,
): Promise<Result<GatewayWire, TunnelFailure>> {
  // Only an operator can name a private host as origin; a stranger's MX record can name anything.
  const isPrivate = !mx && classifyHost(host).kind === "private";
  return eachGateway(settings, deadline, search, (gateway, secret, left) => {
    const target = { host, port, limit: Math.min(limit, left), private: isPrivate, ...(mx ? { mx } : {}) };
    return connectBy(gateway, secret, target, left);
  });
}

/**
 * Asks one gateway after the other until one answers with JSON. Never rejects.
 * @param path with its query
 * @param limit milliseconds for each answer
 */
export async function askGateway(
  settings: RelaySettings,
  path: string,
  limit: number,
  deadline = Number.POSITIVE_INFINITY,
): Promise<Result<unknown, TunnelFailure>> {
  return eachGateway(settings, deadline, GATEWAY_SEARCH, async (gateway, secret, left) => {
    const wait = Math.min(limit, left);
    const given = new AbortController();
    const answer = call(gateway, path, secret, {}, given.signal).then(async (response) => {
      if (response.status === 200) return response.json<unknown>();
      await response.body?.cancel();
      throw new Error(`it answered ${response.status}`);
    });
    const asked = await within(timing, wait, answer);
    if (asked.kind === "done") return ok(asked.value);
    given.abort();
    return err(ourPath(asked.kind === "timeout" ? `no answer within ${wait} ms` : String(asked.error)));
  });
}

async function eachGateway<T>(
  settings: RelaySettings,
  deadline: number,
  search: number,
  attempt: (gateway: URL, secret: GatewaySecret, left: number) => Promise<Result<T, TunnelFailure>>,
): Promise<Result<T, TunnelFailure>> {
  const gateways = gatewaysOf(settings);
  const secrets = parseSecrets(settings.GATEWAY_SECRETS ?? "");
  if (!gateways.ok) return err(ourPath(gateways.error));
  if (!secrets.ok) return err(ourPath(`GATEWAY_SECRETS: ${secrets.error}`));
  if (gateways.value.length === 0) return err(ourPath("no gateway is configured (GATEWAYS)"));
  const details: string[] = [];
  let seen: TunnelFailure | null = null;
  const until = timing.now() + search;
  for (const gateway of inOrder(gateways.value, timing.now())) {
    const left = deadline - timing.now();
    if (left <= 0 || timing.now() > until) break;
    const tried = await attempt(gateway, secrets.value[0], left);
    if (tried.ok) return tried;
    const { where, reason, detail } = tried.error;
    details.push(`${gateway.host}: ${detail}`);
    // One that has enough connections to that host does well otherwise.
    if (where === "path" && reason !== "busy") rest(gateway, detail);
    if (where === "path") continue;
    if (seen) return tried; // two of them say so
    seen = tried.error;
  }
  return err(seen ?? ourPath(details.length > 0 ? details.join("; ") : "no time is left"));
}

/** Whether each gateway answers, for the operator's monitoring. */
export async function gatewayHealth(settings: RelaySettings): Promise<{ gateway: string; ok: boolean }[]> {
  const gateways = gatewaysOf(settings);
  const secrets = parseSecrets(settings.GATEWAY_SECRETS ?? "");
  if (!gateways.ok || !secrets.ok) return [];
  return Promise.all(
    gateways.value.map(async (gateway) => {
      const asked = await within(
        timing,
        GATEWAY_CONNECT_TIMEOUT,
        call(gateway, RELAY_HEALTH_PATH, secrets.value[0], {}, null),
      );
      const answered = asked.kind === "done" && asked.value.status === 200;
      if (asked.kind === "done") await asked.value.body?.cancel();
      return { gateway: gateway.host, ok: answered };
    }),
  );
}

/** Those that failed lately come last; the load is spread over the others. */
function inOrder(gateways: readonly URL[], now: number): URL[] {
  const start = Math.floor(Math.random() * gateways.length);
  const turned = [...gateways.slice(start), ...gateways.slice(0, start)];
  const rests = (gateway: URL) => (resting.get(gateway.href) ?? 0) > now;
  return [...turned.filter((gateway) => !rests(gateway)), ...turned.filter(rests)];
}

function rest(gateway: URL, detail: string): void {
  console.error(`the gateway ${gateway.host} failed: ${detail}`);
  resting.set(gateway.href, timing.now() + GATEWAY_REST);
}

async function connectBy(
  gateway: URL,
  secret: GatewaySecret,
  target: Parameters<typeof connectThrough>[1],
  left: number,
): Promise<Result<GatewayWire, TunnelFailure>> {
  const given = new AbortController();
  const limit = Math.min(GATEWAY_CONNECT_TIMEOUT, left);
  const upgrade = call(gateway, RELAY_PATH, secret, { upgrade: "websocket" }, given.signal);
  const asked = await within(timing, limit, upgrade);
  if (asked.kind === "timeout") {
    given.abort();
    // It may have been upgraded in the same moment.
    upgrade.then(
      ({ webSocket }) => discard(webSocket),
      () => undefined,
    );
    return err(ourPath(`no answer within ${limit} ms`));
  }
  if (asked.kind === "failed") return err(ourPath(String(asked.error)));
  const { status, webSocket } = asked.value;
  if (!webSocket) {
    await asked.value.body?.cancel();
    return err(ourPath(`it answered ${status}`));
  }
  webSocket.binaryType = "arraybuffer";
  webSocket.accept();
  return connectThrough(webSocket, target, timing);
}

async function call(
  gateway: URL,
  pathname: string,
  secret: GatewaySecret,
  headers: Record<string, string>,
  signal: AbortSignal | null,
): Promise<Response> {
  const url = new URL(pathname, gateway);
  const authorization = await signRequest(
    secret,
    { method: "GET", path: `${url.pathname}${url.search}` },
    timing.now(),
    nonce(),
  );
  return fetch(url, { headers: { ...headers, authorization }, redirect: "manual", signal });
}

/** What a failed connection is to whoever wanted to speak SMTP. */
export function unavailableOf({ where, reason, detail }: TunnelFailure): Unavailable {
  return { kind: "unavailable", where, phase: "connect", reason: reason === "busy" ? "no_connection" : reason, detail };
}

function discard(webSocket: WebSocket | null): void {
  webSocket?.accept();
  webSocket?.close(1000);
}

function nonce(): string {
  return crypto.randomUUID();
}

function ourPath(detail: string): TunnelFailure {
  return { where: "path", reason: "no_connection", detail };
}
