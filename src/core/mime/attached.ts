/** What of a message is its text, and what came with it, for people who read the mail. */
import type { MessageStructure, PartStructure } from "./structure.ts";

export interface AttachedPart {
  readonly part: PartStructure;
  /** It belongs to the text: a picture in it. */
  readonly inline: boolean;
}

/** What is handed out whole, in the order in which it lies: all that is not text, and messages that are attached. */
export function attachedParts(message: MessageStructure): AttachedPart[] {
  return attachedWithin(message.body, { report: false, related: false });
}

/** What the part stands in. */
interface Around {
  readonly report: boolean;
  readonly related: boolean;
}

function attachedWithin(part: PartStructure, around: Around): AttachedPart[] {
  if (part.kind === "multipart") {
    const inside = { report: part.subtype === "report", related: around.related || part.subtype === "related" };
    return part.parts.flatMap((one) => attachedWithin(one, inside));
  }
  if (part.message && !isApart(part, around.report)) {
    return attachedWithin(part.message.body, { report: false, related: around.related });
  }
  if (part.kind === "leaf" && isText(part.type, part.subtype, part.disposition?.value)) return [];
  const { disposition, id } = part;
  return [{ part, inline: disposition?.value === "inline" || (id !== null && around.related) }];
}

/** A message that is attached, or a report's evidence (RFC 6522 §3), is not read as a part of the message around it. */
function isApart({ disposition }: PartStructure, report: boolean): boolean {
  return disposition?.value === "attachment" || report;
}

export function isText(type: string, subtype: string, disposition: string | undefined): boolean {
  return type === "text" && (subtype === "plain" || subtype === "html") && disposition !== "attachment";
}
