/** Octets of mail on their way out: a message or one part of it, whole or a range of it. */
import type { OctetRange } from "../archive/raw.ts";
import { attachment, type OpenedOctets, type StoredMessage, wholeOf } from "../archive/read.ts";
import { octetsHeaders } from "./api/messages.ts";
import type { AppContext } from "./context.ts";
import type { Refuse } from "./guards.ts";
import { notFound } from "./problem.ts";

/** The whole, or the range of it that the request asks for. @throws MissingOctetsError */
export async function octetsResponse(c: AppContext, { type, name, size, open }: OpenedOctets): Promise<Response> {
  const range = rangeOf(c.req.header("range"), size);
  if (range === "outside") {
    return c.body(null, 416, { "content-range": `bytes */${size}`, "cache-control": "no-store" });
  }
  const headers = { ...octetsHeaders(type, name), "accept-ranges": "bytes" };
  if (!range) return c.body(await open(), 200, { ...headers, "content-length": String(size) });
  const { offset, length } = range;
  return c.body(await open(range), 206, {
    ...headers,
    "content-length": String(length),
    "content-range": `bytes ${offset}-${offset + length - 1}/${size}`,
  });
}

/** The received octets, exactly (message/rfc822). */
export const rawResponse = (c: AppContext, message: StoredMessage): Promise<Response> =>
  octetsResponse(c, wholeOf(c.env, message));

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
  return octetsResponse(c, part);
}
