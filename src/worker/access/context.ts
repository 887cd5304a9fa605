/** What travels with a request. */
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Principal } from "../identity/principal.ts";
import type { DomainRow } from "../store/domains.ts";

export interface AppEnv {
  Bindings: Env;
  Variables: {
    /** Null: nobody is signed in. */
    principal: Principal | null;
    /** Set where the path names a domain that the principal administers. */
    domain: DomainRow;
  };
}

export type AppContext = Context<AppEnv>;

/** The principal behind a guard. @throws Error where the route has no guard: a defect, never an answer to nobody */
export function principalOf(c: AppContext): Principal {
  const principal = c.get("principal");
  if (!principal) throw new Error(`the route ${c.req.path} has no guard`);
  return principal;
}
