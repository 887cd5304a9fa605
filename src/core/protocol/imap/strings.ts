/** Strings of IMAP (RFC 9051 §4.3, §9). What is given and made has one character for each octet. */

/** A quoted string where it can be one; what is longer is easier to read as a literal. */
const QUOTABLE = /^[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}$/;

export function string(text: string): string {
  if (QUOTABLE.test(text)) return `"${text.replace(/["\\]/g, "\\$&")}"`;
  // A literal has no NUL (CHAR8).
  return `{${text.length}}\r\n${text.replaceAll("\0", "?")}`;
}

export function nstring(text: string | null | undefined): string {
  return text === null || text === undefined ? "NIL" : string(text);
}
