/** Straight to the recipients' own servers, through a gateway (decision 019). */
import { openMx } from "../../deliver/mx.ts";
import type { Env } from "../../env.ts";
import type { Transport, Unreachable } from "./contract.ts";
import { SmtpCarriage } from "./smtp.ts";

/** Each recipient's domain is a destination of its own: that its hosts are another domain's too is not known beforehand. */
export function gateway(env: Env, unreachable: Unreachable): Transport {
  const open = (domain: string) => openMx(domain, env, { helo: env.HOSTNAME });
  return { destinationOf: (domain) => domain, open: () => new SmtpCarriage(open, unreachable) };
}
