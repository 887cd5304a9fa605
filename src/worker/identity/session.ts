/**
 * Sessions: 256 random bits, of which D1 has the SHA-256 only. The same token is the cookie of a browser and the bearer
 * token of a script.
 */
import { ADMINISTRATOR_SESSION, USER_SESSION } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { directory } from "../store/directory.ts";
import { deleteSession, findSession, insertSession, type SessionRow } from "../store/sessions.ts";
import type { Principal } from "./principal.ts";
import { hex, sha256 } from "./random-secret.ts";

export const SESSION_COOKIE = "holdfast";
const TOKEN_BYTES = 32;

export interface OpenedSession {
  readonly token: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

export async function openSession(env: Env, principal: Principal, now: number): Promise<OpenedSession> {
  const token = hex(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)));
  const expiresAt = now + (principal.kind === "user" ? USER_SESSION : ADMINISTRATOR_SESSION);
  const row = {
    hash: await sha256(token),
    kind: principal.kind,
    name: principal.name,
    mailbox: principal.kind === "user" ? principal.mailbox : null,
    customer: principal.kind === "administrator" ? principal.customer : null,
    createdAt: now,
    expiresAt,
  };
  await insertSession(directory(env), row, now);
  return { token, expiresAt };
}

export async function closeSession(env: Env, token: string): Promise<void> {
  await deleteSession(directory(env), await sha256(token));
}

/** The principal of a token, as of now: a removed mailbox or role ends its sessions at once. */
export async function principalOfToken(env: Env, token: string, now: number): Promise<Principal | null> {
  if (env.OPERATOR_TOKEN && (await sameText(token, env.OPERATOR_TOKEN))) return { kind: "operator", name: "token" };
  if (!/^[0-9a-f]{64}$/.test(token)) return null;
  const row = await findSession(directory(env), await sha256(token), now);
  return row && principalOfSession(env, row);
}

function principalOfSession(env: Env, row: SessionRow): Principal | null {
  switch (row.kind) {
    case "operator": {
      const still = row.name === env.OPERATOR_EMAIL.toLowerCase() || row.role?.kind === "operator";
      return still ? { kind: "operator", name: row.name } : null;
    }
    case "administrator": {
      const customer = row.role?.kind === "administrator" ? row.role.customer : null;
      return customer === null ? null : { kind: "administrator", name: row.name, customer };
    }
    case "user": {
      if (!row.mailbox || row.mailbox.disabled) return null;
      const { id, address, domain, shard } = row.mailbox;
      return { kind: "user", name: address, mailbox: id, domain, shard };
    }
  }
}

/** Compares digests, so that time tells neither content nor length. */
async function sameText(a: string, b: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [left, right] = await Promise.all([
    crypto.subtle.digest("SHA-256", encoder.encode(a)),
    crypto.subtle.digest("SHA-256", encoder.encode(b)),
  ]);
  return crypto.subtle.timingSafeEqual(left, right);
}
