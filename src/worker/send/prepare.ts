/**
 * A message as a person's program brings it, made ready to go (RFC 6409 §8): blind copies go, a missing Date and Message-ID come,
 * lines end in CRLF. All else stays as it is.
 */

import { MAX_BUFFERED_BYTES } from "../../core/limits.ts";
import { type Header, messageIdOf } from "../../core/mime/header.ts";
import { joined } from "../../core/mime/joined.ts";
import { rfc5322Date } from "../../core/mime/trace.ts";
import { BareLines } from "../../core/protocol/smtp/bare-lines.ts";
import { once } from "../archive/octets.ts";
import { type Content, openContent } from "../receive/content.ts";
import type { MessageSource } from "../receive/contract.ts";

export interface Prepared extends MessageSource {
  /** As it came, blind copies too. */
  readonly header: Header;
}

/** Never to be seen by recipients, or only to be written by the last server (RFC 5322 §3.6.3, RFC 5321 §4.4). */
const TAKEN_OUT = new Set(["bcc", "resent-bcc", "return-path"]);
const CR = 0x0d;
const LF = 0x0a;
const encoder = new TextEncoder();

/** A line of a large message does not end in CRLF: it goes by as it comes, and would not have the length that was announced. */
export class LineEndsError extends Error {
  override readonly name = "LineEndsError";
}

/**
 * @param messageId for a message that has none, without angle brackets
 * @param now unix milliseconds
 * @throws SizeMismatchError; from its octets, LineEndsError
 */
export async function prepare(source: MessageSource, messageId: string, now: number): Promise<Prepared> {
  const content = await openContent(source.size <= MAX_BUFFERED_BYTES ? await withCrlf(source) : source);
  const { header, size } = content;
  const missing = [
    ...(messageIdOf(header) === null ? [`Message-ID: <${messageId}>\r\n`] : []),
    ...(header.fields.some(({ name }) => name === "date") ? [] : [`Date: ${rfc5322Date(now)}\r\n`]),
  ];
  const added = encoder.encode(missing.join(""));
  const kept = header.fields.filter((field) => !isTakenOut(field, header));
  const gone = header.fields
    .filter((field) => !kept.includes(field))
    .reduce((sum, { start, end }) => sum + end - start, 0);
  return { header, chunks: changed(content, added, kept), size: size + added.length - gone };
}

/** A Message-ID that is none gives way to ours. */
function isTakenOut({ name }: Header["fields"][number], header: Header): boolean {
  return TAKEN_OUT.has(name) || (name === "message-id" && messageIdOf(header) === null);
}

async function* changed(
  { header, chunks, whole }: Content,
  added: Uint8Array,
  kept: Header["fields"],
): AsyncGenerator<Uint8Array> {
  const lines = new BareLines();
  let first = true;
  for await (const chunk of chunks) {
    if (!whole && lines.look(chunk)) throw new LineEndsError("a line does not end in CRLF");
    if (!first) {
      yield chunk;
      continue;
    }
    first = false;
    // The header is all in the first chunk (receive/content.ts).
    const fields = kept.map(({ start, end }) => chunk.subarray(start, end));
    yield joined([added, ...fields, chunk.subarray(header.fields.at(-1)?.end ?? 0)]);
  }
}

/** A small message is held whole, so its line ends can be mended: programs write LF. */
async function withCrlf({ chunks, size }: MessageSource): Promise<MessageSource> {
  const pieces: Uint8Array[] = [];
  for await (const piece of chunks) pieces.push(piece);
  const all = joined(pieces);
  // What is not as long as was announced is found out by whoever opens it.
  const lines = new BareLines();
  lines.look(all);
  const mended = lines.end() && all.length === size ? mend(all) : all;
  return { size: mended === all ? size : mended.length, chunks: once(mended) };
}

function mend(octets: Uint8Array): Uint8Array {
  const out = new Uint8Array(octets.length * 2);
  let length = 0;
  for (const [at, octet] of octets.entries()) {
    if (octet === LF && octets[at - 1] === CR) continue;
    if (octet === CR || octet === LF) out[length++] = CR;
    out[length++] = octet === CR ? LF : octet;
  }
  return out.subarray(0, length);
}
