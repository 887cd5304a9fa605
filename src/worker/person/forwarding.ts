/**
 * The private address to which a mailbox's mail is sent on in emergency mode. Whoever sits there has to say so first, by a code that
 * is sent to it: else anybody could have a stranger flooded. How the copies are sent is for send/forward.ts (decision 022).
 */

import { parseAddress } from "../../core/address.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { CONFIRMATION_LENGTH, CONFIRMATION_LIFE } from "../../core/send/limits.ts";
import { once } from "../archive/octets.ts";
import { logEvent } from "../domain/ask.ts";
import type { Env } from "../env.ts";
import { randomSecret, sha256 } from "../identity/random-secret.ts";
import { compose } from "../send/compose.ts";
import type { SubmitRefusal } from "../send/contract.ts";
import { type Author, needsSmtpUtf8 } from "../send/person.ts";
import { submit } from "../send/submit.ts";
import { askForwarding, confirmForwarding, type Forwarding, onArrivalOf, stopForwarding } from "../store/on-arrival.ts";
import { domainsAmong, sendingDomain } from "../store/outgoing-settings.ts";
import { shardDb } from "../store/shard.ts";

export type ForwardingRefusal =
  | { readonly reason: "bad_address" | "own_domain" | "bad_code"; readonly detail: string }
  | SubmitRefusal;

type Background = Pick<ExecutionContext, "waitUntil">;

export async function forwardingOf(env: Env, { writer }: Author): Promise<Forwarding> {
  return (await onArrivalOf(shardDb(env, writer.shard), writer.account)).forwarding;
}

/** A code goes to the address; until it is confirmed all stays as it was. @param now unix milliseconds */
export async function askToForward(
  env: Env,
  ctx: Background,
  author: Author,
  wanted: string,
  now: number,
): Promise<Result<Forwarding, ForwardingRefusal>> {
  const parsed = parseAddress(wanted);
  if (!parsed.ok) return err({ reason: "bad_address", detail: `${JSON.stringify(wanted)} is not an address.` });
  const { address, domain } = parsed.value;
  const before = await forwardingOf(env, author);
  if (before.address === address) return ok(before);
  const hindered = await whyNot(env, author, domain);
  if (hindered) return err(hindered);
  const code = randomSecret(CONFIRMATION_LENGTH);
  const sent = await sendCode(env, ctx, author, address, code, now);
  if (sent) return err(sent);
  await askForwarding(shardDb(env, author.writer.shard), author.writer.account, address, await sha256(code), now);
  return ok(await forwardingOf(env, author));
}

export async function confirmAddress(
  env: Env,
  author: Author,
  code: string,
  now: number,
): Promise<Result<Forwarding, ForwardingRefusal>> {
  const { writer, domain, address: mailbox } = author;
  const typed = code.toLowerCase().replace(/[\s-]/g, "");
  const address = await confirmForwarding(shardDb(env, writer.shard), writer.account, await sha256(typed), now);
  if (address === null) {
    const detail = "The code is not the one that was sent last, or it is too old: have another one sent.";
    return err({ reason: "bad_code", detail });
  }
  // Where a company's mail goes is for its administrators to see.
  await logEvent(env, domain.name, { kind: "forwarding_set", actor: mailbox, data: { mailbox, address } });
  return ok(await forwardingOf(env, author));
}

export async function forwardNoMore(env: Env, author: Author): Promise<Forwarding> {
  const { writer, domain, address: mailbox } = author;
  const address = await stopForwarding(shardDb(env, writer.shard), writer.account);
  if (address !== null) {
    await logEvent(env, domain.name, { kind: "forwarding_ended", actor: mailbox, data: { mailbox, address } });
  }
  return forwardingOf(env, author);
}

async function whyNot(env: Env, author: Author, domain: string): Promise<ForwardingRefusal | null> {
  if ((await domainsAmong(env.DIRECTORY, [domain])).has(domain)) {
    const detail = `${domain} is kept by this service too: choose an address elsewhere, which no outage here concerns.`;
    return { reason: "own_domain", detail };
  }
  const sending = await sendingDomain(env.DIRECTORY, author.domain.name);
  if (sending?.route && sending.route.transport !== "cloudflare") return null;
  const detail = "Mail of others cannot be sent on: an administrator has to set a smart host or a gateway (outgoing).";
  return { reason: "no_way_out", detail };
}

/** From the mailbox's own address: should it not arrive, its owner hears of it. */
async function sendCode(
  env: Env,
  ctx: Background,
  author: Author,
  address: string,
  code: string,
  now: number,
): Promise<SubmitRefusal | null> {
  const { writer, domain, address: own } = author;
  const hours = CONFIRMATION_LIFE / 3600_000;
  const text = `${own} would like to have its e-mail sent on to this address while its own mail server is down.

If that is you, type this code where you have asked for it, within ${hours} hours:

    ${code.replace(/(.{4})(?=.)/g, "$1-")}

If it is not, do nothing: without the code nothing is sent on.
`;
  const id = await sha256(code);
  const octets = await compose({
    from: { name: "", address: own },
    replyTo: [],
    to: [{ name: "", address }],
    cc: [],
    subject: "Confirm this address",
    text,
    attachments: [],
    references: [],
    messageId: `confirm.${id.slice(0, 24)}@${domain.name}`,
    date: now,
    automatic: "auto-generated",
  });
  const { account, shard, name } = writer;
  const submitted = await submit(
    env,
    ctx,
    {
      domain: domain.name,
      writer: { kind: "automatic", purpose: "confirmation", account, shard, name },
      from: own,
      recipients: [address],
      body: "7BIT",
      smtputf8: needsSmtpUtf8([own, address], null),
      client: { ip: "", helo: "", protocol: "HTTPS" },
      octets: once(octets),
      size: octets.length,
      request: `confirmation ${id}`,
    },
    now,
  );
  return submitted.ok ? null : submitted.error;
}
