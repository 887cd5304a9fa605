/** One interface to an origin, whatever the transport: a conversation with one connection and many messages. */
import type { Delivered, Outcome, Refused, Unavailable } from "../../outcome.ts";

export interface MailParameters {
  /** Without angle brackets; empty for the null sender. */
  readonly from: string;
  /** Octets on the wire, for SIZE (RFC 1870). */
  readonly size: number;
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
}

/** The message that follows: what its `begin` will be called with. */
export interface Upcoming {
  readonly parameters: MailParameters;
  readonly to: string;
}

/** The message after 354. Chunks may be of any size and cut anywhere; dot-stuffing and line ends are done here, on bytes. */
export interface MessageWriter {
  /** Line ends had to be changed so far: a bare CR or LF was among the octets (design, rule 3). */
  readonly lineEndsChanged: boolean;
  /**
   * @returns the outcome where it ended early: the connection failed, or the server answered before the final dot (a 5xx is
   * then `refused`). After it neither `write` nor `finish` is to be called, and the session is not usable
   */
  write(chunk: Uint8Array): Promise<Refused | Unavailable | null>;
  /**
   * Adds a missing last line end, sends the final dot and waits for its reply, at most `timeout` milliseconds. This wait is
   * not shortened by the deadline of the session: the server has the whole message, and giving up makes a duplicate.
   * @param next its MAIL, RCPT and DATA go out right behind the final dot, before its reply (RFC 2920 §3.1), where the server
   * does PIPELINING and takes such a message; then either `begin` with the same values, or `close`, has to follow
   */
  finish(timeout: number, next?: Upcoming): Promise<Outcome>;
  /** Leaves without the final dot, so that the server drops what it has: the connection is closed. */
  abort(): void;
}

/** Its methods are called one after the other, never at the same time; none of them throws or rejects. */
export interface OriginSession {
  /** False once the connection is unusable (lost, 421, timeout, aborted). */
  readonly usable: boolean;
  /** What the server announced (RFC 5321 §4.1.1.1), keywords upper case. */
  readonly extensions: ReadonlyMap<string, string>;
  /**
   * `delivered` means 250 so far. A transaction that is still open is reset first. Refused by us, without asking, are a
   * message larger than the announced SIZE (`552 5.3.4`) and a non-ASCII address where SMTPUTF8 is missing (`550 5.6.7`).
   */
  mail(parameters: MailParameters): Promise<Outcome>;
  rcpt(to: string): Promise<Outcome>;
  /** DATA, up to its 354. */
  data(): Promise<MessageWriter | Refused | Unavailable>;
  /**
   * MAIL, RCPT and DATA in one round trip where the server does PIPELINING (RFC 2920), else one by one; where they went out
   * behind the message before, their replies only. For one recipient.
   */
  begin(parameters: MailParameters, to: string): Promise<MessageWriter | Refused | Unavailable>;
  /** RSET; after it the next transaction may begin. */
  reset(): Promise<Outcome>;
  noop(): Promise<Outcome>;
  /** QUIT without waiting for its reply; at once where the server may wait for a message. Never throws. */
  close(): void;
}

export interface OpenSession {
  readonly session: OriginSession;
  readonly greeting: Delivered;
  /** Whether it is under TLS, where whoever opened it knows. */
  readonly secure?: boolean;
}

export type OpenedSession = OpenSession | Unavailable;

export function isWriter(value: MessageWriter | Refused | Unavailable): value is MessageWriter {
  return "write" in value;
}

export function isOpen(opened: OpenedSession): opened is OpenSession {
  return "session" in opened;
}
