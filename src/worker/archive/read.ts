/** A stored message, opened for a person: its header, its text, its HTML made safe, its attachments. */
import { decodeWords } from "postal-mime";
import { STORE_TIMEOUT } from "../../core/limits.ts";
import { attachedParts } from "../../core/mime/attached.ts";
import { nameOf } from "../../core/mime/fields.ts";
import { type PartStructure, partAt, type Structure } from "../../core/mime/structure.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { readMessage } from "./message.ts";
import { MissingOctetsError, octetsOf } from "./octets.ts";
import { getRaw, type OctetRange } from "./raw.ts";
import { safeHtml } from "./safe-html.ts";
import { partOctets, structureOf } from "./structure.ts";

export { MissingOctetsError };

export interface StoredMessage {
  /** R2 key. */
  readonly key: string;
  /** Octets in R2. */
  readonly size: number;
  /** As the row has it (core/mime/structure-form.ts); without it the octets are read once more than need be. */
  readonly structure?: string | null;
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
  /** Octets, decoded. */
  readonly size: number;
  readonly inline: boolean;
  readonly contentId: string | null;
}

/** Octets of text that are shown: the longest newsletters have a tenth of it. */
const MAX_TEXT_OCTETS = 4 * 1024 * 1024;
/** Characters of HTML that are made safe. */
const MAX_HTML = 2 * 1024 * 1024;

/** @throws MissingOctetsError where the octets are not in R2 */
export async function openMessage(env: Env, message: StoredMessage): Promise<OpenedMessage> {
  const { header, text, html, attachments } = await readMessage(octetsOf(env.MAIL, message.key), MAX_TEXT_OCTETS);
  const safe = html === null ? null : safeHtml(html.slice(0, MAX_HTML));
  return {
    headers: header.headers.map(({ originalKey, key, value }) => ({
      name: originalKey ?? key,
      value: decodeWords(value),
    })),
    text,
    html: safe?.html ?? null,
    blocked: safe?.blocked ?? 0,
    attachments: attachments.map((part, n) => ({ n, ...part })),
  };
}

export interface OpenedOctets {
  readonly name: string;
  readonly type: string;
  /** Octets, decoded. */
  readonly size: number;
  /**
   * Decoded, exactly; as they come out of the store.
   * @param range within `size`; absent: all
   * @throws MissingOctetsError
   */
  readonly open: (range?: OctetRange) => Promise<ReadableStream<Uint8Array>>;
}

/** The received octets, exactly. */
export function wholeOf({ MAIL }: Env, { key, size }: StoredMessage): OpenedOctets {
  return { name: "message.eml", type: "message/rfc822", size, open: (range) => wholeStream(MAIL, key, range) };
}

async function wholeStream(bucket: R2Bucket, key: string, range?: OctetRange): Promise<ReadableStream<Uint8Array>> {
  const raw = await within(getRaw(bucket, key, range), STORE_TIMEOUT, "R2 get");
  if (!raw) throw new MissingOctetsError(key);
  return raw.body;
}

/**
 * @param n as `attachedParts` counts them, from 0
 * @returns null where the message has no such part. @throws MissingOctetsError
 */
export async function attachment(env: Env, message: StoredMessage, n: number): Promise<OpenedOctets | null> {
  const structure = await structureOf(env.MAIL, message);
  const part = attachedParts(structure)[n]?.part;
  return part ? opened(env, message, structure, part) : null;
}

/**
 * @param path as IMAP numbers it (RFC 9051 §6.4.5.1), such as `2.1`
 * @returns null where the message has no such part, or it is a multipart: that has no octets of its own
 * @throws MissingOctetsError
 */
export async function partOf(env: Env, message: StoredMessage, path: string): Promise<OpenedOctets | null> {
  const structure = await structureOf(env.MAIL, message);
  const part = partAt(structure, path);
  return part && part.kind !== "multipart" ? opened(env, message, structure, part) : null;
}

function opened({ MAIL }: Env, { key }: StoredMessage, { charset }: Structure, part: PartStructure): OpenedOctets {
  return {
    name: nameOf(part, charset) ?? "",
    type: `${part.type}/${part.subtype}`,
    size: part.size,
    open: (range) => streamOf(partOctets(MAIL, key, part, range)),
  };
}

async function streamOf(pieces: AsyncGenerator<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  // Where the octets are gone, that is the answer, not an empty file.
  let first: IteratorResult<Uint8Array, void> | null = await pieces.next();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next: IteratorResult<Uint8Array, void> = first ?? (await pieces.next());
      first = null;
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
