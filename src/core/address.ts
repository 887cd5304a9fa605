/** Mailbox addresses (RFC 5321 §4.1.2, RFC 6531 §3.3): split, checked, and brought to the form in which they are looked up. */
import { MAX_DOMAIN_BYTES, MAX_LABEL_BYTES, MAX_LOCAL_BYTES, MAX_PATH_BYTES } from "./limits.ts";
import { err, ok, type Result } from "./result.ts";

export interface Address {
  /** Lower case, NFC, without quotes; a plus-tag is still there (see `lookupLocals`). */
  readonly local: string;
  /** Lower case, A-labels (RFC 5890 §2.3.2.1). */
  readonly domain: string;
  /** The normal form: `local@domain`, quoted only where it must be. */
  readonly address: string;
}

export type AddressError =
  | { readonly reason: "empty" }
  | { readonly reason: "no_at" }
  | { readonly reason: "no_local" }
  | { readonly reason: "no_domain" }
  | { readonly reason: "local_syntax" }
  | { readonly reason: "domain_syntax" }
  | { readonly reason: "address_literal" }
  | { readonly reason: "local_too_long"; readonly max: number }
  | { readonly reason: "domain_too_long"; readonly max: number }
  | { readonly reason: "too_long"; readonly max: number };

/** RFC 5322 §3.2.3 atext, and all that RFC 6531 §3.3 adds to it. */
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-\\u0080-\\u{10FFFF}]+";
const DOT_STRING = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, "u");
/** RFC 5321 §4.1.2 Quoted-string: qtextSMTP and quoted-pairSMTP; control characters are in neither. */
const QUOTED_STRING = /^"(?:[ !#-[\]-~\u0080-\u{10FFFF}]|\\[ -~])*"$/u;
/** RFC 5321 §4.1.2 sub-domain; the underscore is not in it. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const OUTSIDE_ASCII = /[^\0-\x7f]/;

const encoder = new TextEncoder();
const octets = (text: string): number => encoder.encode(text).length;

/**
 * Where an address is cut: at its last `@`, since a domain has none. Nothing is checked or changed.
 * @returns null where there is no `@`
 */
export function splitAddress(text: string): { readonly local: string; readonly domain: string } | null {
  const at = text.lastIndexOf("@");
  return at < 0 ? null : { local: text.slice(0, at), domain: text.slice(at + 1) };
}

/** @param text without angle brackets, as received or as a person typed it (surrounding white space is dropped) */
export function parseAddress(text: string): Result<Address, AddressError> {
  const trimmed = text.trim();
  if (trimmed === "") return err({ reason: "empty" });
  const parts = splitAddress(trimmed);
  if (!parts) return err({ reason: "no_at" });
  const local = parseLocal(parts.local);
  if (!local.ok) return local;
  const domain = parseDomain(parts.domain);
  if (!domain.ok) return domain;
  const address = `${writeLocal(local.value)}@${domain.value}`;
  // RFC 5321 §4.5.3.1.3: the path's limit counts the angle brackets.
  if (octets(address) + 2 > MAX_PATH_BYTES) return err({ reason: "too_long", max: MAX_PATH_BYTES - 2 });
  return ok({ local: local.value, domain: domain.value, address });
}

/** The look-up form of a domain name: lower case, A-labels. Address literals are no domain of anyone's mail. */
export function parseDomain(text: string): Result<string, AddressError> {
  if (text === "") return err({ reason: "no_domain" });
  if (text.startsWith("[")) return err({ reason: "address_literal" });
  const ascii = OUTSIDE_ASCII.test(text) ? toAscii(text) : text.toLowerCase();
  if (ascii === null) return err({ reason: "domain_syntax" });
  if (ascii.length > MAX_DOMAIN_BYTES) return err({ reason: "domain_too_long", max: MAX_DOMAIN_BYTES });
  const labels = ascii.split(".");
  if (!labels.every((label) => label.length <= MAX_LABEL_BYTES && LABEL.test(label))) {
    return err({ reason: "domain_syntax" });
  }
  // An IPv4 address without brackets (RFC 3696 §2: no top-level domain is all digits).
  if (/^\d+$/.test(labels.at(-1) ?? "")) return err({ reason: "domain_syntax" });
  return ok(ascii);
}

/**
 * The look-up forms of a local part, best first: as it is, then without its plus-tag.
 * @param local as received or in look-up form; case, quotes and normalisation do not matter
 */
export function lookupLocals(local: string): string[] {
  const exact = lookupForm(local);
  const plus = exact.indexOf("+");
  return plus > 0 ? [exact, exact.slice(0, plus)] : [exact];
}

/** For people; names what is wrong and never repeats the address. */
export function describeAddressError(error: AddressError): string {
  switch (error.reason) {
    case "empty":
      return "The address is empty.";
    case "no_at":
      return "The address has no @.";
    case "no_local":
      return "The address has nothing before its @.";
    case "no_domain":
      return "The address has nothing after its @.";
    case "local_syntax":
      return "The part before the @ has characters that need quotes, or dots where none may be.";
    case "domain_syntax":
      return "The part after the @ is not a domain name.";
    case "address_literal":
      return "The part after the @ is an IP address; a domain name is needed.";
    case "local_too_long":
      return `The part before the @ is longer than ${error.max} octets.`;
    case "domain_too_long":
      return `The part after the @ is longer than ${error.max} octets.`;
    case "too_long":
      return `The address is longer than ${error.max} octets.`;
  }
}

function parseLocal(text: string): Result<string, AddressError> {
  if (text === "" || text === '""') return err({ reason: "no_local" });
  if (octets(text) > MAX_LOCAL_BYTES) return err({ reason: "local_too_long", max: MAX_LOCAL_BYTES });
  if (!DOT_STRING.test(text) && !QUOTED_STRING.test(text)) return err({ reason: "local_syntax" });
  return ok(lookupForm(text));
}

/** RFC 5321 §4.1.2: quotes and backslashes are no part of the meaning. RFC 6531 §3.1 asks for NFC where octets are compared. */
function lookupForm(local: string): string {
  const quoted = local.length > 1 && local.startsWith('"') && local.endsWith('"');
  const bare = quoted ? local.slice(1, -1).replace(/\\([ -~])/g, "$1") : local;
  return bare.normalize("NFC").toLowerCase();
}

function writeLocal(local: string): string {
  return DOT_STRING.test(local) ? local : `"${local.replace(/["\\]/g, "\\$&")}"`;
}

/** UTS #46 through the platform's URL parser; ASCII that it would read as something else than a host never gets there. */
function toAscii(domain: string): string | null {
  if (/[^A-Za-z0-9.\-\u0080-\u{10FFFF}]/u.test(domain)) return null;
  try {
    return new URL(`http://${domain}/`).hostname;
  } catch (error) {
    if (error instanceof TypeError) return null; // not a domain name in any script
    throw error;
  }
}
