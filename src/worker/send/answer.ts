/** The vacation notice (RFC 3834, RFC 8621 §8): to a person, once in a while, and never to whoever is a machine. */

import { parseAddress } from "../../core/address.ts";
import type { AuthenticationResults } from "../../core/authentication-results.ts";
import { textForm } from "../../core/mime/fields.ts";
import { type Header, messageIdOf } from "../../core/mime/header.ts";
import { whyNotAnswered } from "../../core/send/answerable.ts";
import { htmlToText } from "../archive/html-text.ts";
import { once } from "../archive/octets.ts";
import { displayName } from "../person/identities.ts";
import { rememberTold, type Vacation, wasTold } from "../store/on-arrival.ts";
import { shardDb } from "../store/shard.ts";
import { compose } from "./compose.ts";
import type { Submission } from "./contract.ts";
import type { Arrival, Followed } from "./follow-ups.ts";
import { needsSmtpUtf8 } from "./person.ts";
import type { RunParts } from "./run.ts";
import { submit } from "./submit.ts";

/** @throws where a store does not answer; it may be said again then */
export async function answer(
  { world, ctx }: RunParts,
  { message, header, owner, sending, shard }: Arrival,
  vacation: Vacation,
  results: AuthenticationResults | null,
): Promise<Exclude<Followed, "settled">> {
  if (!isOn(vacation, message.at)) return "done";
  const { account, at, id, meta } = message;
  const { from } = meta.envelope;
  const sender = parseAddress(from);
  const why = whyNotAnswered({ header, from, results, owns: (address) => owner.owns(address) });
  if (why !== null || !sender.ok) return "done";
  const { env } = world;
  const home = shardDb(env, owner.writer.shard);
  // It holds from when the message came: one that waited for days is not behind one that did not.
  if (await wasTold(home, account, sender.value.address, at)) return "done";
  const name = await displayName(env, owner);
  const octets = await compose({
    from: { name, address: owner.address },
    replyTo: [],
    to: [{ name: "", address: from }],
    cc: [],
    subject: vacation.subject ?? subjectOf(header),
    ...bodyOf(vacation),
    attachments: [],
    ...threadOf(header, meta.references),
    messageId: `vacation.${meta.receipt.id.toLowerCase()}.${id}@${sending.name}`,
    date: world.now(),
    automatic: "auto-replied",
  });
  // RFC 3834 §3.3: nobody answers it. Cloudflare sends nothing without a sender; then its Auto-Submitted has to do.
  const envelopeFrom = sending.route?.transport === "cloudflare" ? owner.address : "";
  const submission: Submission = {
    domain: sending.name,
    writer: { kind: "automatic", purpose: "vacation", account, shard: shard.number, name: owner.address },
    from: envelopeFrom,
    recipients: [from],
    body: "7BIT",
    smtputf8: needsSmtpUtf8([from, envelopeFrom], null),
    client: { ip: "", helo: "", protocol: "ESMTP" },
    octets: once(octets),
    size: octets.length,
    request: `vacation ${id}`,
  };
  const submitted = await submit(env, ctx, submission, world.now());
  if (!submitted.ok) {
    const { reason, detail } = submitted.error;
    if (reason === "temporary" || reason === "busy") return "later";
    // What stands in the way is the domain's: its administrators see it when they look for why nothing goes out.
    console.warn("a vacation notice was not sent", owner.address, detail);
    return "done";
  }
  await rememberTold(home, account, sender.value.address, at);
  return "done";
}

function isOn({ isEnabled, fromDate, toDate }: Vacation, at: number): boolean {
  return isEnabled && (fromDate === null || at >= fromDate) && (toDate === null || at < toDate);
}

/** RFC 3834 §3.1.5. */
function subjectOf(header: Header): string {
  const subject = textForm(header.fields.find(({ name }) => name === "subject")?.value ?? "", null);
  return subject === "" ? "Automatic reply" : `Auto: ${subject}`;
}

function bodyOf({ textBody, htmlBody }: Vacation): { text: string; html?: string } {
  const text = textBody ?? htmlToText(htmlBody ?? "");
  return htmlBody === null ? { text } : { text, html: htmlBody };
}

/** RFC 3834 §3.1.4, RFC 5322 §3.6.4. */
function threadOf(
  header: Header,
  references: readonly string[],
): { readonly inReplyTo?: string; readonly references: readonly string[] } {
  const id = messageIdOf(header);
  return id === null ? { references: [] } : { inReplyTo: id, references: [...references, id] };
}
