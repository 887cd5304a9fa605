/** Which way a recipient's mail goes: to our own domains by the mail's way, to all others as their sender's domain has chosen. */
import type { Env } from "../../env.ts";
import type { SendingDomain } from "../../store/outgoing-settings.ts";
import { cloudflare } from "./cloudflare.ts";
import { all, type Carriage, ours, type Transport, Unreachable } from "./contract.ts";
import { gateway } from "./gateway.ts";
import { INSIDE, inside } from "./inside.ts";
import { smartHost } from "./smart-host.ts";

/** The ways of one run. */
export class Ways {
  readonly #inside: Transport;
  readonly #outside: Transport;

  constructor(env: Env, ctx: Pick<ExecutionContext, "waitUntil">, domain: SendingDomain) {
    this.#inside = inside(env, ctx);
    this.#outside = outside(env, domain, new Unreachable());
  }

  /** @param own whether the recipient's domain is one of this service's */
  destinationOf(domain: string, own: boolean): string {
    return (own ? this.#inside : this.#outside).destinationOf(domain);
  }

  open(destination: string): Carriage {
    return (destination.startsWith(INSIDE) ? this.#inside : this.#outside).open();
  }
}

function outside(env: Env, { route, name }: SendingDomain, unreachable: Unreachable): Transport {
  switch (route?.transport) {
    case "smarthost":
      return smartHost(env, route, unreachable);
    case "cloudflare":
      return cloudflare(env);
    case "gateway":
      return gateway(env, unreachable);
    case undefined:
      return none(`mail of ${name} has no way out: an administrator has to set one`);
  }
}

function none(why: string): Transport {
  return {
    destinationOf: () => "nowhere",
    open: () => ({ carry: async ({ recipients }) => all(recipients, ours(why)), close: () => undefined }),
  };
}
