/** The header fields that a JMAP Email has as properties (RFC 8621 §4.1.2, §4.1.3), from the structure alone. */
import { mailboxes } from "../../mime/addresses.ts";
import { readDate, zoneOf } from "../../mime/date.ts";
import { messageIdsForm, textForm } from "../../mime/fields.ts";
import type { Structure } from "../../mime/structure.ts";

export interface EmailAddress {
  readonly name: string | null;
  readonly email: string;
}

/** Null: there is no such field, or it cannot be read. */
export interface HeaderProperties {
  readonly messageId: readonly string[] | null;
  readonly inReplyTo: readonly string[] | null;
  readonly sender: readonly EmailAddress[] | null;
  readonly from: readonly EmailAddress[] | null;
  readonly to: readonly EmailAddress[] | null;
  readonly cc: readonly EmailAddress[] | null;
  readonly bcc: readonly EmailAddress[] | null;
  readonly replyTo: readonly EmailAddress[] | null;
  readonly subject: string | null;
  /** RFC 3339, in the sender's zone. */
  readonly sentAt: string | null;
}

export function headerProperties({ envelope, charset }: Structure): HeaderProperties {
  const { messageId, inReplyTo, sender, from, to, cc, bcc, replyTo, subject, date } = envelope;
  // Of a field that is there several times, the last counts (§4.1.3).
  const list = (values: readonly string[] | undefined) => {
    const value = values?.at(-1);
    return value === undefined ? null : mailboxes(value, charset).map(emailAddress);
  };
  return {
    messageId: messageId === undefined ? null : messageIdsForm(messageId),
    inReplyTo: inReplyTo === undefined ? null : messageIdsForm(inReplyTo),
    sender: list(sender),
    from: list(from),
    to: list(to),
    cc: list(cc),
    bcc: list(bcc),
    replyTo: list(replyTo),
    subject: subject === undefined ? null : textForm(subject, charset),
    sentAt: date === undefined ? null : dateForm(date),
  };
}

function emailAddress({ name, address }: { readonly name: string; readonly address: string }): EmailAddress {
  return { name: name === "" ? null : name, email: address };
}

/** The Date form (RFC 8621 §4.1.2.6). */
function dateForm(raw: string): string | null {
  const at = readDate(raw);
  if (at === null) return null;
  const minutes = zoneOf(raw);
  const local = new Date(at + minutes * 60_000);
  if (Number.isNaN(local.getTime())) return null;
  const text = local.toISOString().slice(0, 19);
  if (minutes === 0) return `${text}Z`;
  const two = (number: number) => String(Math.floor(number)).padStart(2, "0");
  return `${text}${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}
