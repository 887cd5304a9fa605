/** Whoever speaks on a submission port, as the gateway tells the Worker of them. */
import { env, SELF } from "cloudflare:test";
import type { Reply } from "../../../src/core/outcome.ts";
import type { Submitter } from "../../../src/core/protocol/gateway/frames.ts";
import { signRequest } from "../../../src/core/protocol/gateway/signature.ts";
import { logIn } from "../../../src/worker/submission/login.ts";
import { asOperator, type Json, PASSWORD } from "../access/client.ts";
import { GatewaySocket } from "../gateway/socket.ts";

const PATH = "/gateway/transaction";
export const STRANGER = "198.41.0.200";

export interface Speaker {
  readonly ip?: string;
  readonly shown?: Submitter;
}

export interface Said {
  /** Absent: never asked, since it was refused before. */
  readonly mail: Reply | null;
  readonly recipients: readonly (Reply | null)[];
  readonly final: Reply | null;
}

/** @returns all replies; a refusal ends it, as it ends a sender's attempt */
export async function submitAs(
  { ip = STRANGER, shown = {} }: Speaker,
  from: string,
  to: readonly string[],
  octets: string,
): Promise<Said> {
  const authorization = await signRequest(
    { id: "g1", secret: "secret-of-the-tests" },
    { method: "GET", path: PATH },
    Date.now(),
    crypto.randomUUID(),
  );
  const headers = { authorization, upgrade: "websocket" };
  const { webSocket } = await SELF.fetch(`https://holdfast.test${PATH}`, { headers });
  if (!webSocket) throw new Error("no WebSocket");
  const gateway = new GatewaySocket(webSocket);
  gateway.say({
    op: "mail",
    client: { ip, helo: "mail.example.org", protocol: "ESMTPSA" },
    mail: { from, body: "8BITMIME", smtputf8: false },
    submitter: shown,
  });
  const mail = await gateway.reply();
  if (!mail || mail.code >= 300) {
    gateway.say({ op: "abort" });
    return { mail, recipients: [], final: null };
  }
  const recipients: (Reply | null)[] = [];
  for (const recipient of to) {
    gateway.say({ op: "rcpt", to: recipient });
    recipients.push(await gateway.reply());
  }
  if (!recipients.some((reply) => reply && reply.code < 300)) {
    gateway.say({ op: "abort" });
    return { mail, recipients, final: null };
  }
  const bytes = new TextEncoder().encode(octets);
  gateway.say({ op: "data", size: bytes.length });
  let final: Reply | null = null;
  for (let at = 0; at < bytes.length && !final; at += 60_000) {
    gateway.send(bytes.subarray(at, at + 60_000));
    // As a gateway waits, though not for each frame.
    const answer = await gateway.next();
    if (answer && "reply" in answer) final = answer.reply;
  }
  final ??= await gateway.reply();
  await gateway.end();
  return { mail, recipients, final };
}

export async function relay(domain: string, wanted: object): Promise<Json> {
  const { status, body } = await asOperator("POST", `/api/domains/${domain}/relays`, wanted);
  if (status !== 201) throw new Error(`no relay: ${status} ${JSON.stringify(body)}`);
  return body;
}

export async function ticket(username: unknown, password: unknown = PASSWORD): Promise<Submitter> {
  const login = { username: String(username), password: String(password), ip: STRANGER };
  const answer = await logIn(env, login, Date.now());
  if (answer.kind !== "known") throw new Error(JSON.stringify(answer));
  return { ticket: answer.ticket };
}

export function letter(
  from: string,
  more: { id?: string; subject?: string; fields?: readonly string[]; body?: string } = {},
) {
  const { id = crypto.randomUUID(), subject = "Hello", fields = [], body = "Hello.\r\n" } = more;
  return [
    ...fields,
    `From: ${from}`,
    "To: zoe@example.net",
    `Subject: ${subject}`,
    `Message-ID: <${id}@example.org>`,
    "Date: Tue, 24 Nov 2026 12:00:00 +0000",
    "",
    body,
  ].join("\r\n");
}
