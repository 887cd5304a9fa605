/** ENVELOPE of a FETCH response (RFC 9051 §7.5.2), one character for each octet. */
import { addressesAsTheyStand, type Mailbox } from "../../mime/addresses.ts";
import type { Envelope } from "../../mime/structure.ts";
import { nstring, string } from "./strings.ts";

/** RFC 5322 §4.4, between the angle brackets. */
const ROUTE = /^(@[^:]*):(.*)$/s;

export function writeEnvelope(envelope: Envelope): string {
  const { date, subject, inReplyTo, messageId } = envelope;
  const from = addresses(envelope.from);
  // Without a Sender or Reply-To, or with an empty one, it is who the message is from.
  const sender = addresses(envelope.sender) ?? from;
  const replyTo = addresses(envelope.replyTo) ?? from;
  const fields = [
    nstring(date),
    nstring(subject),
    ...[from, sender, replyTo, addresses(envelope.to), addresses(envelope.cc), addresses(envelope.bcc)].map(
      (list) => list ?? "NIL",
    ),
    nstring(inReplyTo),
    nstring(messageId),
  ];
  return `(${fields.join(" ")})`;
}

/** @returns null where there is none */
function addresses(values: readonly string[] | undefined): string | null {
  const list = addressesAsTheyStand(values ?? []).flatMap(({ name, mailboxes }) => {
    const members = mailboxes.map(address);
    return name === null ? members : [`(NIL NIL ${string(name)} NIL)`, ...members, "(NIL NIL NIL NIL)"];
  });
  return list.length === 0 ? null : `(${list.join("")})`;
}

/** Name, route, local part, domain. Without a domain that is empty: NIL would begin a group. */
function address({ name, address }: Mailbox): string {
  const [, route = null, path = address] = ROUTE.exec(address) ?? [];
  const at = path.lastIndexOf("@");
  const local = unquoted(at === -1 ? path : path.slice(0, at));
  const domain = at === -1 ? "" : path.slice(at + 1);
  return `(${[nstring(name === "" ? null : name), nstring(route), string(local), string(domain)].join(" ")})`;
}

/** The quotes are the header's: an IMAP string has its own. */
function unquoted(local: string): string {
  return /^".*"$/s.test(local) ? local.slice(1, -1).replace(/\\(.)/gs, "$1") : local;
}
