/** Octets of mail on their way out: the whole message, or one attachment. */

import { getRaw } from "../archive/raw.ts";
import { attachment, type StoredMessage } from "../archive/read.ts";
import { octetsHeaders } from "./api/messages.ts";
import type { AppContext } from "./context.ts";
import type { Refuse } from "./guards.ts";
import { notFound } from "./problem.ts";

/** The received octets, exactly (message/rfc822). */
export async function rawResponse(c: AppContext, message: StoredMessage, refuse: Refuse): Promise<Response> {
  const object = await getRaw(c.env.MAIL, message.key);
  if (!object) return refuse(c, notFound("stored copy of this message"));
  return c.body(object.body, 200, {
    ...octetsHeaders("message/rfc822", "message.eml"),
    "content-length": String(object.size),
  });
}

/** @param n as it stands in the path: the attachment's number in the opened message */
export async function attachmentResponse(
  c: AppContext,
  message: StoredMessage,
  n: string,
  refuse: Refuse,
): Promise<Response> {
  const part = /^\d{1,4}$/.test(n) ? await attachment(c.env, message, Number(n)) : null;
  if (!part) return refuse(c, notFound("such attachment"));
  return c.body(part.octets, 200, octetsHeaders(part.type, part.name));
}
