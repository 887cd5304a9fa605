/** Who may come in, decided where the router mounts; each query decides again by the scope that it takes. */
import { getCookie } from "hono/cookie";
import { createMiddleware } from "hono/factory";
import { parseDomain } from "../../core/address.ts";
import { scopeOf } from "../identity/principal.ts";
import { principalOfToken, SESSION_COOKIE } from "../identity/session.ts";
import { directory } from "../store/directory.ts";
import { findDomain } from "../store/domains.ts";
import { type AppContext, type AppEnv, principalOf } from "./context.ts";
import { FORBIDDEN, NOT_SIGNED_IN, notFound, type Problem } from "./problem.ts";

/** How a refusal is told: the API answers a problem document, the pages a page. */
export type Refuse = (c: AppContext, problem: Problem) => Response | Promise<Response>;

export const bearerToken = (c: AppContext): string | null =>
  /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? null;

/** The token of the request; an Authorization header goes before the cookie. */
export const sessionToken = (c: AppContext): string | null => bearerToken(c) ?? getCookie(c, SESSION_COOKIE) ?? null;

export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const token = sessionToken(c);
  c.set("principal", token ? await principalOfToken(c.env, token, Date.now()) : null);
  await next();
});

/**
 * A page of somebody else's must not act with our cookie. Browsers say where a request comes from (Sec-Fetch-Site, or
 * Origin); what sends neither is no browser, and a bearer token is never sent by one on its own.
 */
export const sameOrigin = (refuse: Refuse) =>
  createMiddleware<AppEnv>(async (c, next) => {
    if (/^(GET|HEAD|OPTIONS)$/.test(c.req.method) || bearerToken(c)) return next();
    const site = c.req.header("sec-fetch-site");
    const origin = c.req.header("origin");
    const same =
      site === undefined ? origin === undefined || hostOf(origin) === new URL(c.req.url).host : isOwnSite(site);
    if (!same) {
      return refuse(c, {
        status: 403,
        code: "cross_site",
        detail: "This request came from another site; it was not carried out.",
      });
    }
    return next();
  });

/** `none`: the person typed the address or opened a bookmark. */
const isOwnSite = (site: string): boolean => site === "same-origin" || site === "none";

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

export const signedIn = (refuse: Refuse) =>
  createMiddleware<AppEnv>((c, next) => (c.get("principal") ? next() : Promise.resolve(refuse(c, NOT_SIGNED_IN))));

/** Operators, and with `administrator` those too. */
export const only = (refuse: Refuse, ...kinds: ("operator" | "administrator" | "user")[]) =>
  createMiddleware<AppEnv>(async (c, next) => {
    const principal = c.get("principal");
    if (!principal) return refuse(c, NOT_SIGNED_IN);
    if (!kinds.includes(principal.kind)) return refuse(c, FORBIDDEN);
    return next();
  });

/** The path's `:domain` is one that the principal administers; it is read once and handed on. */
export const administersDomain = (refuse: Refuse) =>
  createMiddleware<AppEnv>(async (c, next) => {
    const given = c.req.param("domain") ?? "";
    const name = parseDomain(given);
    const row = name.ok ? await findDomain(directory(c.env), name.value, scopeOf(principalOf(c))) : null;
    if (!row) return refuse(c, notFound(`domain ${name.ok ? name.value : JSON.stringify(given)}`));
    c.set("domain", row);
    return next();
  });
