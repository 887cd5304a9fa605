/** What is kept beside the octets. */
import type { Client, Envelope } from "../../core/envelope.ts";
import type { HeaderField } from "../../core/query/header-words.ts";

/** The facts of a receipt: all that a redelivery needs, so that its trace headers are identical each time. */
export interface Receipt {
  /** ULID; also the tail of the R2 key. */
  readonly id: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** Our own name at that time. */
  readonly host: string;
  readonly client: Client;
}

/** JSON in `message.meta`. */
export interface MessageMeta {
  readonly receipt: Receipt;
  /** Of an outgoing message `to` is the first recipient. */
  readonly envelope: Envelope;
  /** Of an outgoing message: all of them, blind copies too. */
  readonly recipients?: readonly string[];
  /** Header fields, decoded. */
  readonly to: readonly MailAddress[];
  readonly cc: readonly MailAddress[];
  readonly from: readonly MailAddress[];
  readonly replyTo: readonly MailAddress[];
  /** Message-ID as it stands in the header, without angle brackets; absent where there is none. */
  readonly messageId?: string;
  readonly inReplyTo?: string;
  /** Of a report of failure, the Message-ID of what it is about too. */
  readonly references: readonly string[];
  /** Of a report of failure that brings the header of what it is about: that message's subject, for they are one conversation. */
  readonly aboutSubject?: string;
  /** The header's Date, unix milliseconds. */
  readonly date?: number;
  readonly attachments: readonly AttachmentMeta[];
}

export interface MailAddress {
  readonly name: string;
  readonly address: string;
}

export interface AttachmentMeta {
  readonly name: string;
  readonly type: string;
}

/** What indexing takes out of a message. */
export interface Extracted extends Omit<MessageMeta, "receipt" | "envelope" | "recipients"> {
  readonly subject: string;
  /** `Name <address>` of the header From. */
  readonly sender: string;
  /** Something came with it that does not belong to its text, as a picture within it does (RFC 8621 §4.1.4, hasAttachment). */
  readonly hasAttachment: boolean;
  /** For the index alone. */
  readonly bcc: readonly MailAddress[];
  /** Every field of the header, decoded and capped, for the index alone. */
  readonly fields: readonly HeaderField[];
  /** Plain text of the body, capped; HTML-only mail as text. */
  readonly text: string;
  /** The first 200 characters of the text, white space folded. */
  readonly preview: string;
  /** JSON (core/mime/structure-form.ts); null where it is too long for a row. */
  readonly structure: string | null;
}
