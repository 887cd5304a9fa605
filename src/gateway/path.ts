/**
 * MAIL FROM and RCPT TO as a server reads them (RFC 5321 §4.1.2, §4.1.1.2, §4.1.1.3). The address comes out exactly as it was
 * received: neither case nor A-labels nor quotes are touched, because the origin decides what they mean.
 */
import { MAX_PATH_BYTES } from "../core/limits.ts";
import { err, ok, type Result } from "../core/result.ts";

export interface PathCommand {
  /** Without angle brackets and without a source route; empty for `<>`. */
  readonly address: string;
  /** ESMTP parameters, names in upper case, values decoded from xtext (RFC 3461 §4); `true` where there is no value. */
  readonly parameters: ReadonlyMap<string, string | true>;
  /** A parameter that stands there twice (RFC 5321 §4.1.1.11 has each once): to be refused. */
  readonly duplicate?: string;
}

export type PathError = "syntax" | "too_long";

const VERB = { MAIL: /^MAIL FROM:[ \t]*/i, RCPT: /^RCPT TO:[ \t]*/i };
/** Appendix C: a source route must be accepted and ignored. */
const SOURCE_ROUTE = /^@[^\s,:@]+(?:,@[^\s,:@]+)*:/;
const DOT_STRING = /^[^\s"(),:;<>@[\\\]\0-\x1f\x7f]+$/;
const QUOTED_STRING = /^"(?:[^"\\\0-\x1f\x7f]|\\[ -~])*"$/;
/** A name (letters, digits, hyphens, dots, underscore as it is met; U-labels) or an address literal. */
const DOMAIN = /^(?:[A-Za-z0-9_\-.\u0080-\u{10FFFF}]+|\[[A-Za-z0-9:.]+\])$/u;
const CONTROL = /[\0-\x1f\x7f]/;

/** @param line the command without its line end */
export function parsePathCommand(verb: "MAIL" | "RCPT", line: string): Result<PathCommand, PathError> {
  const prefix = VERB[verb].exec(line)?.[0];
  if (prefix === undefined) return err("syntax");
  const rest = line.slice(prefix.length);
  const end = closingBracket(rest);
  if (end < 0) return err("syntax");
  const address = rest.slice(1, end).replace(SOURCE_ROUTE, "");
  const checked = checkAddress(verb, address);
  if (!checked.ok) return checked;
  const parameters = parseParameters(rest.slice(end + 1));
  return parameters.ok ? ok({ address, ...parameters.value }) : parameters;
}

/** The bracket that ends the path; within a quoted local part brackets count for nothing. */
function closingBracket(text: string): number {
  if (!text.startsWith("<")) return -1;
  let quoted = false;
  for (let index = 1; index < text.length; index++) {
    const char = text[index];
    if (quoted && char === "\\") index++;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && char === ">") return index;
    else if (!quoted && char === "<") return -1;
  }
  return -1;
}

function checkAddress(verb: "MAIL" | "RCPT", address: string): Result<null, PathError> {
  if (address === "") return verb === "MAIL" ? ok(null) : err("syntax");
  // §4.5.3.1.3 counts the brackets.
  if (Buffer.byteLength(address) > MAX_PATH_BYTES - 2) return err("too_long");
  // §4.1.1.3: postmaster needs no domain.
  if (verb === "RCPT" && address.toLowerCase() === "postmaster") return ok(null);
  const at = address.lastIndexOf("@");
  const local = address.slice(0, at);
  const domain = address.slice(at + 1);
  if (at < 1 || !DOMAIN.test(domain) || domain.includes("..") || domain.startsWith(".")) return err("syntax");
  // Dots at an edge or side by side are no dot-string, but some senders write them and some servers deliver them.
  return DOT_STRING.test(local) || QUOTED_STRING.test(local) ? ok(null) : err("syntax");
}

function parseParameters(text: string): Result<Omit<PathCommand, "address">, PathError> {
  if (text !== "" && !/^[ \t]/.test(text)) return err("syntax");
  const parameters = new Map<string, string | true>();
  let duplicate: string | undefined;
  for (const word of text.split(/[ \t]+/).filter(Boolean)) {
    const [, name, value] = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=(.+))?$/.exec(word) ?? [];
    if (name === undefined) return err("syntax");
    const key = name.toUpperCase();
    if (parameters.has(key)) duplicate = key;
    const decoded = value?.replace(/\+([0-9A-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (decoded !== undefined && CONTROL.test(decoded)) return err("syntax");
    parameters.set(key, decoded ?? true);
  }
  return ok(duplicate === undefined ? { parameters } : { parameters, duplicate });
}
