/** The octets of a message as they come in: the header is looked at, the digest is taken, nothing is changed. */

import { createHash, type Hash } from "node:crypto";
import { MAX_BUFFERED_BYTES, MAX_HEADER_BYTES } from "../../core/limits.ts";
import { type Header, lastHopTraceEnd, readHeader } from "../../core/mime/header.ts";
import { once } from "../archive/octets.ts";
import type { MessageSource } from "./contract.ts";

export interface Content {
  readonly size: number;
  readonly header: Header;
  /** All octets of a small message; null for one that streams. */
  readonly whole: Uint8Array<ArrayBuffer> | null;
  /** All octets from the first on, once. A source that breaks off throws. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** SHA-256 of the octets below the trace block of the last hop (core/once.ts); of one that streams, when all was read. */
  digest(): Uint8Array;
}

/** The number of octets is not what was announced: what there is must not be taken for the message. */
export class SizeMismatchError extends Error {
  override readonly name = "SizeMismatchError";
}

/** Reads a small message whole, of a large one the header, at most MAX_HEADER_BYTES. */
export async function openContent(source: MessageSource): Promise<Content> {
  const iterator = exactly(source)[Symbol.asyncIterator]();
  const ahead = source.size <= MAX_BUFFERED_BYTES ? Number.POSITIVE_INFINITY : MAX_HEADER_BYTES;
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < ahead) {
    const next = await iterator.next();
    if (next.done) break;
    parts.push(next.value);
    length += next.value.length;
  }
  const first = concat(parts, length);
  const header = readHeader(first.subarray(0, MAX_HEADER_BYTES));
  const hash = new BelowTrace(header);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    hash.update(first);
    yield first;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      hash.update(next.value);
      yield next.value;
    }
  }
  if (ahead === MAX_HEADER_BYTES) {
    return { size: source.size, header, whole: null, chunks: chunks(), digest: () => hash.digest() };
  }
  hash.update(first);
  return { size: source.size, header, whole: first, chunks: once(first), digest: () => hash.digest() };
}

class BelowTrace {
  readonly #hash: Hash = createHash("sha256");
  #skip: number;
  #digest: Uint8Array | null = null;

  constructor(header: Header) {
    this.#skip = lastHopTraceEnd(header);
  }

  update(chunk: Uint8Array): void {
    const from = Math.min(this.#skip, chunk.length);
    this.#skip -= from;
    this.#hash.update(chunk.subarray(from));
  }

  digest(): Uint8Array {
    this.#digest ??= this.#hash.digest();
    return this.#digest;
  }
}

async function* exactly(source: MessageSource): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of source.chunks) {
    seen += chunk.length;
    if (seen > source.size) break;
    yield chunk;
  }
  if (seen !== source.size) {
    throw new SizeMismatchError(`${source.size} octets were announced, ${seen > source.size ? "more" : seen} came`);
  }
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
