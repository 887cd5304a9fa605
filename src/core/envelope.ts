/** The SMTP envelope (RFC 5321 §2.3.1): it decides, the header never does (design, rule 4). */
export interface Envelope {
  /** MAIL FROM as received, without angle brackets; empty for the null sender `<>`. */
  readonly from: string;
  /** RCPT TO exactly as received: alias, plus-tag and case. */
  readonly to: string;
  /** RFC 6152. */
  readonly body: "7BIT" | "8BITMIME";
  /** RFC 6531. */
  readonly smtputf8: boolean;
}

/** Where a message came from: what a Received line says of it (RFC 5321 §4.4). */
export interface Client {
  /** Address literal without brackets, or empty where Email Routing does not tell. */
  readonly ip: string;
  /** The name given in HELO or EHLO, or empty. */
  readonly helo: string;
  /** `ESMTP`, `ESMTPS`, `UTF8SMTP` … (RFC 3848, RFC 6531 §4.3). */
  readonly protocol: string;
}
