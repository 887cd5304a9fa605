/** A stored message, opened for a person: its header, its text, its HTML made safe, its attachments. */
import PostalMime, { decodeWords, type Email } from "postal-mime";
import type { Env } from "../env.ts";
import { htmlToText } from "./html-text.ts";
import { MissingOctetsError, octetsOf } from "./octets.ts";
import { reduce } from "./reduce.ts";
import { safeHtml } from "./safe-html.ts";

export { MissingOctetsError };

export interface StoredMessage {
  /** R2 key. */
  readonly key: string;
  /** Octets in R2. */
  readonly size: number;
}

export interface OpenedMessage {
  /** Every field in its order, decoded. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly text: string;
  /** Safe to show; null where there is none. */
  readonly html: string | null;
  /** What would have loaded from elsewhere. */
  readonly blocked: number;
  readonly attachments: readonly Part[];
}

export interface Part {
  /** Its number in the message, from 0. */
  readonly n: number;
  readonly name: string;
  readonly type: string;
  /** Octets, decoded; of a message over MAX_WHOLE perhaps fewer than there are. */
  readonly size: number;
  readonly inline: boolean;
  readonly contentId: string | null;
}

/** A larger one is parsed without its bulk: parsing takes several times the memory. */
const MAX_WHOLE = 10 * 1024 * 1024;
/** Characters of HTML that are made safe and shown: the longest newsletters have a tenth of it. */
const MAX_HTML = 2 * 1024 * 1024;

/** @throws MissingOctetsError where the octets are not in R2 */
export async function openMessage(env: Env, message: StoredMessage): Promise<OpenedMessage> {
  const email = await parse(env, message, message.size > MAX_WHOLE);
  const html = email.html?.slice(0, MAX_HTML);
  const safe = html === undefined ? null : safeHtml(html);
  return {
    headers: email.headers.map(({ originalKey, key, value }) => ({
      name: originalKey ?? key,
      value: decodeWords(value),
    })),
    text: email.text ?? (html === undefined ? "" : htmlToText(html)),
    html: safe?.html ?? null,
    blocked: safe?.blocked ?? 0,
    attachments: email.attachments.map((part, n) => ({
      n,
      name: part.filename ?? "",
      type: part.mimeType,
      size: asOctets(part.content).length,
      inline: part.disposition === "inline" || part.related === true,
      contentId: part.contentId?.replace(/^<|>$/g, "") ?? null,
    })),
  };
}

/** @returns null where the message has no such part */
export async function attachment(
  env: Env,
  message: StoredMessage,
  n: number,
): Promise<{ readonly name: string; readonly type: string; readonly bytes: Uint8Array<ArrayBuffer> } | null> {
  const part = (await parse(env, message, false)).attachments[n];
  return part ? { name: part.filename ?? "", type: part.mimeType, bytes: asOctets(part.content) } : null;
}

async function parse(env: Env, { key }: StoredMessage, reduced: boolean): Promise<Email> {
  const octets = await reduce(octetsOf(env.MAIL, key), !reduced);
  try {
    return await PostalMime.parse(octets, { attachmentEncoding: "arraybuffer" });
  } catch (error) {
    // Deeper nested or larger in its header than the parser takes: shown as what it is, octets.
    console.warn("a message could not be parsed for showing", key, String(error));
    return {
      headers: [],
      headerLines: [],
      attachments: [],
      text: new TextDecoder("windows-1252").decode(octets.subarray(0, 65_536)),
    } as unknown as Email;
  }
}

function asOctets(content: ArrayBuffer | Uint8Array | string): Uint8Array<ArrayBuffer> {
  const octets = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const copy = new Uint8Array(octets.byteLength);
  copy.set(octets instanceof ArrayBuffer ? new Uint8Array(octets) : octets);
  return copy;
}
