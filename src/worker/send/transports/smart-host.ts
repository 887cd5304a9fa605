/** A server that takes mail for anybody from us: SMTP from the Worker, on any port but 25. */
import { openRoute } from "../../deliver/origin.ts";
import type { Env } from "../../env.ts";
import { openSecret } from "../../identity/secret.ts";
import type { OutgoingRoute } from "../contract.ts";
import type { Transport, Unreachable } from "./contract.ts";
import { SmtpCarriage } from "./smtp.ts";

export function smartHost(
  env: Env,
  route: Extract<OutgoingRoute, { transport: "smarthost" }>,
  unreachable: Unreachable,
): Transport {
  const unseal = (encrypted: string, keyId: string) => openSecret(env, encrypted, keyId);
  const open = () => openRoute({ ...route, transport: "smtp" }, unseal, { helo: env.HOSTNAME });
  return { destinationOf: () => "smart host", open: () => new SmtpCarriage(open, unreachable) };
}
