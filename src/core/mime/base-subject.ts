/** What the subjects of one conversation have in common. */

/** The subj-blob of RFC 5256 §2.1: `[list]`. */
const BLOB = String.raw`\[[^\[\]]*\]\s*`;
/** Its subj-refwd, with the words that mail programs of other languages write. */
const REPLY = String.raw`(?:re|fwd?|aw|wg|sv|vs|antw|tr|rv|rif|odp|回复|答复|转发)\s*(?:${BLOB})?[:：]\s*`;
const LEADER = new RegExp(`^(?:${REPLY}|${BLOB}(?=${REPLY}|${BLOB}|\\S))`, "i");
const TRAILER = /\(fwd\)\s*$/i;
const FORWARDED = /^\[fwd:\s*(.*)\]$/is;
/** Leaders that are taken off; mail that went to and fro a hundred times has fewer. */
const MAX_LEADERS = 200;

/**
 * The base subject (RFC 5256 §2.1, as RFC 8621 §3 wants it compared): without `Re:`, `Fwd:`, `[List]` and `(fwd)`, in lower case,
 * without white space.
 * @param subject decoded
 */
export function baseSubject(subject: string): string {
  let text = subject.replace(/\s+/g, " ").trim();
  for (let count = 0; count < MAX_LEADERS; count++) {
    const before = text;
    text = text.replace(TRAILER, "").trim();
    const shorter = text.replace(LEADER, "").trim();
    // A list's name that is all there is stands for itself.
    if (shorter !== "" || !text.startsWith("[")) text = shorter;
    text = (FORWARDED.exec(text)?.[1] ?? text).trim();
    if (text === before) break;
  }
  return text.normalize("NFC").toLowerCase().replace(/\s+/g, "");
}
