/**
 * What a message is made of, found in one pass over its octets: what IMAP's ENVELOPE and BODYSTRUCTURE (RFC 9051 §7.5.2) and
 * JMAP's bodyStructure (RFC 8621 §4.1.4) need, and where each part lies, so that it is read by one range of octets. Field bodies
 * are kept as they stand, unfolded, octets as Latin-1; fields.ts and addresses.ts decode them.
 */

/** Of a part's Content-Type or Content-Disposition: the name in lower case, the value without its quotes, as it stands. */
export type Parameter = readonly [name: string, value: string];

export interface Disposition {
  /** Lower case, such as `attachment`. */
  readonly value: string;
  readonly parameters: readonly Parameter[];
}

export interface PartStructure {
  /**
   * IMAP's section (RFC 9051 §6.4.5.1): `1`, `2.1`. Of a message it is that of the part it is in; a multipart that is a message's
   * whole body has that message's, for the message itself the empty string.
   */
  readonly path: string;
  /**
   * `multipart`: has parts. `message`: a message within the message, whose octets are this body. A multipart without any part is
   * a leaf, plain text (RFC 2045 §5.2); so is what lies too deep.
   */
  readonly kind: "leaf" | "multipart" | "message";
  /** Lower case. */
  readonly type: string;
  readonly subtype: string;
  readonly parameters: readonly Parameter[];
  readonly disposition: Disposition | null;
  /** Content-ID, Content-Description and so on; null where there is no such field. */
  readonly id: string | null;
  readonly description: string | null;
  readonly encoding: string | null;
  readonly md5: string | null;
  readonly language: string | null;
  readonly location: string | null;
  /** Offsets in the message's octets: the header with the empty line that ends it is `headerFrom` to `bodyFrom`. */
  readonly headerFrom: number;
  readonly bodyFrom: number;
  readonly bodyTo: number;
  /** Line ends in the body, as it stands. */
  readonly lines: number;
  /** Octets of the body out of its transfer encoding; of a multipart or a message those of the body as it stands. */
  readonly size: number;
  /** Of a multipart. */
  readonly parts: readonly PartStructure[];
  /** Of a message. */
  readonly message: MessageStructure | null;
}

/** Absent is a field that the header has not. An address field may be there several times. */
export interface Envelope {
  readonly date?: string;
  readonly subject?: string;
  readonly from?: readonly string[];
  readonly sender?: readonly string[];
  readonly replyTo?: readonly string[];
  readonly to?: readonly string[];
  readonly cc?: readonly string[];
  readonly bcc?: readonly string[];
  readonly inReplyTo?: string;
  readonly messageId?: string;
}

export interface MessageStructure {
  readonly envelope: Envelope;
  readonly body: PartStructure;
}

export interface Structure extends MessageStructure {
  /** Octets of the whole message. */
  readonly size: number;
  /** The charset that header fields are in that are neither ASCII nor UTF-8, as far as the message says one. */
  readonly charset: string | null;
  /** Parts or fields were left out, because there were too many, too deep or too long. */
  readonly partial: boolean;
}

/** The part itself and all within it, also those of messages within it, in the order in which they lie. */
export function* partsWithin(part: PartStructure): Generator<PartStructure> {
  yield part;
  for (const child of part.parts) yield* partsWithin(child);
  if (part.message) yield* partsWithin(part.message.body);
}

/**
 * @param path an IMAP section without its HEADER, TEXT or MIME; the empty string is the message. Where a message within the
 * message is a multipart, their common path is the message's part
 * @returns null where there is no such part
 */
export function partAt({ body }: MessageStructure, path: string): PartStructure | null {
  if (path === "") return body;
  for (const part of partsWithin(body)) if (part.path === path) return part;
  return null;
}
