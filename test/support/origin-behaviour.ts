/** What a fake origin does, as plain JSON: tests in workerd send it to the control server. No Node.js in here. */

declare module "vitest" {
  interface ProvidedContext {
    /** Of the control server; its port on loopback. */
    originControlPort: number;
    /** The relay port of a gateway on 127.0.0.1 that knows the secrets of the tests' Worker. */
    relayPort: number;
  }
}

/** What happens instead of the ordinary reply to a command. A string is the reply. */
export type Step = string | StepDetail;

export interface StepDetail {
  /** The lines of the reply, separated by line feeds, such as `451 4.7.1 later` or `250-a\n250 b`. Absent: the ordinary one. */
  readonly reply?: string;
  /** Milliseconds before the reply. */
  readonly delay?: number;
  /** The reply comes one octet at a time, so many milliseconds apart. */
  readonly octetEvery?: number;
  /** No reply at all; the connection stays open. */
  readonly silent?: boolean;
  /** At the final dot only: no reply until another behaviour is set; then as that one says, the client gone or not. */
  readonly held?: boolean;
  /** Closes the connection: instead of a reply, or after it where `reply` is given. */
  readonly drop?: boolean;
  /** Final dot only: the message is taken, although with `drop` or `silent` the sender never hears of it. */
  readonly taken?: boolean;
  /** Octets sent right behind the reply, in the same write. */
  readonly trailing?: string;
  /** STARTTLS only: after the 220, these octets instead of a handshake. */
  readonly garbage?: string;
}

/** A list: one step each time, the last for all further times. `null` in it is the ordinary reply. */
export type Steps = Step | readonly (Step | null)[];

export type Verb =
  | "greeting"
  | "ehlo"
  | "helo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "final"
  | "rset"
  | "noop"
  | "quit";

export interface Behaviour {
  /** Verbs that are answered out of the ordinary; they count over all connections. */
  readonly steps?: { readonly [verb in Verb]?: Steps };
  /** RCPT by address exactly as it stands in the command; wins over `steps.rcpt`. */
  readonly recipients?: Readonly<Record<string, Steps>>;
  /** Replaces the ordinary list: PIPELINING, SIZE 26214400, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES. */
  readonly extensions?: readonly string[];
  /** Default `none`. With `starttls` the extension is announced until the handshake. */
  readonly tls?: "none" | "starttls" | "implicit";
  readonly certificate?: "trusted" | "stranger" | "misnamed";
  /** With it AUTH is announced and needed before MAIL. */
  readonly user?: { readonly name: string; readonly password: string; readonly mechanisms?: string };
  /** Stops reading after so many octets of a message: the sender's writes get stuck. */
  readonly stopReadingAfter?: number;
  /** After so many octets of a message, writes this reply and closes. */
  readonly cutAfter?: { readonly octets: number; readonly reply?: string };
}

export interface RecordedMessage {
  readonly connection: number;
  readonly from: string;
  readonly to: readonly string[];
  /** The whole line. */
  readonly mailCommand: string;
  /** Base64 of the octets, dots unstuffed, without the final dot. */
  readonly raw: string;
  /** The final dot was answered with 2xx. False too when the reply was never sent. */
  readonly accepted: boolean;
}

export interface OriginReport {
  readonly messages: readonly RecordedMessage[];
  /** `C: ` and `S: ` lines in order, of all connections; octets of messages are left out. */
  readonly transcript: readonly string[];
  readonly connections: number;
  /** At the same time, the most there were. */
  readonly peak: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Commands sent ahead of a reply although PIPELINING was not announced, or in a place where RFC 2920 forbids it. */
  readonly violations: readonly string[];
}
