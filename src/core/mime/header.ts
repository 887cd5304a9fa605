/** The header of a message as octets: where its fields lie, without decoding or changing anything. */
import { MAX_IDENTIFIER } from "../limits.ts";

export interface HeaderField {
  /** Lower case; empty for a line that is no field, such as an mbox `From ` line. */
  readonly name: string;
  /** The body of the field, unfolded, octets as Latin-1. */
  readonly value: string;
  /** Offsets of the field in the message, `end` after its line end. */
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly fields: readonly HeaderField[];
  /** The empty line that ends the header was seen. */
  readonly complete: boolean;
}

const LF = 0x0a;
const FIELD_NAME = /^([!-9;-~]+)[ \t]*:/;

/** Fields that a hop puts on top of what it received (RFC 5321 §4.4, RFC 8617, RFC 8601, RFC 7208 §9.1). */
const TRACE = new Set([
  "received",
  "return-path",
  "arc-seal",
  "arc-message-signature",
  "arc-authentication-results",
  "authentication-results",
  "received-spf",
]);

/**
 * Reads the header (RFC 5322 §2.2) from the beginning of a message; lines may end in CRLF or LF.
 * @param bytes the message, or its first part
 */
export function readHeader(bytes: Uint8Array): Header {
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = endOfField(bytes, start);
    const text = latin1(bytes.subarray(start, end)).replace(/\r?\n$/, "");
    if (text === "") return { fields, complete: true };
    const name = FIELD_NAME.exec(text);
    if (!name && fields.length > 0) return { fields, complete: true };
    fields.push({
      name: name?.[1]?.toLowerCase() ?? "",
      value: text.slice(name?.[0].length ?? 0).replace(/\r?\n(?=[ \t])/g, ""),
      start,
      end,
    });
    start = end;
  }
  return { fields, complete: false };
}

/** The offset after the field that begins at `start`, continuation lines included (RFC 5322 §2.2.3). */
function endOfField(bytes: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const lf = bytes.indexOf(LF, at);
    if (lf === -1) return bytes.length;
    at = lf + 1;
    const empty = lf === start || (lf === start + 1 && bytes[start] === 0x0d);
    if (empty || (bytes[at] !== 0x20 && bytes[at] !== 0x09)) return at;
  }
}

/**
 * Where the trace block ends that the last hop put on top: trace fields without a break, up to the `Received` of the hop
 * before. Email Routing makes this block anew, with id and time, at each try and for each recipient.
 * @returns an offset in octets
 */
export function lastHopTraceEnd(header: Header): number {
  let received = 0;
  let end = 0;
  for (const field of header.fields) {
    if (!TRACE.has(field.name)) break;
    if (field.name === "received" && ++received > 1) break;
    end = field.end;
  }
  return end;
}

/** Message-ID without angle brackets (RFC 5322 §3.6.4); null where there is none, an empty one, or one too long for a line. */
export function messageIdOf(header: Header): string | null {
  const value = header.fields.find((field) => field.name === "message-id")?.value.trim() ?? "";
  const id = value.replace(/^<(.*)>$/s, "$1").trim();
  return id === "" || id.length > MAX_IDENTIFIER ? null : id;
}

export function countReceived(header: Header): number {
  return header.fields.filter((field) => field.name === "received").length;
}

export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
