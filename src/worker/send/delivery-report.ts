/**
 * Reports to a sender of what did not go out, or not yet (RFC 3461 §6, RFC 3464, RFC 6522). The same facts make the same octets, so
 * that a report that is handed over twice is taken for a repeat.
 */
import MimeNode from "nodemailer/lib/mime-node";
import { rfc5322Date } from "../../core/mime/trace.ts";
import { formatReply, type Outcome } from "../../core/outcome.ts";
import { SEND_EXPIRY, SEND_WARNING } from "../../core/send/limits.ts";
import type { OutgoingMessage, OutgoingRecipient } from "../store/outgoing.ts";

export interface ReportFacts {
  readonly kind: "failed" | "delayed";
  /** Our own name. */
  readonly host: string;
  readonly message: OutgoingMessage;
  /** Those that it is about; at least one. */
  readonly recipients: readonly OutgoingRecipient[];
  /** The header of the original, as much of it as is brought along. */
  readonly header: Uint8Array;
}

/** @returns the whole message, 7-bit, with CRLF */
export async function deliveryReport(facts: ReportFacts): Promise<Uint8Array<ArrayBuffer>> {
  const { kind, host, message, recipients, header } = facts;
  const name = `${kind}.${message.facts.receipt.id}.${recipients[0]?.id ?? 0}`.toLowerCase();
  const at = Math.max(...recipients.map((one) => one.at));
  const root = new MimeNode("multipart/report; report-type=delivery-status", { newline: "win", baseBoundary: name });
  root.setHeader({
    from: { name: "Mail delivery", address: `postmaster@${host}` },
    to: message.sender,
    subject: subjectOf(kind, message),
    "message-id": `<${name}@${host}>`,
    date: rfc5322Date(at),
    // RFC 3834 §5: nobody answers this by themselves.
    "auto-submitted": "auto-replied",
    "mime-version": "1.0",
    ...threadOf(message),
  });
  root.createChild("text/plain; charset=utf-8").setContent(textOf(facts));
  root.createChild("message/delivery-status").setContent(statusOf(facts));
  // RFC 6522 §4: the header alone; the message itself is in Sent.
  root.createChild("text/rfc822-headers").setContent(Buffer.from(header));
  return new Uint8Array(await root.build());
}

/** The report lies in the conversation of what it is about. */
function threadOf({ facts: { messageId } }: OutgoingMessage): { "in-reply-to"?: string; references?: string } {
  return messageId === undefined ? {} : { "in-reply-to": `<${messageId}>`, references: `<${messageId}>` };
}

/** In brackets, as a list's name: so it has the base subject of what it is about (RFC 5256 §2.1), and lies in its conversation. */
function subjectOf(kind: ReportFacts["kind"], { subject, facts }: OutgoingMessage): string {
  const what = facts.forwardedBy === undefined ? "Not delivered" : "Not sent on";
  return `[${kind === "failed" ? what : `${what} yet`}] ${subject}`;
}

function textOf({ kind, message, recipients }: ReportFacts): string {
  const isCopy = message.facts.forwardedBy !== undefined;
  const whose = isCopy ? "The copy for your private address of the message" : "Your message";
  const about = `${whose} "${message.subject}" of ${rfc5322Date(message.createdAt)}`;
  const list = recipients.map(({ recipient, state, outcome }) => `  ${recipient}\n    ${wordsOf(state, outcome)}`);
  const opening =
    kind === "failed"
      ? [`${about} was not delivered to:`]
      : [`${about} has not reached these recipients yet, although ${hours(SEND_WARNING)} hours have passed:`];
  const end =
    kind === "failed"
      ? [
          isCopy
            ? "It will not be tried again. The message itself is in your mailbox here."
            : "It will not be tried again.",
        ]
      : [
          `You need not do anything: it is tried again until ${rfc5322Date(message.createdAt + SEND_EXPIRY)}.`,
          "You will hear if it cannot be delivered by then.",
        ];
  return [...opening, "", ...list, "", ...end, ""].join("\n");
}

const hours = (milliseconds: number): number => Math.round(milliseconds / 3600_000);

function wordsOf(state: OutgoingRecipient["state"], outcome: Outcome | null): string {
  const said = outcome?.reply ? `The mail server said: ${formatReply(outcome.reply)}` : null;
  switch (state) {
    case "cancelled":
      return "An administrator took it out of the queue.";
    case "expired":
      return `No mail server took it within ${hours(SEND_EXPIRY) / 24} days. ${said ?? "It could not be reached."}`;
    default:
      return said ?? "The mail server could not be reached.";
  }
}

/** RFC 3464 §2. */
function statusOf({ kind, host, message, recipients }: ReportFacts): string {
  const head = [`Reporting-MTA: dns; ${host}`, `Arrival-Date: ${rfc5322Date(message.createdAt)}`];
  const each = recipients.map(({ recipient, state, outcome, at }) => [
    // RFC 6533 §3: an address beyond ASCII has a type of its own.
    `Final-Recipient: ${/^[ -~]*$/.test(recipient) ? "rfc822" : "utf-8"}; ${recipient}`,
    `Action: ${kind}`,
    `Status: ${statusCode(kind, state, outcome)}`,
    ...(outcome?.reply ? [`Diagnostic-Code: smtp; ${formatReply(outcome.reply)}`] : []),
    `Last-Attempt-Date: ${rfc5322Date(at)}`,
    ...(kind === "delayed" ? [`Will-Retry-Until: ${rfc5322Date(message.createdAt + SEND_EXPIRY)}`] : []),
  ]);
  return [head, ...each].map((group) => `${group.join("\r\n")}\r\n`).join("\r\n");
}

/** RFC 3463: X.4.7, the time for delivery is over; X.4.1, no answer; X.7.0, by decision of an administrator. */
function statusCode(kind: ReportFacts["kind"], state: OutgoingRecipient["state"], outcome: Outcome | null): string {
  if (state === "cancelled") return "5.7.0";
  if (state === "expired") return "5.4.7";
  const said = outcome?.reply?.enhanced;
  if (said !== undefined) return said;
  return kind === "failed" ? "5.0.0" : outcome?.reply ? "4.0.0" : "4.4.1";
}
