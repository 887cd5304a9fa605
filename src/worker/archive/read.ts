/** A stored message, opened for a person: its header, its text, its HTML made safe, its attachments. */
import { decodeWords } from "postal-mime";
import { joined } from "../../core/mime/joined.ts";
import { type Part as MimePart, PartReader } from "../../core/mime/parts.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import type { Env } from "../env.ts";
import { isAttachment, nameAndType, readMessage } from "./message.ts";
import { MissingOctetsError, octetsOf } from "./octets.ts";
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

export interface OpenedAttachment {
  readonly name: string;
  readonly type: string;
  /** Decoded, exactly; as they come out of the store. */
  readonly octets: ReadableStream<Uint8Array>;
}

/** @returns null where the message has no such part. @throws MissingOctetsError */
export async function attachment(env: Env, message: StoredMessage, n: number): Promise<OpenedAttachment | null> {
  const wanted = new Wanted(n);
  const pieces = piecesOf(octetsOf(env.MAIL, message.key), wanted);
  // Until the part begins there is none to answer with.
  let first: IteratorResult<Uint8Array, void> | null = await pieces.next();
  while (!first.done && !wanted.part) first = await pieces.next();
  if (!wanted.part) return null;
  const described = await nameAndType(wanted.part);
  const octets = new ReadableStream<Uint8Array>({
    async pull(controller) {
      for (;;) {
        const next: IteratorResult<Uint8Array, void> = first ?? (await pieces.next());
        first = null;
        if (next.done) return controller.close();
        if (next.value.length > 0) return controller.enqueue(next.value);
      }
    },
    async cancel() {
      await pieces.return();
    },
  });
  return { ...described, octets };
}

/** The octets of one part, decoded, a piece for each of the message; empty where none are its own. */
async function* piecesOf(octets: AsyncIterable<Uint8Array>, wanted: Wanted): AsyncGenerator<Uint8Array, void> {
  const reader = new PartReader(wanted);
  for await (const chunk of octets) {
    reader.push(chunk);
    yield wanted.take();
    if (wanted.ended) return;
  }
  reader.end();
  yield wanted.take();
}

/** Of all parts, the attachment of a number. */
class Wanted {
  readonly #n: number;
  #count = 0;
  #decoder = transferDecoder("");
  #pieces: Uint8Array[] = [];
  part: MimePart | null = null;
  ended = false;

  constructor(n: number) {
    this.#n = n;
  }

  open(part: MimePart): void {
    if (!isAttachment(part) || this.#count++ !== this.#n) return;
    this.part = part;
    this.#decoder = transferDecoder(part.encoding);
  }

  body(part: MimePart, octets: Uint8Array): void {
    if (part === this.part) this.#pieces.push(this.#decoder.decode(octets).slice());
  }

  close(part: MimePart): void {
    if (part !== this.part) return;
    this.#pieces.push(this.#decoder.end());
    this.ended = true;
  }

  take(): Uint8Array {
    const pieces = this.#pieces;
    this.#pieces = [];
    return joined(pieces);
  }
}
