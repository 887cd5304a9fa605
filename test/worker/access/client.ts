/** Calls the app as the world does. */
import { createExecutionContext, env } from "cloudflare:test";
import { createApp } from "../../../src/worker/access/app.ts";
import type { Env } from "../../../src/worker/env.ts";

export const OPERATOR = "operator-token-of-the-tests";
export const ORIGIN = "https://holdfast.test";

const app = createApp();

export interface Call {
  readonly token?: string | undefined;
  /** An object is sent as JSON, a string as it is. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly env?: Partial<Env>;
}

export async function call(method: string, path: string, { token, body, headers = {}, env: more }: Call = {}) {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const request = new Request(`${ORIGIN}${path}`, {
    method,
    redirect: "manual",
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(text !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
  });
  return app.fetch(request, { ...env, ...more }, createExecutionContext());
}

/** @returns status and parsed body */
export async function json(method: string, path: string, options: Call = {}): Promise<{ status: number; body: Json }> {
  const response = await call(method, path, options);
  const text = await response.text();
  return { status: response.status, body: text === "" ? {} : (JSON.parse(text) as Json) };
}

export interface Json {
  readonly [name: string]: unknown;
}

export const asOperator = (method: string, path: string, body?: unknown) =>
  json(method, path, { token: OPERATOR, ...(body !== undefined && { body }) });

export const ORIGIN_SETTINGS = { host: "mail.example.org", port: 465, tls: "implicit" } as const;

/** A domain with continuity. */
export async function addDomain(name: string): Promise<void> {
  const { status, body } = await asOperator("PUT", `/api/domains/${name}`, {
    continuity: true,
    origin: ORIGIN_SETTINGS,
  });
  if (status !== 201) throw new Error(`the domain was not created: ${status} ${JSON.stringify(body)}`);
}

/** A customer with one administrator and one domain. @returns the administrator's token */
export async function addCustomer(id: number, domain: string): Promise<string> {
  const { hashPassword } = await import("../../../src/worker/identity/password.ts");
  const email = `admin@customer-${id}.test`;
  await env.DIRECTORY.batch([
    env.DIRECTORY.prepare("INSERT INTO customer (id, name) VALUES (?1, ?2)").bind(id, `Customer ${id}`),
    env.DIRECTORY.prepare("UPDATE domain SET customer = ?1 WHERE name = ?2").bind(id, domain),
    env.DIRECTORY.prepare("INSERT INTO role (id, email, kind, customer) VALUES (?1, ?2, 'administrator', ?1)").bind(
      id,
      email,
    ),
    env.DIRECTORY.prepare("INSERT INTO credential (role, kind, hash, created_at) VALUES (?1, 'password', ?2, 0)").bind(
      id,
      await hashPassword(PASSWORD),
    ),
  ]);
  return signInAs(email);
}

export const PASSWORD = "correct horse battery";

export async function addUser(address: string): Promise<string> {
  const domain = address.slice(address.indexOf("@") + 1);
  const path = `/api/domains/${domain}/mailboxes/${address}`;
  const { status, body } = await asOperator("PUT", path, { password: PASSWORD });
  if (status !== 201) throw new Error(`the mailbox was not registered: ${status} ${JSON.stringify(body)}`);
  return signInAs(address);
}

export async function signInAs(email: string): Promise<string> {
  const { status, body } = await json("POST", "/api/session", { body: { email, password: PASSWORD } });
  if (status !== 200) throw new Error(`not signed in: ${status} ${JSON.stringify(body)}`);
  return String(body.token);
}
