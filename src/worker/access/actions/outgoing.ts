/** A change of how a domain's mail goes out, checked: the one place that says which ways may be. */
import { classifyHost } from "../../../core/origin-host.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import type { Env } from "../../env.ts";
import type { OutgoingRoute, OutgoingSettings, SendLimits } from "../../send/contract.ts";
import { FORBIDDEN, invalid, type Problem } from "../problem.ts";
import { changeLogin, defaultTls, hasGateways } from "./origin.ts";

type SmartHost = Extract<OutgoingRoute, { transport: "smarthost" }>;

/** Absent: as it was, or the default. */
export interface OutgoingChange {
  /** `none`: no mail goes out to other domains. */
  readonly transport?: OutgoingRoute["transport"] | "none" | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: SmartHost["tls"] | undefined;
  /** null takes the login away. */
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  /** null: the usual one. */
  readonly limits?: { readonly [name in keyof SendLimits]?: number | null | undefined } | undefined;
}

type OutgoingEnv = Pick<Env, "MASTER_KEYS" | "GATEWAYS" | "GATEWAY_SECRETS">;

const IMPLICIT_TLS_PORT = 465;

export async function changeOutgoing(
  env: OutgoingEnv,
  stored: OutgoingSettings,
  change: OutgoingChange,
  operator: boolean,
): Promise<Result<OutgoingSettings, Problem>> {
  if (change.limits && !operator) {
    return err({ ...FORBIDDEN, detail: "outgoing.limits: only an operator may set them." });
  }
  const limits = changeLimits(stored.limits, change.limits ?? {});
  const route = await changeRoute(env, stored.route, change, operator);
  return route.ok ? ok({ route: route.value, limits }) : route;
}

function changeLimits(stored: Partial<SendLimits>, change: NonNullable<OutgoingChange["limits"]>): Partial<SendLimits> {
  const kept = { ...stored, ...change };
  return Object.fromEntries(Object.entries(kept).filter(([, limit]) => typeof limit === "number"));
}

async function changeRoute(
  env: OutgoingEnv,
  stored: OutgoingRoute | null,
  change: OutgoingChange,
  operator: boolean,
): Promise<Result<OutgoingRoute | null, Problem>> {
  const transport = change.transport ?? stored?.transport ?? (change.host === undefined ? "none" : "smarthost");
  if (transport === "smarthost") {
    return changeSmartHost(env, stored?.transport === "smarthost" ? stored : null, change, operator);
  }
  for (const setting of ["host", "port", "tls", "username", "password"] as const) {
    if (change[setting] !== undefined) {
      return err(invalid(`outgoing.${setting}`, "goes with the transport smarthost only: leave it out"));
    }
  }
  switch (transport) {
    case "none":
      return ok(null);
    case "cloudflare":
      return ok({ transport });
    case "gateway":
      if (hasGateways(env)) return ok({ transport });
      return err(
        invalid("outgoing.transport", "cannot be gateway, for this service has none: use smarthost or cloudflare"),
      );
  }
}

async function changeSmartHost(
  env: Pick<Env, "MASTER_KEYS">,
  stored: SmartHost | null,
  change: OutgoingChange,
  operator: boolean,
): Promise<Result<SmartHost, Problem>> {
  const given = change.host ?? stored?.host;
  if (given === undefined) return err(invalid("outgoing.host", "is missing: name the server that takes your mail"));
  const { host, kind } = classifyHost(given);
  if (kind === "invalid") return err(invalid("outgoing.host", "is not a host name or IP address"));
  if (kind === "private" && !operator) {
    return err(invalid("outgoing.host", "is a loopback or private address, which only an operator may set"));
  }
  const current = stored?.host === host ? stored : null;
  const port = change.port ?? current?.port ?? IMPLICIT_TLS_PORT;
  if (port === 25) {
    const why =
      "Cloudflare Workers cannot open port 25. Use 465, 587 or 2525, where a smart host takes mail of its customers";
    return err(invalid("outgoing.port", `cannot be 25: ${why}`));
  }
  const tls = change.tls ?? (change.port === undefined ? current?.tls : undefined) ?? defaultTls(port);
  const login = await changeLogin(env, "outgoing", current, change, tls, operator);
  return login.ok ? ok({ transport: "smarthost", host, port, tls, ...login.value }) : login;
}
