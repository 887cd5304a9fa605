/** To the origin, over whichever transport its route names. */
import { CONNECT_TIMEOUT } from "../../core/limits.ts";
import type { Unavailable } from "../../core/outcome.ts";
import type { OpenedSession } from "../../core/protocol/smtp/conversation.ts";
import { type OpenOptions, openSession } from "../../core/protocol/smtp/open.ts";
import { PHASE_LIMITS, type PhaseLimits } from "../../core/protocol/smtp/phase-limits.ts";
import type { Route } from "../domain/contract.ts";
import { connectByGateway, type RelaySettings, unavailableOf } from "./gateways.ts";
import { connectWire, timing } from "./socket.ts";

/** Opens a password of a route (identity/secret.ts with its keys bound). Rejects where it cannot. */
export type OpenSecret = (encrypted: string, keyId: string) => Promise<string>;

/** A route over SMTP with its password in clear text: it lives as long as the conversation, and is never stored or logged. */
export interface OpenRoute {
  readonly host: string;
  readonly port: number;
  readonly tls: "implicit" | "starttls" | "none";
  readonly username?: string;
  readonly password?: string;
}

export interface OriginOptions {
  /** Our name in EHLO. */
  readonly helo: string;
  /**
   * Milliseconds from now for the whole conversation but the reply to a final dot; absent, each step has only its own limit,
   * as a run over many messages needs.
   */
  readonly budget?: number;
  readonly limits?: PhaseLimits & { readonly connect: number };
  /** The gateways, for a route that goes through one. */
  readonly relay?: RelaySettings;
}

export const ORIGIN_LIMITS = { ...PHASE_LIMITS, connect: CONNECT_TIMEOUT };

/** The one switch over transports. Never rejects. */
export async function openRoute(route: Route, openSecret: OpenSecret, options: OriginOptions): Promise<OpenedSession> {
  switch (wayOf(route)) {
    case "smtp": {
      const opened = await withPassword(route, openSecret);
      return "kind" in opened ? opened : openOrigin(opened, options);
    }
    case "gateway": {
      const opened = await withPassword(route, openSecret);
      return "kind" in opened ? opened : openByGateway(opened, options);
    }
  }
}

/** The way to the origin's SMTP server; forwarding, which there is inside `email()` only, names one to stand beside it. */
export function wayOf({ transport, via = "smtp" }: Pick<Route, "transport" | "via">): "smtp" | "gateway" {
  return transport === "forward" ? via : transport;
}

/** Connects, greets, secures and authenticates. Never rejects. */
export async function openOrigin(route: OpenRoute, options: OriginOptions): Promise<OpenedSession> {
  const { budget, helo, limits = ORIGIN_LIMITS } = options;
  const deadline = budget === undefined ? Number.POSITIVE_INFINITY : timing.now() + budget;
  const connected = await connectWire(route.host, route.port, Math.min(limits.connect, deadline - timing.now()));
  if (!connected.ok) return { kind: "unavailable", where: "origin", phase: "connect", ...connected.error };
  return openSession(connected.value, { helo, tls: route.tls, timing, limits, deadline, ...credentialsOf(route) });
}

/** The same through a gateway: for port 25, which a Worker cannot open. Never rejects. */
async function openByGateway(route: OpenRoute, options: OriginOptions): Promise<OpenedSession> {
  const { budget, helo, relay, limits = ORIGIN_LIMITS } = options;
  if (!relay) return ours("connect", "the gateways are not known here");
  const deadline = budget === undefined ? Number.POSITIVE_INFINITY : timing.now() + budget;
  const connected = await connectByGateway(
    relay,
    { host: route.host, port: route.port, limit: limits.connect },
    deadline,
  );
  if (!connected.ok) return unavailableOf(connected.error);
  return openSession(connected.value, { helo, tls: route.tls, timing, limits, deadline, ...credentialsOf(route) });
}

function credentialsOf({ username, password }: OpenRoute): Pick<OpenOptions, "credentials"> {
  return username !== undefined && password !== undefined ? { credentials: { username, password } } : {};
}

async function withPassword(route: Route, openSecret: OpenSecret): Promise<OpenRoute | Unavailable> {
  const { host, port, tls, username, passwordEncrypted, keyId } = route;
  if (username === undefined) return { host, port, tls };
  if (passwordEncrypted === undefined || keyId === undefined) {
    return ours("auth", "the route has a user name but no password");
  }
  try {
    return { host, port, tls, username, password: await openSecret(passwordEncrypted, keyId) };
  } catch (error) {
    // Our own keys, no evidence against the origin. The message names the key at most.
    return ours("auth", `the password of the route cannot be opened: ${error instanceof Error ? error.message : "?"}`);
  }
}

/** Something of ours fails: no evidence against the origin. */
function ours(phase: "connect" | "auth", detail: string): Unavailable {
  return { kind: "unavailable", where: "path", phase, reason: "unsupported", detail };
}
