/**
 * The two fields that go on top of the received octets on their way to the origin (design, rule 3): made from stored
 * facts, so that they are the same at each try.
 */
import type { Client } from "../envelope.ts";
import type { Header } from "./header.ts";

export interface TraceFacts {
  /** ULID of the receipt. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** Our own host name. */
  readonly host: string;
  readonly client: Client;
  /** Envelope recipients of this transaction, as received. */
  readonly to: readonly string[];
}

const encoder = new TextEncoder();

/**
 * Received (RFC 5321 §4.4) and Delivered-To. Of several recipients none is named, lest a blind copy come to light
 * (RFC 5321 §7.2): Delivered-To then carries the receipt.
 */
export function traceHeaders(facts: TraceFacts): Uint8Array<ArrayBuffer> {
  const only = facts.to.length === 1 ? facts.to[0] : undefined;
  const delivered = only ?? `${facts.id.toLowerCase()}.recipients@${domainOf(facts.to[0] ?? "")}`;
  const lines = [
    `Received: from ${sanitize(facts.client.helo) || "unknown"}${literal(facts.client.ip)}`,
    `\tby ${facts.host} (Holdfast) with ${sanitize(facts.client.protocol) || "ESMTP"} id ${facts.id}`,
    `${only === undefined ? "\t" : `\tfor <${only}>`}; ${rfc5322Date(facts.at)}`,
    `Delivered-To: ${delivered}`,
  ];
  return encoder.encode(`${lines.join("\r\n")}\r\n`);
}

/** The field that marks what Email Routing forwards for us: it takes fields of the form X-… only, no Received. */
export const FORWARD_MARK = "X-Holdfast-Forwarded";

/** Who forwarded it, for whom: what a loop is known by. ASCII only, as a field of `Headers` must be. */
export function forwardMark(host: string, to: string): string {
  const ascii = to.replace(/[^!-$&-~]+/gu, (part) => encodeURIComponent(part.toWellFormed()));
  return `by ${host} for <${ascii}>`;
}

/**
 * Whether we have had this message for this recipient before (RFC 5321 §6.3): a Delivered-To of this very recipient
 * beside a Received of ours, or our mark of having forwarded it.
 */
export function deliveredByUs(header: Header, host: string, to: string): boolean {
  const mark = forwardMark(host, to).toLowerCase();
  const forwarded = FORWARD_MARK.toLowerCase();
  const marked = header.fields.some(
    // Several of them may have become one field on the way.
    ({ name, value }) => name === forwarded && value.replace(/\s+/g, " ").toLowerCase().includes(mark),
  );
  return marked || hasOurDeliveredTo(header, host, to);
}

function hasOurDeliveredTo(header: Header, host: string, to: string): boolean {
  const ours = `by ${host.toLowerCase()} (holdfast) `;
  const wanted = latin1OfUtf8(to).toLowerCase();
  return header.fields.some((field, at) => {
    if (field.name !== "delivered-to" || field.value.trim().toLowerCase() !== wanted) return false;
    const above = header.fields[at - 1];
    return above?.name === "received" && above.value.toLowerCase().replace(/\s+/g, " ").includes(ours);
  });
}

/** `Tue, 24 Nov 2026 10:02:33 +0000` (RFC 5322 §3.3). */
export function rfc5322Date(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}

function literal(ip: string): string {
  if (ip === "") return "";
  return ` ([${ip.includes(":") ? "IPv6:" : ""}${sanitize(ip)}])`;
}

/** What a stranger said of itself must not break out of its field. */
function sanitize(text: string): string {
  return text.replace(/[^A-Za-z0-9.:_[\]-]/g, "?").slice(0, 255);
}

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

function latin1OfUtf8(text: string): string {
  return String.fromCharCode(...encoder.encode(text));
}
