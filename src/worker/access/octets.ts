/** Octets of mail on their way out: the whole message or a range of it, or one attachment. */

import { getRaw, type OctetRange } from "../archive/raw.ts";
import { attachment, type StoredMessage } from "../archive/read.ts";
import { octetsHeaders } from "./api/messages.ts";
import type { AppContext } from "./context.ts";
import type { Refuse } from "./guards.ts";
import { notFound } from "./problem.ts";

/** The received octets, exactly (message/rfc822). */
export async function rawResponse(c: AppContext, message: StoredMessage, refuse: Refuse): Promise<Response> {
  const asked = rangeOf(c.req.header("range"), message.size);
  if (asked === "outside") {
    return c.body(null, 416, { "content-range": `bytes */${message.size}`, "cache-control": "no-store" });
  }
  const object = await getRaw(c.env.MAIL, message.key, asked ?? undefined);
  if (!object) return refuse(c, notFound("stored copy of this message"));
  const headers = { ...octetsHeaders("message/rfc822", "message.eml"), "accept-ranges": "bytes" };
  if (!asked) return c.body(object.body, 200, { ...headers, "content-length": String(object.size) });
  const { offset, length } = asked;
  return c.body(object.body, 206, {
    ...headers,
    "content-length": String(length),
    "content-range": `bytes ${offset}-${offset + length - 1}/${message.size}`,
  });
}

/**
 * RFC 9110 §14.1.2. One range; several, and what is none, are answered with the whole, as §14.2 allows.
 * @param size octets in all
 */
export function rangeOf(header: string | undefined, size: number): OctetRange | "outside" | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return null;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "outside" : { offset: size - length, length };
  }
  const first = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < first) return null;
  return first >= size ? "outside" : { offset: first, length: last - first + 1 };
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
