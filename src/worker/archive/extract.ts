/** What indexing takes out of a message. Of mail that no parser understands, it takes what there is. */
import PostalMime, { type Address, decodeWords, type Email } from "postal-mime";
import { MAX_BUFFERED_BYTES, MAX_HEADER_BYTES, MAX_IDENTIFIER, MAX_PATH_BYTES } from "../../core/limits.ts";
import { readHeader } from "../../core/mime/header.ts";
import { htmlToText } from "./html-text.ts";
import type { Extracted, MailAddress } from "./meta.ts";
import { reduce } from "./reduce.ts";

/** Characters of body text that are indexed: some thirty thousand words; D1 takes 2 MB a row. */
const MAX_TEXT = 256 * 1024;
const PREVIEW = 200;
const MAX_SUBJECT = 2_000;
/** The From of several people (RFC 5322 §3.6.2), as one line. */
const MAX_SENDER = 2_000;
/** Of a person, or a file. */
const MAX_NAME = 256;
/**
 * Characters of each list, of addressees, references or attachments: some three hundred addresses. A row has room for 2 MB,
 * and the rows of a hundred recipients go in one batch: mail made to be too large for it would never be accepted.
 */
const MAX_LIST = 15_000;

export interface Extraction extends Extracted {
  /** The message could not be parsed as it stands: fields may be missing. */
  readonly partial: boolean;
}

/**
 * @param octets the message, whole or as it streams
 * @param size octets in all; of more than MAX_BUFFERED_BYTES the bulk is left out before parsing (reduce.ts)
 * @throws only what reading the stream throws: a message that could not be read is not one without a subject
 */
export async function extract(octets: Uint8Array | AsyncIterable<Uint8Array>, size: number): Promise<Extraction> {
  const source = octets instanceof Uint8Array ? octets : await reduce(octets, size <= MAX_BUFFERED_BYTES);
  try {
    return { ...fromEmail(await PostalMime.parse(source, { attachmentEncoding: "arraybuffer" })), partial: false };
  } catch (error) {
    console.warn("a message could not be parsed for the index", String(error));
    return { ...fromHeader(source), partial: true };
  }
}

/** What its first fields say, where its structure is beyond the parser: so that it is found by them at least. */
function fromHeader(octets: Uint8Array): Extracted {
  const { fields } = readHeader(octets.subarray(0, MAX_HEADER_BYTES));
  const field = (name: string) => {
    const value = fields.find((one) => one.name === name)?.value ?? "";
    return cut(wellFormed(decodeWords(value)).replace(/\s+/g, " ").trim(), MAX_SUBJECT);
  };
  const messageId = identifiers(field("message-id"))[0];
  return {
    ...NOTHING,
    subject: field("subject"),
    sender: field("from"),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

/** Of a message in which there is nothing to be found. */
export const NOTHING: Extracted = {
  subject: "",
  sender: "",
  text: "",
  preview: "",
  from: [],
  to: [],
  cc: [],
  replyTo: [],
  references: [],
  attachments: [],
};

function fromEmail(email: Email): Extracted {
  const from = addresses(email.from ? [email.from] : []);
  const text = cut(wellFormed(email.text ?? (email.html === undefined ? "" : htmlToText(email.html))), MAX_TEXT);
  const date = email.date === undefined ? Number.NaN : Date.parse(email.date);
  const messageId = identifiers(email.messageId)[0];
  const inReplyTo = identifiers(email.inReplyTo)[0];
  return {
    subject: cut(
      wellFormed(email.subject ?? "")
        .replace(/\s+/g, " ")
        .trim(),
      MAX_SUBJECT,
    ),
    sender: cut(
      from.map(({ name, address }) => (name === "" ? address : `${name} <${address}>`)).join(", "),
      MAX_SENDER,
    ),
    text,
    preview: cut(text.replace(/\s+/g, " ").trim(), PREVIEW),
    from,
    to: addresses(email.to ?? []),
    cc: addresses(email.cc ?? []),
    replyTo: addresses(email.replyTo ?? []),
    // The nearest ones are last (RFC 5322 §3.6.4).
    references: upToLimit(identifiers(email.references).toReversed()).toReversed(),
    attachments: upToLimit(
      email.attachments.map(({ filename, mimeType }) => ({
        name: cut(wellFormed(filename ?? ""), MAX_NAME),
        type: cut(wellFormed(mimeType), MAX_NAME),
      })),
    ),
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(Number.isNaN(date) ? {} : { date }),
  };
}

/** Groups (RFC 5322 §3.4) are taken apart. */
function addresses(list: readonly Address[]): MailAddress[] {
  return upToLimit(
    list
      .flatMap((entry) => entry.group ?? [entry])
      .map(({ name, address }) => ({
        name: cut(wellFormed(name ?? ""), MAX_NAME),
        address: cut(wellFormed(address ?? ""), MAX_PATH_BYTES),
      })),
  );
}

/** The first ones of a list, as many as there is room for. */
function upToLimit<T>(list: readonly T[]): T[] {
  let room = MAX_LIST;
  const end = list.findIndex((one) => {
    room -= JSON.stringify(one).length;
    return room < 0;
  });
  return list.slice(0, end === -1 ? list.length : end);
}

/** `<a@b> <c@d>` to `a@b`, `c@d`. One that is too long to be a line is none. */
function identifiers(text: string | undefined): string[] {
  return (text ?? "")
    .split(/[\s,]+/)
    .map((part) => wellFormed(part.replace(/^<|>$/g, "")))
    .filter((part) => part !== "" && part.length <= MAX_IDENTIFIER);
}

/** SQLite's text ends at NUL for some readers, and half a surrogate pair is no UTF-8. */
function wellFormed(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : text.slice(0, most).toWellFormed();
}
