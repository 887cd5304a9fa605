/**
 * A copy to a private address, as it came: the octets that are stored go out once more, below a Received and a mark of ours. Its
 * sender is the mailbox's own address, so that whatever fails comes back there and is never sent on (decision 022).
 */
import { FORWARD_MARK } from "../../core/mime/trace.ts";
import { queueCopy } from "../store/follow-ups.ts";
import { domainsAmong } from "../store/outgoing-settings.ts";
import type { OutgoingFacts } from "./contract.ts";
import type { Arrival, Followed } from "./follow-ups.ts";
import { needsSmtpUtf8 } from "./person.ts";
import { automaticWho, limitsOf } from "./rates.ts";
import type { RunParts } from "./run.ts";
import { domainOf, whyNotOut } from "./way-out.ts";

/** @param to null: its owner wants none @throws where a store does not answer; it may be said again then */
export async function forward(parts: RunParts, arrival: Arrival, to: string | null): Promise<Followed> {
  const { message, header, owner, sending, followUp, shard } = arrival;
  const now = parts.world.now();
  const { envelope, receipt, messageId } = message.meta;
  // What has been sent on before, by whichever mailbox, is not sent on again: it would go round and round.
  if (to === null || envelope.from === "" || header.fields.some(({ name }) => name === MARK)) return "done";
  const hindered = await whyNotOn(arrival, parts, to);
  if (hindered !== null) {
    const data = { mailbox: owner.address, message: receipt.id, why: hindered };
    parts.rarely(owner.address, { kind: "not_sent_on", actor: "sending", data });
    return "done";
  }
  const who = automaticWho("forwarding", message.account);
  if (parts.rates.admit({ who, recipients: 1, limits: limitsOf(sending) }, now)) return "later";
  const facts: OutgoingFacts = {
    receipt,
    body: envelope.body,
    smtputf8: envelope.smtputf8 || needsSmtpUtf8([owner.address, to], null),
    writer: `forwarding of ${owner.address}`,
    forwardedBy: owner.address,
    ...(messageId === undefined ? {} : { messageId }),
  };
  const { account, key, size, subject } = message;
  const copy = { domain: sending.id, account, key, size, sender: owner.address, subject, facts, createdAt: now };
  const named = { request: `forward ${message.id}`, mid: messageId ?? receipt.id };
  await queueCopy(shard.db, followUp, { ...copy, ...named, recipients: [to] });
  return "settled";
}

const MARK = FORWARD_MARK.toLowerCase();

/** @returns in words; null: it can go */
async function whyNotOn(
  { message, header, owner, sending }: Arrival,
  parts: RunParts,
  to: string,
): Promise<string | null> {
  if (!header.complete) return "its header is too long to be looked at";
  const domain = domainOf(to);
  if ((await domainsAmong(parts.world.env.DIRECTORY, [domain])).has(domain))
    return `${domain} is a domain of this service`;
  const asked = { from: owner.address, recipients: [to], size: message.size };
  return (await whyNotOut(parts.world.env, sending, asked, header))?.detail ?? null;
}
