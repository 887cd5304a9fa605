/**
 * Which conversation a message belongs to (RFC 8621 §3): it shares an identifier with one of its messages, in Message-ID,
 * In-Reply-To or References, and the base subject. A report of failure (RFC 6522) is in the conversation of what it brings back. Both together are one token in the full text's `scope`, which costs no row:
 * so messages are found that refer to one that never came here, and replies that came before what they reply to.
 */
import { createHash } from "node:crypto";
import { MAX_THREAD_REFERENCES } from "../../core/limits.ts";
import { baseSubject } from "../../core/mime/base-subject.ts";
import type { MessageMeta } from "./meta.ts";

export type Threaded = Pick<MessageMeta, "messageId" | "inReplyTo" | "references" | "aboutSubject"> & {
  readonly subject: string;
};

/** Octets of the digest that a token has: two conversations of one mailbox do not meet by chance. */
const TOKEN_OCTETS = 10;

/** @returns words for `scope`, of this account alone; none where the message has no identifier */
export function threadTokens(account: number, message: Threaded): string[] {
  const subject = baseSubject(message.aboutSubject ?? message.subject);
  const owner = account < 0 ? `p${-account}` : String(account);
  return identifiersOf(message).map((id) => {
    const digest = createHash("sha256").update(`${subject}\n${id}`).digest("hex");
    return `t${owner}x${digest.slice(0, 2 * TOKEN_OCTETS)}`;
  });
}

/** For `MATCH`; without a token it finds nothing. */
export function threadMatch(tokens: readonly string[]): string {
  return tokens.length === 0 ? '""' : `scope : (${tokens.join(" OR ")})`;
}

/** Its own, what it replies to, what the conversation began with, and of the others the nearest (they are last). */
function identifiersOf({ messageId, inReplyTo, references }: Threaded): string[] {
  const ids = [messageId, inReplyTo, references[0], ...references.slice(-MAX_THREAD_REFERENCES)];
  return [...new Set(ids.filter((id) => id !== undefined))];
}
