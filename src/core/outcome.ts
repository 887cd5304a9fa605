/** What became of handing a message on: one of three, whatever the transport (design, rule 6). */

/** An SMTP reply (RFC 5321 §4.2, RFC 2034). */
export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** RFC 3463, such as `5.1.1`; absent where the server gave none. */
  readonly enhanced?: string;
  /** Without code and enhanced code; lines of a multi-line reply are separated by a line feed. */
  readonly text: string;
}

/** The step of the dialogue at which it was decided. `final` is the reply to the final dot. */
export type Phase =
  | "connect"
  | "greeting"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "final"
  | "reset"
  | "noop";

export interface Delivered {
  readonly kind: "delivered";
  /** `path`: handed to another server, which vouches for it; no evidence that the origin takes mail. */
  readonly where?: "path";
  readonly reply: Reply;
}

/** A 5xx to MAIL, RCPT, DATA or the final dot, and nothing else: the sender hears the origin's own words. */
export interface Refused {
  readonly kind: "refused";
  readonly phase: "mail" | "rcpt" | "data" | "final";
  readonly reply: Reply;
}

export interface Unavailable {
  readonly kind: "unavailable";
  /** `path`: a gateway or name server of our own failed; no evidence against the origin. */
  readonly where: "origin" | "path";
  readonly phase: Phase;
  readonly reason: "no_connection" | "timeout" | "dropped" | "tls" | "protocol" | "reply" | "unsupported";
  /** The server's reply, where `reason` is `reply`. */
  readonly reply?: Reply;
  /** For the log and the administrator; never for the sender. */
  readonly detail?: string;
}

export type Outcome = Delivered | Refused | Unavailable;

/** One line for logs and events: `refused at rcpt: 550 5.1.1 no such user`. */
export function describeOutcome(outcome: Outcome): string {
  const reply = outcome.reply ? `: ${formatReply(outcome.reply)}` : "";
  switch (outcome.kind) {
    case "delivered":
      return `delivered${reply}`;
    case "refused":
      return `refused at ${outcome.phase}${reply}`;
    case "unavailable":
      return `unavailable (${outcome.where}) at ${outcome.phase}, ${outcome.reason}${reply}${outcome.detail ? ` (${outcome.detail})` : ""}`;
  }
}

/** `550 5.1.1 no such user`, on one line. */
export function formatReply(reply: Reply): string {
  return [String(reply.code), reply.enhanced, reply.text.replaceAll("\n", " ")].filter(Boolean).join(" ");
}
