/** Sign in, out, and who one is. */
import { createRoute, z } from "@hono/zod-openapi";
import { deleteCookie, setCookie } from "hono/cookie";
import type { Principal } from "../../identity/principal.ts";
import { closeSession, openSession, SESSION_COOKIE } from "../../identity/session.ts";
import { type SignInError, signIn } from "../../identity/sign-in.ts";
import type { AppContext } from "../context.ts";
import { principalOf } from "../context.ts";
import { sessionToken } from "../guards.ts";
import { type Problem, problemResponse } from "../problem.ts";
import { body, instant, json, newApi, PROBLEMS } from "./api.ts";

const Session = z
  .object({
    token: z.string().openapi({ description: "The bearer token; the cookie has it too." }),
    role: z.enum(["operator", "administrator", "user"]),
    email: z.string(),
    expiresAt: z.iso.datetime(),
  })
  .openapi("Session");

export const sessionApi = newApi();

sessionApi.openapi(
  createRoute({
    method: "post",
    path: "/api/session",
    tags: ["session"],
    summary: "Sign in: sets the cookie and answers the token",
    security: [],
    request: { body: body(z.strictObject({ email: z.string().min(1).max(320), password: z.string().max(1024) })) },
    responses: { 200: json(Session, "Signed in."), ...PROBLEMS },
  }),
  async (c) => {
    const { email, password } = c.req.valid("json");
    const opened = await openFor(c, email, password);
    if ("status" in opened) return problemResponse(c, opened);
    const { principal, token, expiresAt } = opened;
    return c.json({ token, role: principal.kind, email: principal.name, expiresAt: instant(expiresAt) }, 200);
  },
);

sessionApi.openapi(
  createRoute({
    method: "get",
    path: "/api/session",
    tags: ["session"],
    summary: "Who is signed in",
    responses: { 200: json(Session.omit({ token: true, expiresAt: true }), "The login."), ...PROBLEMS },
  }),
  (c) => {
    const principal = principalOf(c);
    return c.json({ role: principal.kind, email: principal.name }, 200);
  },
);

sessionApi.openapi(
  createRoute({
    method: "delete",
    path: "/api/session",
    tags: ["session"],
    summary: "Sign out; the token is worth nothing from then on",
    responses: { 204: { description: "Signed out." }, ...PROBLEMS },
  }),
  async (c) => {
    await closeOf(c);
    return c.body(null, 204);
  },
);

/** Signs in and sets the cookie. The page and the API share it. */
export async function openFor(
  c: AppContext,
  email: string,
  password: string,
): Promise<Problem | { principal: Principal; token: string; expiresAt: number }> {
  const now = Date.now();
  const result = await signIn(c.env, email, password, c.req.header("cf-connecting-ip") ?? "", now);
  if (!result.ok) return signInProblem(result.error);
  const { token, expiresAt } = await openSession(c.env, result.value, now);
  setCookie(c, SESSION_COOKIE, token, {
    httpOnly: true,
    sameSite: "Lax",
    secure: new URL(c.req.url).protocol === "https:",
    path: "/",
    expires: new Date(expiresAt),
  });
  return { principal: result.value, token, expiresAt };
}

export async function closeOf(c: AppContext): Promise<void> {
  const token = sessionToken(c);
  if (token) await closeSession(c.env, token);
  deleteCookie(c, SESSION_COOKIE, { path: "/" });
}

function signInProblem(error: SignInError): Problem {
  switch (error.reason) {
    case "wrong":
      return { status: 401, code: "wrong_login", detail: "The e-mail address or the password is wrong." };
    case "throttled":
      return {
        status: 429,
        code: "too_many_attempts",
        detail: `Too many failed attempts. Try again in ${error.retryAfter} seconds.`,
        retryAfter: error.retryAfter,
      };
  }
}
