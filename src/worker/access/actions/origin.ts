/** A change of the route to the origin, checked: the one place that says which routes may be. */

import { classifyHost } from "../../../core/origin-host.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import type { Route } from "../../domain/contract.ts";
import { sealSecret } from "../../identity/secret.ts";
import { invalid, invalidFields, type Problem } from "../problem.ts";

/** Absent: as it was, or the default. */
export interface OriginChange {
  readonly transport?: Route["transport"] | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly tls?: Route["tls"] | undefined;
  /** null takes the login away. */
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
}

const IMPLICIT_TLS_PORT = 465;

/**
 * What is absent stays as it was; of another host nothing is known, so there it is the default.
 * @param operator operators may name private hosts and send a password in clear
 */
export async function changeOrigin(
  env: { readonly MASTER_KEYS: string },
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
  const port = change.port ?? current?.port ?? IMPLICIT_TLS_PORT;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return err(invalid("origin.port", "must be a whole number from 1 to 65535"));
  }
  const tls = change.tls ?? (change.port === undefined ? current?.tls : undefined) ?? defaultTls(port);
  const transport = change.transport ?? current?.transport ?? "smtp";
  const refused = refuseTransport(transport, port);
  if (refused) return err(refused);
  const username = change.username === undefined ? current?.username : (change.username ?? undefined);
  const route = { transport, host, port, tls };
  if (username === undefined) {
    return change.password ? err(invalid("origin.username", "is missing: a password needs one")) : ok(route);
  }
  if (tls === "none" && !operator) {
    return err(invalid("origin.tls", "would send the password in clear text, which only an operator may set"));
  }
  if (typeof change.password === "string") {
    const { encrypted, keyId } = await sealSecret(env, change.password);
    return ok({ ...route, username, passwordEncrypted: encrypted, keyId });
  }
  // A stored password goes to the very host that it was given for, and never in clear where it was not before: or whoever
  // may change the route could read it.
  const { passwordEncrypted, keyId } = current ?? {};
  const kept =
    change.password === undefined && current?.username === username && (tls !== "none" || current.tls === tls);
  if (!kept || passwordEncrypted === undefined || keyId === undefined) {
    return err(
      invalid("origin.password", "is missing: it must be given with the username, and again when the server changes"),
    );
  }
  return ok({ ...route, username, passwordEncrypted, keyId });
}

const defaultTls = (port: number): Route["tls"] => (port === IMPLICIT_TLS_PORT ? "implicit" : "starttls");

function refuseTransport(transport: Route["transport"], port: number): Problem | null {
  switch (transport) {
    case "smtp":
      return port === 25
        ? invalid(
            "origin.port",
            "cannot be 25: Cloudflare Workers cannot open port 25. Use 465, 587 or another port, or the gateway",
          )
        : null;
    case "gateway":
      return invalidFields([{ field: "origin.transport", message: "gateway is not available yet: use smtp" }]);
    case "forward":
      return invalidFields([
        {
          field: "origin.transport",
          message: "forward cannot redeliver, so it works only beside another transport: use smtp",
        },
      ]);
  }
}
