/** What indexing takes out of a message. Of mail that no parser understands, it takes what there is. */
import { type Address, decodeWords, type Email } from "postal-mime";
import { MAX_IDENTIFIER, MAX_PATH_BYTES } from "../../core/limits.ts";
import { readDate } from "../../core/mime/date.ts";
import { writeStructure } from "../../core/mime/structure-form.ts";
import { type ReadMessage, readMessage } from "./message.ts";
import type { Extracted, MailAddress } from "./meta.ts";

/** Characters of body text that are indexed: some thirty thousand words; D1 takes 2 MB a row. */
const MAX_TEXT = 256 * 1024;
/** Octets of text that are looked at for it: HTML has several to a word. */
const MAX_TEXT_OCTETS = 1024 * 1024;
const PREVIEW = 200;
const MAX_SUBJECT = 2_000;
/** The From of several people (RFC 5322 §3.6.2), as one line. */
const MAX_SENDER = 2_000;
/** Of a person, or a file. */
const MAX_NAME = 256;
/** Header fields that are looked at, and characters of each. */
const MAX_FIELDS = 500;
const MAX_FIELD = 2_000;
/**
 * Characters of each list, of addressees, references or attachments: some three hundred addresses. A row has room for 2 MB,
 * and the rows of a hundred recipients go in one batch: mail made to be too large for it would never be accepted.
 */
const MAX_LIST = 15_000;

export interface Extraction extends Extracted {
  /** Something was left out: text beyond the limit, parts too many or too deep. */
  readonly partial: boolean;
}

/**
 * @param octets the message, whole or as it streams
 * @param size octets in all
 * @throws what reading the stream throws, and where it ends too soon: a message that could not be read is not one without a subject
 */
export async function extract(octets: Uint8Array | AsyncIterable<Uint8Array>, size: number): Promise<Extraction> {
  const message = await readMessage(octets, MAX_TEXT_OCTETS);
  const { structure } = message;
  if (structure.size !== size) throw new Error(`${structure.size} octets were read of a message of ${size}`);
  return { ...fromMessage(message), partial: message.partial };
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
  bcc: [],
  fields: [],
  replyTo: [],
  references: [],
  attachments: [],
  hasAttachment: false,
  structure: null,
};

function fromMessage({ header: email, text: whole, attachments, structure, returned }: ReadMessage): Extracted {
  const from = addresses(email.from ? [email.from] : []);
  const text = cut(wellFormed(whole), MAX_TEXT);
  const date = email.date === undefined ? null : readDate(email.date);
  const messageId = identifiers(email.messageId)[0];
  const inReplyTo = identifiers(email.inReplyTo)[0];
  const about = identifiers(returned?.messageId)[0];
  const references = [...identifiers(email.references), ...(about === undefined ? [] : [about])];
  return {
    subject: subjectOf(email),
    sender: cut(
      from.map(({ name, address }) => (name === "" ? address : `${name} <${address}>`)).join(", "),
      MAX_SENDER,
    ),
    text,
    preview: cut(text.replace(/\s+/g, " ").trim(), PREVIEW),
    from,
    to: addresses(email.to ?? []),
    cc: addresses(email.cc ?? []),
    bcc: addresses(email.bcc ?? []),
    fields: email.headers.slice(0, MAX_FIELDS).map(({ key, value }) => ({
      name: cut(wellFormed(key), MAX_NAME),
      value: cut(wellFormed(decodeWords(cut(value, MAX_FIELD))), MAX_FIELD),
    })),
    replyTo: addresses(email.replyTo ?? []),
    // The nearest ones are last (RFC 5322 §3.6.4).
    references: upToLimit(references.toReversed()).toReversed(),
    attachments: upToLimit(
      attachments.map(({ name, type }) => ({
        name: cut(wellFormed(name), MAX_NAME),
        type: cut(wellFormed(type), MAX_NAME),
      })),
    ),
    hasAttachment: attachments.some(({ inline }) => !inline),
    structure: writeStructure(structure),
    ...(messageId === undefined ? {} : { messageId }),
    ...(inReplyTo === undefined ? {} : { inReplyTo }),
    ...(returned && about !== undefined ? { aboutSubject: subjectOf(returned) } : {}),
    ...(date === null ? {} : { date }),
  };
}

function subjectOf({ subject = "" }: Email): string {
  return cut(wellFormed(subject).replace(/\s+/g, " ").trim(), MAX_SUBJECT);
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
