/** Puts a message into a portal inbox, as the mail's way does when the origin is down. */
import { env } from "cloudflare:test";
import { extract } from "../../../src/worker/archive/extract.ts";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { newKey, putRaw } from "../../../src/worker/archive/raw.ts";

export interface Deposit {
  /** The mailbox whose inbox it is. */
  readonly mailbox: string;
  /** Envelope recipient; the mailbox's own address where it is absent. */
  readonly to?: string;
  readonly octets?: string;
  /** Unix milliseconds. */
  readonly at?: number;
  /** False: archived only, as when the origin took it. */
  readonly portal?: boolean;
  /** The R2 key of a message that is there already: another copy of the same. */
  readonly key?: string;
}

let count = 0;

/** A message of text, with CRLF. */
export const message = (subject: string, headers: readonly string[] = [], body = "Hello.\r\n"): string =>
  [`From: Sender <sender@example.net>`, `To: somebody@example.org`, `Subject: ${subject}`, ...headers, "", body].join(
    "\r\n",
  );

export async function deposit({
  mailbox,
  to = mailbox,
  octets = message("Hello"),
  at = Date.now(),
  portal = true,
  key,
}: Deposit) {
  const row = await env.DIRECTORY.prepare("SELECT id, domain, shard FROM mailbox WHERE address = ?1")
    .bind(mailbox)
    .first<{ id: number; domain: number }>();
  if (!row) throw new Error(`there is no mailbox ${mailbox}`);
  const bytes = new TextEncoder().encode(octets);
  const made = newKey(at);
  const receipt = {
    id: made.id,
    at,
    host: "mx.holdfast.test",
    client: { ip: "192.0.2.1", helo: "mx.example.net", protocol: "ESMTPS" },
  };
  const envelope = { from: "sender@example.net", to, body: "8BITMIME", smtputf8: false } as const;
  if (key === undefined) {
    await putRaw(env.MAIL, made.key, bytes, {
      receipt,
      direction: "in",
      domain: mailbox.slice(mailbox.indexOf("@") + 1),
      from: envelope.from,
      recipients: [to],
      body: envelope.body,
      smtputf8: false,
    });
  }
  count += 1;
  const entry = {
    account: row.id,
    domain: row.domain,
    direction: "in",
    key: key ?? made.key,
    size: bytes.length,
    at,
    mid: `deposit-${count}`,
    once: `once-${count}`,
    extracted: await extract(bytes, bytes.length),
    receipt,
    envelope,
  } as const;
  await indexMessage(env.SHARD_0, [entry], { portal: portal ? "waiting" : false });
  return entry;
}
