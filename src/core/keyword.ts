/** Keywords of messages: `$forwarded`, `$junk`, a user's own labels (RFC 9051 §2.3.2, RFC 8621 §4.1.1). */
import { MAX_KEYWORD } from "./limits.ts";
import { err, ok, type Result } from "./result.ts";

/** What may stand in an IMAP atom, and in JMAP: printable ASCII without these. */
const FORM = /^[\x21\x23\x24\x26\x27\x2b-\x5b\x5e-\x7a\x7c\x7e]+$/;

/**
 * Keywords are the same in any case; kept in lower case, as JMAP has them.
 * @returns what is wrong with it, as the end of a sentence
 */
export function readKeyword(text: string): Result<string, string> {
  if (text.startsWith("\\")) return err("is a system flag or none: keywords do not begin with a backslash");
  if (text.length > MAX_KEYWORD) return err(`must be at most ${MAX_KEYWORD} characters`);
  if (!FORM.test(text)) return err('must be printable ASCII without space, ( ) { ] % * " and backslash');
  return ok(text.toLowerCase());
}
