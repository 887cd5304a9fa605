/**
 * The one way out: webmail, API, submission, JMAP, vacation notices, non-delivery reports and the smart host all call `submit`
 * (submit.ts). What it has said yes to is stored and queued; the domain's outbound object sends it (object.ts).
 */
import type { Client } from "../../core/envelope.ts";
import type { Result } from "../../core/result.ts";
import type { Receipt } from "../archive/meta.ts";

/**
 * Whose message it is. `mailbox`: a person's; a copy goes into their Sent, and into the archive where they are covered. `relay`: an
 * origin's, that uses us as its smart host; archived for the covered mailboxes of its header From. `automatic`: what is sent by itself for
 * a mailbox; no copy is kept, and it does not count among what its owner sends. `system`: our own, for nobody.
 */
export type Writer =
  | {
      readonly kind: "mailbox";
      readonly account: number;
      readonly shard: number;
      readonly covered: boolean;
      /** The login name. */
      readonly name: string;
    }
  | {
      readonly kind: "relay";
      /** What its rate is counted by, such as `relay 3`. */
      readonly name: string;
      /** Its envelope's sender is nobody's here: a report of failure, or forwarded mail. These have a rate of their own. */
      readonly others?: boolean;
      readonly archive: readonly { readonly account: number; readonly shard: number }[];
    }
  | {
      readonly kind: "automatic";
      readonly purpose: Purpose;
      readonly account: number;
      /** Where it is queued: where whatever gave rise to it lies. */
      readonly shard: number;
      /** The login name. */
      readonly name: string;
    }
  | { readonly kind: "system" };

export type Purpose = "vacation" | "forwarding" | "confirmation";

export interface Submission {
  /** The sending domain's name, in normal form. */
  readonly domain: string;
  readonly writer: Writer;
  /** Envelope sender without angle brackets; empty for `<>`. */
  readonly from: string;
  /** As they go into RCPT TO; at least one, at most MAX_RECIPIENTS. */
  readonly recipients: readonly string[];
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
  /** Where it came from: what our Received says of it. */
  readonly client: Client;
  /** Exactly `size` octets, as they are sent: nothing is changed, our Received and signature go on top. */
  readonly octets: AsyncIterable<Uint8Array>;
  readonly size: number;
  /**
   * What the caller calls this request: its repeat is answered like the first, and sends nothing. Null: a message with a
   * Message-ID is told by its envelope and octets (design, rule 5), one without is never taken for a repeat.
   */
  readonly request: string | null;
}

export interface Submitted {
  /** The receipt's ULID. */
  readonly id: string;
  /** False: an earlier request was the same. */
  readonly isNew: boolean;
  /** What the request is called now; with `mid` it names the row in the archive. */
  readonly request: string;
  readonly mid: string;
}

/**
 * `temporary`: nothing was accepted, the same request may succeed later. The others say for good what is wrong; the words are for
 * people, and name what to do.
 */
export interface SubmitRefusal {
  readonly reason:
    | "temporary"
    | "busy"
    | "rate"
    | "stopped"
    | "no_recipients"
    | "too_many_recipients"
    | "bad_recipient"
    | "too_large"
    | "loop"
    | "no_way_out"
    | "transport_rules"
    | "unknown_domain";
  readonly detail: string;
  /** The recipient that it is about. */
  readonly recipient?: string;
}

export type SubmitResult = Result<Submitted, SubmitRefusal>;

/** JSON in `outgoing.facts`. */
export interface OutgoingFacts {
  readonly receipt: Receipt;
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
  /** The DKIM-Signature that goes on top, with its line end; absent where nobody signs. */
  readonly signature?: string;
  /** Who wrote it, for people: a login name, or what relays. */
  readonly writer: string;
  /** Its Message-ID without angle brackets; absent where it has none. */
  readonly messageId?: string;
  /** A copy of what came for this mailbox, which is sent on as it came: it is marked so on top. */
  readonly forwardedBy?: string;
}

/** How a domain's mail goes out. */
export type OutgoingRoute =
  /** A server that takes mail for anybody from us, over SMTP from the Worker. */
  | {
      readonly transport: "smarthost";
      readonly host: string;
      readonly port: number;
      readonly tls: "implicit" | "starttls" | "none";
      readonly username?: string;
      /** AES-GCM, base64 (identity/secret.ts). */
      readonly passwordEncrypted?: string;
      readonly keyId?: string;
    }
  /** Cloudflare's send_email binding. */
  | { readonly transport: "cloudflare" }
  /** Through a gateway, straight to the recipients' own servers. */
  | { readonly transport: "gateway" };

/** Recipients, by who sends and in what time. */
export interface SendLimits {
  readonly userHour: number;
  readonly userDay: number;
  readonly domainHour: number;
  readonly domainDay: number;
}

export interface OutgoingSettings {
  readonly route: OutgoingRoute | null;
  /** Those that an operator has set. */
  readonly limits: Partial<SendLimits>;
}
