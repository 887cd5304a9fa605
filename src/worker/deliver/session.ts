/** One interface to an origin, whatever the transport: a conversation with one connection and many messages. */
import type { Delivered, Outcome, Refused, Unavailable } from "../../core/outcome.ts";

export interface MailParameters {
  /** Without angle brackets; empty for the null sender. */
  readonly from: string;
  /** Octets on the wire, for SIZE (RFC 1870). */
  readonly size: number;
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
}

/** The message after 354. Chunks may be of any size and cut anywhere; dot-stuffing and line ends are done here, on bytes. */
export interface MessageWriter {
  /** @returns the outcome where the connection failed; then `finish` is not to be called */
  write(chunk: Uint8Array): Promise<Unavailable | null>;
  /** Adds a missing last line end, sends the final dot and waits for its reply, at most `timeout` milliseconds. */
  finish(timeout: number): Promise<Outcome>;
  /** Leaves without the final dot, so that the server drops what it has: the connection is closed. */
  abort(): void;
}

export interface OriginSession {
  /** False once the connection is unusable (lost, 421, aborted). */
  readonly usable: boolean;
  /** What the server announced (RFC 5321 §4.1.1.1), keywords upper case. */
  readonly extensions: ReadonlyMap<string, string>;
  /** `delivered` means 250 so far. Refused as `unsupported` where 8BITMIME or SMTPUTF8 would be needed and is not there (RFC 6152 §3, RFC 6531 §3.2). */
  mail(parameters: MailParameters): Promise<Outcome>;
  rcpt(to: string): Promise<Outcome>;
  /** DATA, up to its 354. */
  data(): Promise<MessageWriter | Refused | Unavailable>;
  /** MAIL, RCPT and DATA in one round trip where the server does PIPELINING (RFC 2920), else one by one. For one recipient. */
  begin(parameters: MailParameters, to: string): Promise<MessageWriter | Refused | Unavailable>;
  /** RSET; after it the next transaction may begin. */
  reset(): Promise<Outcome>;
  noop(): Promise<Outcome>;
  /** QUIT without waiting for its reply. Never throws. */
  close(): void;
}

export type OpenedSession = { readonly session: OriginSession; readonly greeting: Delivered } | Unavailable;

export function isWriter(value: MessageWriter | Refused | Unavailable): value is MessageWriter {
  return "write" in value;
}
