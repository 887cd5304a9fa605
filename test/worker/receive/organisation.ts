/** An organisation with a domain, mailboxes and an origin of its own, and mail for it. */
import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import type { Reply } from "../../../src/core/outcome.ts";
import type { Env } from "../../../src/worker/env.ts";
import type { MailFrom } from "../../../src/worker/receive/contract.ts";
import { receiveEmail } from "../../../src/worker/receive/email.ts";
import { AT_MX_PORT, type Patience } from "../../../src/worker/receive/patience.ts";
import { openTransaction } from "../../../src/worker/receive/transaction.ts";
import { asOperator } from "../access/client.ts";
import { createOrigin, type Origin } from "../origin-control.ts";

export interface Organisation {
  readonly domain: string;
  readonly origin: Origin;
}

/**
 * Covered: ann (alias info), bob. Not covered: dan. Coverage is by choice.
 * @param route what is other than SMTP from the Worker
 */
export async function createOrganisation(
  domain: string,
  route: { transport?: "gateway" | "forward"; via?: "smtp" | "gateway"; forwardDomain?: string } = {},
): Promise<Organisation> {
  const origin = await createOrigin();
  await must("PUT", `/api/domains/${domain}`, {
    continuity: true,
    coverage: "selected",
    origin: { transport: "smtp", host: "127.0.0.1", port: origin.port, tls: "none", ...route },
  });
  const mailboxes = {
    ann: { covered: true, aliases: [`info@${domain}`] },
    bob: { covered: true },
    dan: { covered: false },
  };
  for (const [name, settings] of Object.entries(mailboxes)) {
    await must("PUT", `/api/domains/${domain}/mailboxes/${name}@${domain}`, settings);
  }
  return { domain, origin };
}

export async function must(method: string, path: string, body?: unknown) {
  const answer = await asOperator(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

let counter = 0;
const encoder = new TextEncoder();

/** A message that is like no other, with CRLF. */
export function letter(fields: Record<string, string> = {}, body = "Good morning.\r\n"): Uint8Array<ArrayBuffer> {
  counter += 1;
  const all = {
    "Message-ID": `<letter-${counter}@example.net>`,
    From: "Somebody <somebody@example.net>",
    To: "whoever@example.org",
    Subject: `Letter ${counter}`,
    ...fields,
  };
  const header = Object.entries(all).filter(([, value]) => value !== "");
  return new Uint8Array(
    encoder.encode(`${header.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`),
  );
}

export interface Sending {
  readonly from?: string;
  readonly mail?: Partial<MailFrom>;
  readonly env?: Env;
  /** Octets a chunk. */
  readonly chunk?: number;
  readonly patience?: Partial<Patience>;
  /** Called when the reply has come, before what goes on behind it is waited for. */
  readonly answered?: () => Promise<void>;
}

/** One SMTP transaction as the gateway brings it. @returns the replies to each RCPT, and to the final dot where it came to that */
export async function send(
  to: readonly string[],
  octets: Uint8Array,
  sending: Sending = {},
): Promise<{ rcpt: Reply[]; final: Reply | null }> {
  const ctx = createExecutionContext();
  const { rcpt, final } = await transact(ctx, to, octets, sending);
  await sending.answered?.();
  await waitOnExecutionContext(ctx);
  return { rcpt, final };
}

/** The same, but what goes on behind the reply is not waited for: `afterwards` does. */
export async function transact(
  ctx: Pick<ExecutionContext, "waitUntil">,
  to: readonly string[],
  octets: Uint8Array,
  sending: Sending = {},
): Promise<{ rcpt: Reply[]; final: Reply | null; afterwards: () => Promise<void> }> {
  const mail = {
    from: sending.from ?? "somebody@example.net",
    body: "8BITMIME",
    smtputf8: false,
    ...sending.mail,
  } as const;
  const client = { ip: "192.0.2.7", helo: "mail.example.net", protocol: "ESMTP" };
  const patience = { ...AT_MX_PORT, ...sending.patience };
  const transaction = openTransaction(sending.env ?? (env as Env), ctx, client, mail, null, patience);
  const rcpt: Reply[] = [];
  for (const recipient of to) rcpt.push(await transaction.recipient(recipient));
  let final: Reply | null = null;
  if (rcpt.some((reply) => reply.code < 300)) {
    final = await transaction.message({ size: octets.length, chunks: inChunks(octets, sending.chunk ?? 64 * 1024) });
  } else transaction.abort();
  return { rcpt, final, afterwards: () => transaction.afterwards() };
}

export async function* inChunks(octets: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += size) yield octets.subarray(at, at + size);
}

export interface ByEmailRouting
  extends Partial<Pick<ForwardableEmailMessage, "forward" | "canBeForwarded" | "raw">>,
    Pick<Sending, "answered"> {}

/**
 * As Email Routing calls `email()`.
 * @param more in place of what the message has
 * @returns `accepted`, what `setReject` was given, or what was thrown
 */
export async function sendByEmailRouting(
  to: string,
  octets: Uint8Array<ArrayBuffer>,
  from = "somebody@example.net",
  { answered, ...more }: ByEmailRouting = {},
  environment: Env = env as Env,
) {
  const ctx = createExecutionContext();
  let rejected: string | null = null;
  const message = {
    from,
    to,
    raw: new Response(octets).body,
    rawSize: octets.length,
    headers: new Headers(),
    setReject: (reason: string) => {
      rejected = reason;
    },
    forward: () => Promise.reject(new Error("forward is not to be used")),
    reply: () => Promise.reject(new Error("reply is not to be used")),
    ...more,
  } as unknown as ForwardableEmailMessage;
  try {
    await receiveEmail(message, environment, ctx);
    return rejected === null
      ? { kind: "accepted" as const, text: "" }
      : { kind: "rejected" as const, text: String(rejected) };
  } catch (error) {
    return { kind: "temporary" as const, text: error instanceof Error ? error.message : String(error) };
  } finally {
    await answered?.();
    await waitOnExecutionContext(ctx);
  }
}

export interface Kept {
  readonly mailbox: string;
  readonly subject: string;
  readonly key: string;
  readonly waiting: number | null;
  readonly inInbox: boolean;
}

/** What the index has of a domain: archived messages, and whether they lie in a portal inbox. */
export async function kept(domain: string): Promise<Kept[]> {
  const { results: mailboxes } = await env.DIRECTORY.prepare(
    "SELECT m.id, m.address FROM mailbox m JOIN domain d ON d.id = m.domain WHERE d.name = ?",
  )
    .bind(domain)
    .all<{ id: number; address: string }>();
  const names = new Map(mailboxes.map(({ id, address }) => [id, address.split("@")[0] ?? ""]));
  const { results } = await env.SHARD_0.prepare(
    `SELECT m.account, m.subject, m.key, p.waiting, p.id IS NOT NULL AS placed
     FROM message m LEFT JOIN placement p ON p.message = m.id AND p.gone IS NULL ORDER BY m.id`,
  ).all<{ account: number; subject: string; key: string; waiting: number | null; placed: number }>();
  return results
    .filter((row) => names.has(row.account))
    .map((row) => ({
      mailbox: names.get(row.account) ?? "",
      subject: row.subject,
      key: row.key,
      waiting: row.waiting,
      inInbox: row.placed === 1,
    }));
}

export async function octetsIn(key: string): Promise<Uint8Array | null> {
  const object = await env.MAIL.get(key);
  return object && new Uint8Array(await object.arrayBuffer());
}

export async function objectsInStore(): Promise<number> {
  return (await env.MAIL.list()).objects.length;
}

/** What the origin got, without the two fields of ours on top. */
export function belowOurs(raw: Uint8Array): Uint8Array {
  const text = Array.from(raw.subarray(0, 2000), (octet) => String.fromCharCode(octet)).join("");
  const top = /^Received: [^\r]*\r\n(?:\t[^\r]*\r\n)*Delivered-To: [^\r]*\r\n/.exec(text);
  return raw.subarray(top?.[0].length ?? 0);
}
