/** A change of the route to the origin, checked: the one place that says which routes may be. */
import { parseDomain } from "../../../core/address.ts";
import { classifyHost } from "../../../core/origin-host.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { gatewaysOf } from "../../deliver/gateways.ts";
import { wayOf } from "../../deliver/origin.ts";
import type { Route } from "../../domain/contract.ts";
import type { Env } from "../../env.ts";
import { sealSecret } from "../../identity/secret.ts";
import { directory } from "../../store/directory.ts";
import { isDomain } from "../../store/domains.ts";
import { invalid, type Problem } from "../problem.ts";

/** Absent: as it was, or the default. */
export interface OriginChange {
  readonly transport?: Route["transport"] | undefined;
  /** With the transport `forward`. */
  readonly via?: Route["via"];
  /** With the transport `forward`. */
  readonly forwardDomain?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: Route["tls"] | undefined;
  /** null takes the login away. */
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
}

type OriginEnv = Pick<Env, "DIRECTORY" | "GATEWAYS" | "GATEWAY_SECRETS" | "HOSTNAME" | "MASTER_KEYS">;
type Transport = Pick<Route, "transport" | "via" | "forwardDomain">;

const SMTP_PORT = 25;
const IMPLICIT_TLS_PORT = 465;

/**
 * What is absent stays as it was; of another host nothing is known, so there it is the default.
 * @param domain whose mail it is, in normal form
 * @param operator operators may name private hosts and send a password in clear
 */
export async function changeOrigin(
  env: OriginEnv,
  domain: string,
  stored: Route | null,
  change: OriginChange,
  operator: boolean,
): Promise<Result<Route, Problem>> {
  const given = change.host ?? stored?.host;
  if (given === undefined) return err(invalid("origin.host", "is missing: name the host of the mail server"));
  const { host, kind } = classifyHost(given);
  if (kind === "invalid") return err(invalid("origin.host", "is not a host name or IP address"));
  if (kind === "private" && !operator) {
    return err(invalid("origin.host", "is a loopback or private address, which only an operator may set"));
  }
  const current = stored?.host === host ? stored : null;
  const transport = await changeTransport(env, domain, current, change);
  if (!transport.ok) return transport;
  const way = wayOf(transport.value);
  const port = change.port ?? current?.port ?? (way === "gateway" ? SMTP_PORT : IMPLICIT_TLS_PORT);
  const refused = refusePort(port, way);
  if (refused) return err(refused);
  const tls = change.tls ?? (change.port === undefined ? current?.tls : undefined) ?? defaultTls(port);
  const login = await changeLogin(env, "origin", current, change, tls, operator);
  return login.ok ? ok({ ...transport.value, host, port, tls, ...login.value }) : login;
}

type Login = Pick<Route, "username" | "passwordEncrypted" | "keyId">;

/**
 * The login at somebody else's server, as it is to be.
 * @param setting what it belongs to, for the words
 * @param current of the very same host; null where it is a new one
 * @param tls as it is to be
 */
export async function changeLogin(
  env: Pick<Env, "MASTER_KEYS">,
  setting: string,
  current: (Login & Pick<Route, "tls">) | null,
  change: Pick<OriginChange, "username" | "password">,
  tls: Route["tls"],
  operator: boolean,
): Promise<Result<Login, Problem>> {
  const username = change.username === undefined ? current?.username : (change.username ?? undefined);
  if (username === undefined) {
    return change.password ? err(invalid(`${setting}.username`, "is missing: a password needs one")) : ok({});
  }
  if (tls === "none" && !operator) {
    return err(invalid(`${setting}.tls`, "would send the password in clear text, which only an operator may set"));
  }
  if (typeof change.password === "string") {
    const { encrypted, keyId } = await sealSecret(env, change.password);
    return ok({ username, passwordEncrypted: encrypted, keyId });
  }
  // A stored password goes to the very host that it was given for, and never in clear where it was not before: or whoever
  // may change the route could read it.
  const { passwordEncrypted, keyId } = current ?? {};
  const kept =
    change.password === undefined && current?.username === username && (tls !== "none" || current.tls === tls);
  if (!kept || passwordEncrypted === undefined || keyId === undefined) {
    const why = "is missing: it must be given with the username, and again when the server changes";
    return err(invalid(`${setting}.password`, why));
  }
  return ok({ username, passwordEncrypted, keyId });
}

export const defaultTls = (port: number): Route["tls"] => (port === IMPLICIT_TLS_PORT ? "implicit" : "starttls");

function refusePort(port: number, way: "smtp" | "gateway"): Problem | null {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return invalid("origin.port", "must be a whole number from 1 to 65535");
  }
  if (port !== SMTP_PORT || way === "gateway") return null;
  return invalid(
    "origin.port",
    "cannot be 25: Cloudflare Workers cannot open port 25. Use 465, 587 or another port, or the transport gateway, which can",
  );
}

async function changeTransport(
  env: OriginEnv,
  domain: string,
  current: Route | null,
  change: OriginChange,
): Promise<Result<Transport, Problem>> {
  const transport = change.transport ?? current?.transport ?? "smtp";
  if (transport === "forward") return changeForward(env, domain, current, change);
  for (const setting of ["via", "forwardDomain"] as const) {
    if (change[setting] !== undefined) {
      return err(invalid(`origin.${setting}`, "goes with the transport forward only: leave it out, or use forward"));
    }
  }
  return transport === "gateway" && !hasGateways(env) ? err(noGateway("origin.transport")) : ok({ transport });
}

/** forward() reaches verified addresses only and exists only inside `email()`: so another way stands beside it. */
async function changeForward(
  env: OriginEnv,
  domain: string,
  current: Route | null,
  change: OriginChange,
): Promise<Result<Transport, Problem>> {
  const via = change.via ?? current?.via;
  if (via === undefined) {
    const why = "forward cannot redeliver, so name the way that probes and redelivery take beside it, smtp or gateway";
    return err(invalid("origin.via", `is missing: ${why}`));
  }
  if (via === "gateway" && !hasGateways(env)) return err(noGateway("origin.via"));
  const given = (change.forwardDomain ?? current?.forwardDomain)?.trim();
  if (!given) {
    const why = "name the domain that mail is forwarded to, such as one that only your mail server serves";
    return err(invalid("origin.forwardDomain", `is missing: ${why}`));
  }
  const parsed = parseDomain(given);
  if (!parsed.ok || !parsed.value.includes(".")) {
    return err(invalid("origin.forwardDomain", "is not a domain name"));
  }
  const forwardDomain = parsed.value;
  const ours = [domain, env.HOSTNAME.toLowerCase()];
  if (ours.includes(forwardDomain) || (await isDomain(directory(env), forwardDomain))) {
    const why = "its mail comes here, so what is forwarded would go in a circle";
    return err(invalid("origin.forwardDomain", `cannot be ${forwardDomain}: ${why}. Name one that your server serves`));
  }
  return ok({ transport: "forward", via, forwardDomain });
}

/** A list that cannot be read is none: mail would go nowhere. */
export function hasGateways(env: Pick<Env, "GATEWAYS" | "GATEWAY_SECRETS">): boolean {
  const gateways = gatewaysOf(env);
  return gateways.ok && gateways.value.length > 0;
}

function noGateway(field: string): Problem {
  return invalid(field, "cannot be gateway, for this service has no gateway: use smtp, on any port but 25");
}
