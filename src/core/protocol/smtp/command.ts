/** Command lines that carry something from outside: what does not fit into one is an error, never a second command. */
import { MAX_COMMAND_BYTES } from "../../limits.ts";
import { err, ok, type Result } from "../../result.ts";
import type { MailParameters } from "./conversation.ts";

export type CommandError =
  /** Octets that would end the path or the line: CR, LF, NUL, an angle bracket or a space outside quotes. */
  | { readonly reason: "unsafe_address" }
  | { readonly reason: "line_too_long"; readonly max: number }
  /** RFC 6531 §3.2: a non-ASCII address needs SMTPUTF8. */
  | { readonly reason: "smtputf8_missing" }
  /** RFC 1870 §6.1: more octets than the server takes. */
  | { readonly reason: "too_large"; readonly max: number };

/** `MAIL FROM:<…>` with the parameters that the server knows, without line end. */
export function mailCommand(
  { from, size, body, smtputf8 }: MailParameters,
  extensions: ReadonlyMap<string, string>,
): Result<string, CommandError> {
  const international = !isAscii(from);
  if (international && !extensions.has("SMTPUTF8")) return err({ reason: "smtputf8_missing" });
  const max = Number(extensions.get("SIZE") ?? 0);
  // RFC 1870 §4: no number, or 0, is no fixed limit.
  if (max > 0 && size > max) return err({ reason: "too_large", max });
  let line = `MAIL FROM:<${from}>`;
  if (extensions.has("SIZE")) line += ` SIZE=${size}`;
  // Without the extension 8-bit octets go all the same, undeclared: they came, and the origin's other senders do so too.
  if (body === "8BITMIME" && extensions.has("8BITMIME")) line += " BODY=8BITMIME";
  if ((smtputf8 || international) && extensions.has("SMTPUTF8")) line += " SMTPUTF8";
  return checked(from, line);
}

/** `RCPT TO:<…>` without line end. */
export function rcptCommand(to: string, extensions: ReadonlyMap<string, string>): Result<string, CommandError> {
  if (!isAscii(to) && !extensions.has("SMTPUTF8")) return err({ reason: "smtputf8_missing" });
  return checked(to, `RCPT TO:<${to}>`);
}

function checked(path: string, line: string): Result<string, CommandError> {
  if (!isSafePath(path)) return err({ reason: "unsafe_address" });
  if (new TextEncoder().encode(line).length + 2 > MAX_COMMAND_BYTES) {
    return err({ reason: "line_too_long", max: MAX_COMMAND_BYTES });
  }
  return ok(line);
}

/** Whether it can stand between angle brackets: RFC 5321 §4.1.2, of which only what delimits is looked at. */
function isSafePath(path: string): boolean {
  if (!path.isWellFormed() || /[\u0000-\u001f\u007f]/.test(path)) return false;
  let quoted = false;
  for (let at = 0; at < path.length; at++) {
    const character = path[at];
    if (quoted && character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "<" || character === ">" || character === " ")) return false;
  }
  return !quoted;
}

function isAscii(text: string): boolean {
  return /^[\u0000-\u007f]*$/.test(text);
}
