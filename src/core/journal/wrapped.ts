/** Where in a journal report its text lies, and the message that it is about. Pure. */
import type { MessageStructure, PartStructure } from "../mime/structure.ts";
import { err, ok, type Result } from "../result.ts";

export interface Wrapped {
  /** The text that says who sent it and to whom. */
  readonly text: PartStructure;
  /** The message itself: a part whose body it is, in its transfer encoding. */
  readonly message: PartStructure;
}

/**
 * `multipart/mixed` of text/plain and message/rfc822 (Exchange 2007 and later). Where a rule decrypts, the message is there twice, as
 * it went and in clear: the first is the one that went.
 * @returns what is wrong with it, in words for an administrator
 */
export function findWrapped({ body }: MessageStructure): Result<Wrapped, string> {
  if (body.kind !== "multipart") return err("it has no message attached");
  const [text] = body.parts;
  if (text?.kind !== "leaf" || text.type !== "text" || text.subtype !== "plain")
    return err("its first part is no text");
  const message = body.parts.find(({ type, subtype }) => type === "message" && subtype === "rfc822");
  if (!message || message.bodyTo === message.bodyFrom) return err("it has no message attached");
  return ok({ text, message });
}
