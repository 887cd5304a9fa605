/** JMAP's body parts (RFC 8621 §4.1.4), from the structure alone. */
import { charsetOf, nameOf } from "../../mime/fields.ts";
import type { PartStructure, Structure } from "../../mime/structure.ts";

/** EmailBodyPart, without `headers`: those are in the octets from `headerFrom` to `bodyFrom`. */
export interface EmailBodyPart {
  /** IMAP's section; null of a multipart. */
  readonly partId: string | null;
  readonly blobId: string | null;
  /** Octets, decoded. */
  readonly size: number;
  readonly name: string | null;
  readonly type: string;
  readonly charset: string | null;
  readonly disposition: string | null;
  /** Without angle brackets. */
  readonly cid: string | null;
  readonly language: readonly string[] | null;
  readonly location: string | null;
  readonly subParts: readonly EmailBodyPart[] | null;
}

export interface EmailBody {
  readonly bodyStructure: EmailBodyPart;
  readonly textBody: readonly EmailBodyPart[];
  readonly htmlBody: readonly EmailBodyPart[];
  readonly attachments: readonly EmailBodyPart[];
  readonly hasAttachment: boolean;
}

/** @param blobId names the octets of a part, decoded */
export function emailBody(structure: Structure, blobId: (part: PartStructure) => string): EmailBody {
  const bodyStructure = bodyPart(structure.body, structure.charset, blobId);
  const lists: Lists = { text: [], html: [], attachments: [] };
  sort([bodyStructure], "mixed", false, lists);
  const { text: textBody, html: htmlBody, attachments } = lists;
  const hasAttachment = attachments.some(({ disposition }) => disposition !== "inline");
  return { bodyStructure, textBody, htmlBody, attachments, hasAttachment };
}

function bodyPart(part: PartStructure, hint: string | null, blobId: (part: PartStructure) => string): EmailBodyPart {
  const multipart = part.kind === "multipart";
  const languages = (part.language ?? "").split(/[\s,]+/).filter((tag) => tag !== "");
  return {
    partId: multipart ? null : part.path,
    blobId: multipart ? null : blobId(part),
    size: part.size,
    name: nameOf(part, hint),
    type: `${part.type}/${part.subtype}`,
    charset: charsetOf(part),
    disposition: part.disposition?.value ?? null,
    cid: part.id?.replace(/^<|>$/g, "") || null,
    language: languages.length > 0 ? languages : null,
    location: part.location,
    subParts: multipart ? part.parts.map((one) => bodyPart(one, hint, blobId)) : null,
  };
}

interface Lists {
  readonly text: EmailBodyPart[];
  readonly html: EmailBodyPart[];
  readonly attachments: EmailBodyPart[];
}

/** Which of the two bodies a part goes to; within an alternative one of them may be given up. */
interface Bodies {
  text: boolean;
  html: boolean;
}

/** The algorithm of RFC 8621 §4.1.4, as it stands there. */
function sort(
  parts: readonly EmailBodyPart[],
  within: string,
  inAlternative: boolean,
  lists: Lists,
  into: Bodies = { text: true, html: true },
): void {
  const { text, html, attachments } = lists;
  const bodies = { ...into };
  const before = { text: text.length, html: html.length };
  for (const [index, part] of parts.entries()) {
    const [main = "", subtype = ""] = part.type.split("/", 2);
    if (part.subParts) {
      sort(part.subParts, subtype, inAlternative || subtype === "alternative", lists, bodies);
    } else if (!isInline(part, index, within)) {
      attachments.push(part);
    } else if (within === "alternative") {
      if (part.type === "text/plain") {
        if (bodies.text) text.push(part);
      } else if (part.type === "text/html") {
        if (bodies.html) html.push(part);
      } else attachments.push(part);
    } else {
      if (inAlternative && part.type === "text/plain") bodies.html = false;
      if (inAlternative && part.type === "text/html") bodies.text = false;
      if (bodies.text) text.push(part);
      if (bodies.html) html.push(part);
      if ((!bodies.text || !bodies.html) && isMedia(main)) attachments.push(part);
    }
  }
  if (within !== "alternative" || !bodies.text || !bodies.html) return;
  const added = { text: text.slice(before.text), html: html.slice(before.html) };
  // Only the one or the other was found: it is both.
  if (added.text.length === 0) text.push(...added.html);
  if (added.html.length === 0) html.push(...added.text);
}

function isInline(part: EmailBodyPart, index: number, within: string): boolean {
  const [main = ""] = part.type.split("/", 1);
  if (part.disposition === "attachment") return false;
  if (part.type !== "text/plain" && part.type !== "text/html" && !isMedia(main)) return false;
  // Of a multipart/related only the first is a body; a text that has a name is a file.
  return index === 0 || (within !== "related" && (isMedia(main) || part.name === null));
}

function isMedia(type: string): boolean {
  return type === "image" || type === "audio" || type === "video";
}
