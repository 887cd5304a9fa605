/** From a login name and a password to a principal. */
import { parseAddress } from "../../core/address.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import { directory } from "../store/directory.ts";
import { findMailboxById } from "../store/mailboxes.ts";
import { findLogins } from "../store/sessions.ts";
import { verifyPassword } from "./password.ts";
import type { Principal } from "./principal.ts";
import { SignInThrottle } from "./throttle.ts";

export type SignInError =
  | { readonly reason: "wrong" }
  /** In seconds. */
  | { readonly reason: "throttled"; readonly retryAfter: number };

/** Of this isolate. */
const throttle = new SignInThrottle();

/** @param ip of the client, for the throttle */
export async function signIn(
  env: Env,
  login: string,
  password: string,
  ip: string,
  now: number,
): Promise<Result<Principal, SignInError>> {
  const parsed = parseAddress(login);
  const name = parsed.ok ? parsed.value.address : login.trim().toLowerCase();
  const wait = throttle.wait(name, ip, now);
  if (wait > 0) return err({ reason: "throttled", retryAfter: Math.ceil(wait / 1000) });
  const principal = await check(env, name, password);
  if (!principal) {
    throttle.failed(name, ip, now);
    return err({ reason: "wrong" });
  }
  throttle.succeeded(name, ip);
  return ok(principal);
}

async function check(env: Env, name: string, password: string): Promise<Principal | null> {
  if (name === env.OPERATOR_EMAIL.toLowerCase()) {
    const right = await verifyPassword(password, env.OPERATOR_PASSWORD_HASH ?? null);
    return right ? { kind: "operator", name } : null;
  }
  const db = directory(env);
  const logins = await findLogins(db, name);
  // Someone unknown takes as long as someone known.
  if (logins.length === 0) await verifyPassword(password, null);
  for (const login of logins) {
    if (!(await verifyPassword(password, login.password))) continue;
    if (login.kind === "role") {
      if (login.role === "operator") return { kind: "operator", name };
      if (login.customer !== null) return { kind: "administrator", name, customer: login.customer };
      continue;
    }
    const box = await findMailboxById(db, login.mailbox);
    if (box) return { kind: "user", name: box.address, mailbox: box.id, domain: box.domain, shard: box.shard };
  }
  return null;
}
