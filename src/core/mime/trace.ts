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
  return encoder.encode(`${received(facts, only)}Delivered-To: ${delivered}\r\n`);
}

/** Received alone: what goes on top of a message on its way out. No recipient is named (RFC 5321 §7.2). */
export function receivedField(facts: Omit<TraceFacts, "to">): Uint8Array<ArrayBuffer> {
  return encoder.encode(received(facts, undefined));
}

/** Whoever comes over HTTP has no name of a host, and where people write from is nobody's business (RFC 6409 §8). */
function received({ client, host, id, at }: Omit<TraceFacts, "to">, recipient: string | undefined): string {
  const from =
    client.helo === "" && client.ip === "" ? "" : `from ${sanitize(client.helo) || "unknown"}${literal(client.ip)}`;
  const by = `by ${host} (Holdfast) with ${sanitize(client.protocol) || "ESMTP"} id ${id}`;
  return [
    `Received: ${from === "" ? by : `${from}\r\n\t${by}`}`,
    `${recipient === undefined ? "\t" : `\tfor <${recipient}>`}; ${rfc5322Date(at)}`,
    "",
  ].join("\r\n");
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
