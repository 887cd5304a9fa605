/**
 * What Cloudflare's Email Service asks of a message, looked at before it is queued rather than when it fails:
 * https://developers.cloudflare.com/email-service/platform/limits/ and …/reference/headers/
 */
import { parseAddress } from "../../../core/address.ts";
import { mailboxes } from "../../../core/mime/addresses.ts";
import { type Header, messageIdOf } from "../../../core/mime/header.ts";
import { CLOUDFLARE_HEADER_BYTES, CLOUDFLARE_MESSAGE_BYTES, CLOUDFLARE_RECIPIENTS } from "../../../core/send/limits.ts";

/** Fields that only Cloudflare may write (…/reference/headers/#platform-controlled-headers), but for those that every message has. */
const THEIRS = new Set([
  "received",
  "return-path",
  "dkim-signature",
  "feedback-id",
  "tls-required",
  "tls-report-domain",
  "tls-report-submitter",
  "cfbl-address",
  "cfbl-feedback-id",
]);

export interface Asked {
  /** Envelope sender. */
  readonly from: string;
  readonly size: number;
  readonly header: Header;
  /** Recipients that it would be sent to. */
  readonly outside: number;
}

/** @returns in words what it will not take; null: all is well */
export function brokenRule({ from, size, header, outside }: Asked): string | null {
  if (size > CLOUDFLARE_MESSAGE_BYTES) return `it is larger than ${CLOUDFLARE_MESSAGE_BYTES} octets.`;
  if (outside > CLOUDFLARE_RECIPIENTS) return `it has more than ${CLOUDFLARE_RECIPIENTS} recipients.`;
  if ((header.fields.at(-1)?.end ?? 0) > CLOUDFLARE_HEADER_BYTES || !header.complete) {
    return `its header is larger than ${CLOUDFLARE_HEADER_BYTES} octets.`;
  }
  if (messageIdOf(header) === null) return "it has no Message-ID.";
  const theirs = header.fields.find(({ name }) => THEIRS.has(name) || name.startsWith("arc-"));
  if (theirs) return `it has a field ${theirs.name}, which only Cloudflare may write.`;
  const authors = header.fields.filter(({ name }) => name === "from").flatMap(({ value }) => mailboxes(value, null));
  const [author] = authors;
  const same = authors.length === 1 && author && normal(author.address) === normal(from) && from !== "";
  return same ? null : "its From is not the sender of its envelope.";
}

export function normal(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? parsed.value.address : address;
}
