/** Whether a message may be answered by itself (RFC 3834 §2, RFC 5230 §4.6). Pure. */
import { parseAddress, splitAddress } from "../address.ts";
import type { AuthenticationResults } from "../authentication-results.ts";
import { mailboxes } from "../mime/addresses.ts";
import type { Header } from "../mime/header.ts";

export interface Answerable {
  readonly header: Header;
  /** Envelope sender, empty for `<>`. */
  readonly from: string;
  readonly results: AuthenticationResults | null;
  /** Whether an address is the recipient's own, or an alias. */
  owns(address: string): boolean;
}

export type Unanswered =
  | "no_sender"
  | "no_person"
  | "own_address"
  | "header_incomplete"
  | "automatic"
  | "mailing_list"
  | "suppressed"
  | "not_authentic"
  | "not_addressed";

/** RFC 3834 §2, RFC 5230 §4.6, and how senders call themselves who read no answers. */
const NOBODY =
  /^(?:owner-.*|.*-owner|.*-request|mailer-daemon|postmaster|listserv|majordomo|bounces?|.*-bounces?|(?:.*[-_.])?(?:no|donot|do-not|do_not)[-_.]?reply(?:[-_.].*)?)$/i;
const TO = new Set(["to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"]);
/** RFC 2919, RFC 2369. */
const LIST = /^(?:list-.+|mailing-list|x-mailing-list|x-loop|feedback-id)$/;
const SUPPRESS = /\b(?:all|oof|autoreply)\b/i;

/** @returns why not; null: it may */
export function whyNotAnswered({ header, from, results, owns }: Answerable): Unanswered | null {
  const local = splitAddress(from)?.local ?? "";
  if (from === "" || !parseAddress(from).ok) return "no_sender";
  // A plus-tag, or what VERP puts behind the name, does not make a person of it.
  if (NOBODY.test(local) || NOBODY.test(local.split(/[+=]/)[0] ?? "")) return "no_person";
  if (owns(from)) return "own_address";
  if (!header.complete) return "header_incomplete";
  const values = (name: string) =>
    header.fields.filter((field) => field.name === name).map(({ value }) => value.trim());
  // RFC 3834 §5: parameters may follow.
  if (values("auto-submitted").some((value) => !/^no(?:\s|;|\(|$)/i.test(value))) return "automatic";
  if (header.fields.some(({ name }) => LIST.test(name))) return "mailing_list";
  if (values("precedence").some((value) => /^(?:bulk|list|junk)\b/i.test(value))) return "mailing_list";
  if (values("x-auto-response-suppress").some((value) => SUPPRESS.test(value))) return "suppressed";
  if (results?.dmarc === "fail") return "not_authentic";
  const named = header.fields.filter(({ name }) => TO.has(name)).flatMap(({ value }) => mailboxes(value, null));
  return named.some(({ address }) => owns(address)) ? null : "not_addressed";
}
