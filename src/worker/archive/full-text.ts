/** What a message is found by: one row of `full_text`, whose columns are the fields that can be searched for themselves. */
import type { Envelope } from "../../core/envelope.ts";
import { fieldsText } from "../../core/query/header-words.ts";
import type { TextField } from "../../core/query/query.ts";
import type { Extracted, MailAddress } from "./meta.ts";
import { scopeTokens } from "./scope.ts";
import { type Threaded, threadTokens } from "./thread.ts";

/** As the migration `full_text_by_field` has them. However many they are, a message is one row written. */
export const TEXT_COLUMNS = [
  "scope",
  "subject",
  "sender",
  "recipient",
  "cc",
  "bcc",
  "envelope",
  "names",
  "fields",
  "body",
] as const;

export type TextColumn = (typeof TEXT_COLUMNS)[number];
export type FullText = Readonly<Record<TextColumn, string>>;

export const COLUMN_OF: Readonly<Record<TextField, TextColumn>> = {
  subject: "subject",
  from: "sender",
  to: "recipient",
  cc: "cc",
  bcc: "bcc",
  envelope: "envelope",
  attachment: "names",
  body: "body",
};

export interface Findable {
  readonly account: number;
  /** The domain's number. */
  readonly domain: number;
  readonly direction: "in" | "out";
  readonly envelope: Pick<Envelope, "to">;
  /** Of an outgoing message: all of its envelope's recipients. */
  readonly recipients?: readonly string[] | undefined;
  /** Its owner put it into a folder; it is not of the archive. */
  readonly own?: boolean | undefined;
  readonly extracted: Threaded &
    Pick<Extracted, "from" | "to" | "cc" | "bcc" | "attachments" | "hasAttachment" | "fields" | "text">;
}

/** @param share characters of the body that are indexed */
export function fullText(
  { extracted, envelope, recipients = [envelope.to], ...whose }: Findable,
  share = Number.MAX_SAFE_INTEGER,
): FullText {
  const { subject, from, to, cc, bcc, attachments, fields, text } = extracted;
  return {
    scope: [
      ...scopeTokens({ ...whose, hasAttachment: extracted.hasAttachment }),
      ...threadTokens(whose.account, extracted),
    ].join(" "),
    subject,
    sender: people(from),
    recipient: people(to),
    cc: people(cc),
    bcc: people(bcc),
    // Need not be in the header: a blind copy, a list.
    envelope: recipients.join("\n"),
    names: attachments.map(({ name }) => name).join("\n"),
    fields: fieldsText(fields),
    body: text.length <= share ? text : text.slice(0, share).toWellFormed(),
  };
}

const people = (list: readonly MailAddress[]): string =>
  list.map(({ name, address }) => `${name} ${address}`).join("\n");

const NAMES = TEXT_COLUMNS.join(", ");

/** SQL: a row of the full text. @param rowid and @param where expressions; the columns are bound from `?first` on */
export function insertFullText(rowid: string, first: number, where: string): string {
  const values = TEXT_COLUMNS.map((_, index) => `?${first + index}`).join(", ");
  return `INSERT INTO full_text (rowid, ${NAMES}) SELECT ${rowid}, ${values} WHERE ${where}`;
}

/** SQL: rows of the full text out of a JSON list of `{id, ...FullText}`. @param list the parameter */
export function insertFullTexts(list: string, where: string): string {
  const values = TEXT_COLUMNS.map((name) => `value ->> '${name}'`).join(", ");
  return `INSERT INTO full_text (rowid, ${NAMES}) SELECT value ->> 'id', ${values} FROM json_each(${list}) WHERE ${where}`;
}

export const columnValues = (text: FullText): string[] => TEXT_COLUMNS.map((name) => text[name]);
