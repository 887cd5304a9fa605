/** Replies off the wire (RFC 5321 §4.2), and what each means for a message. */
import { MAX_REPLY_LINE_BYTES, MAX_REPLY_LINES } from "../../limits.ts";
import type { Outcome, Phase, Reply } from "../../outcome.ts";
import { err, ok, type Result } from "../../result.ts";

export type ReplyError =
  | { readonly reason: "line_too_long"; readonly max: number }
  | { readonly reason: "too_many_lines"; readonly max: number }
  /** Not three digits followed by a space, a hyphen or nothing; or a code outside 200 to 599. */
  | { readonly reason: "malformed"; readonly line: string }
  /** RFC 5321 §4.2.1: all lines have the same code. */
  | { readonly reason: "mixed_codes"; readonly codes: readonly [number, number] };

const CR = 0x0d;
const LF = 0x0a;

/** Octets in, replies out; chunks may be cut anywhere. After an error it is not to be used any more. */
export class ReplyParser {
  #line: number[] = [];
  #code: number | null = null;
  #texts: string[] = [];
  readonly #replies: Reply[] = [];

  /** Takes octets. @returns how many replies are complete and waiting */
  push(octets: Uint8Array): Result<number, ReplyError> {
    for (const octet of octets) {
      // A server that ends its lines with LF alone is understood all the same.
      if (octet === LF) {
        const error = this.#endLine();
        if (error) return err(error);
      } else if (this.#line.length >= MAX_REPLY_LINE_BYTES) {
        return err({ reason: "line_too_long", max: MAX_REPLY_LINE_BYTES });
      } else {
        this.#line.push(octet);
      }
    }
    return ok(this.#replies.length);
  }

  /** The oldest complete reply, left where it is. */
  peek(): Reply | null {
    return this.#replies[0] ?? null;
  }

  /** The oldest complete reply. */
  next(): Reply | null {
    return this.#replies.shift() ?? null;
  }

  /** Octets are here that nobody has taken yet: a complete reply or a part of one. */
  get pending(): boolean {
    return this.#replies.length > 0 || this.#code !== null || this.#line.length > 0;
  }

  #endLine(): ReplyError | null {
    if (this.#line.at(-1) === CR) this.#line.pop();
    const line = readable(new TextDecoder("utf-8", { fatal: false }).decode(Uint8Array.from(this.#line)));
    this.#line = [];
    const [, digits, separator, text = ""] = /^([2-5]\d\d)(?:([ -])(.*))?$/.exec(line) ?? [];
    if (digits === undefined) return { reason: "malformed", line: line.slice(0, 80) };
    const code = Number(digits);
    if (this.#code !== null && this.#code !== code) return { reason: "mixed_codes", codes: [this.#code, code] };
    if (this.#texts.length >= MAX_REPLY_LINES) return { reason: "too_many_lines", max: MAX_REPLY_LINES };
    this.#code = code;
    this.#texts.push(text);
    if (separator !== "-") {
      this.#replies.push(toReply(code, this.#texts));
      this.#code = null;
      this.#texts = [];
    }
    return null;
  }
}

/** RFC 2034 §4: class, subject and detail in front of the text, on each line; the class is that of the code. */
function toReply(code: number, texts: readonly string[]): Reply {
  const enhanced = enhancedCode(code, texts[0] ?? "");
  if (enhanced === null) return { code, text: texts.join("\n") };
  const bare = texts.map((text) => (enhancedCode(code, text) === null ? text : text.replace(/^\S+ ?/, "")));
  return { code, enhanced, text: bare.join("\n") };
}

function enhancedCode(code: number, text: string): string | null {
  const [, found] = /^([245]\.\d{1,3}\.\d{1,3})(?= |$)/.exec(text) ?? [];
  return found?.startsWith(String(Math.floor(code / 100))) ? found : null;
}

/** The text goes on to the sender and into logs: control characters (a bare CR among them) become spaces. */
function readable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ");
}

/** For the log and the administrator. */
export function describeReplyError(error: ReplyError): string {
  switch (error.reason) {
    case "line_too_long":
      return `a reply line of more than ${error.max} octets`;
    case "too_many_lines":
      return `a reply of more than ${error.max} lines`;
    case "malformed":
      return `not an SMTP reply: ${error.line}`;
    case "mixed_codes":
      return `one reply with the codes ${error.codes.join(" and ")}`;
  }
}

/**
 * What a reply means for the message (design, rule 6): a 5xx to MAIL, RCPT, DATA or the final dot alone is `refused`, every
 * other reply that is not 2xx is `unavailable`. The 354 to DATA is not for this function.
 */
export function outcomeOf(phase: Phase, reply: Reply): Outcome {
  if (reply.code < 300) return { kind: "delivered", reply };
  if (reply.code < 400) return { kind: "unavailable", where: "origin", phase, reason: "protocol", reply };
  if (reply.code >= 500 && (phase === "mail" || phase === "rcpt" || phase === "data" || phase === "final")) {
    return { kind: "refused", phase, reply };
  }
  return { kind: "unavailable", where: "origin", phase, reason: "reply", reply };
}
