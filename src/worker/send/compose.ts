/** A message from what a person wrote: header, text, HTML and files, by nodemailer's composer; ASCII on the wire, letters for readers. */
import MailComposer from "nodemailer/lib/mail-composer";

export interface Person {
  /** Empty where there is none. */
  readonly name: string;
  readonly address: string;
}

export interface AttachedFile {
  readonly name: string;
  /** Media type; absent: told by the name. */
  readonly type?: string;
  readonly content: Uint8Array;
  /** Shown within the HTML by `cid:…`; without angle brackets. */
  readonly contentId?: string;
}

export interface Letter {
  readonly from: Person;
  readonly replyTo: readonly Person[];
  readonly to: readonly Person[];
  readonly cc: readonly Person[];
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly attachments: readonly AttachedFile[];
  /** Message-IDs without angle brackets. */
  readonly inReplyTo?: string;
  readonly references: readonly string[];
  readonly messageId: string;
  /** Unix milliseconds. */
  readonly date: number;
  /** Nobody wrote it (RFC 3834 §5, and what Exchange heeds in its stead). */
  readonly automatic?: "auto-replied" | "auto-generated";
}

/** Blind copies are no part of it: they are in the envelope alone. @returns the octets, with CRLF */
export async function compose(letter: Letter): Promise<Uint8Array<ArrayBuffer>> {
  const { from, replyTo, to, cc, subject, text, html, attachments, inReplyTo, references, messageId, date } = letter;
  const { automatic } = letter;
  const people = (list: readonly Person[]) => list.map(({ name, address }) => ({ name, address }));
  const mail = new MailComposer({
    from: { ...from },
    replyTo: people(replyTo),
    to: people(to),
    cc: people(cc),
    subject,
    ...(html === undefined ? {} : { html }),
    // A message without any text is one without a body to some readers.
    ...(text === undefined && html !== undefined ? {} : { text: text ?? "" }),
    attachments: attachments.map(({ name, type, content, contentId }) => ({
      filename: name,
      content: Buffer.from(content),
      ...(type === undefined ? {} : { contentType: type }),
      ...(contentId === undefined ? {} : { cid: contentId, contentDisposition: "inline" as const }),
    })),
    ...(inReplyTo === undefined ? {} : { inReplyTo: `<${inReplyTo}>` }),
    references: references.map((id) => `<${id}>`),
    messageId: `<${messageId}>`,
    date: new Date(date),
    ...(automatic === undefined ? {} : { headers: { "Auto-Submitted": automatic, "X-Auto-Response-Suppress": "All" } }),
    newline: "win",
    // It is given all it needs: nothing is read or fetched by a name in it.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return new Uint8Array(await mail.compile().build());
}
