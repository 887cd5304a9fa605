/** The header of a message that goes by: read ahead, and then handed on with the rest. */
import { MAX_HEADER_BYTES } from "../../core/limits.ts";
import { mailboxes } from "../../core/mime/addresses.ts";
import { type Header, readHeader } from "../../core/mime/header.ts";
import { joined } from "../../core/mime/joined.ts";
import type { MessageSource } from "../receive/contract.ts";

/** @throws what the source throws */
export async function withHeader(source: MessageSource): Promise<{ header: Header; source: MessageSource }> {
  const iterator = source.chunks[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  let header = readHeader(new Uint8Array(0));
  for (let length = 0; !header.complete && length < MAX_HEADER_BYTES; ) {
    const next = await iterator.next();
    if (next.done) break;
    pieces.push(next.value);
    length += next.value.length;
    header = readHeader(joined(pieces));
  }
  const first = joined(pieces);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    if (first.length > 0) yield first;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  return { header, source: { size: source.size, chunks: chunks() } };
}

/** Who wrote it: the addresses of every From. */
export function authorsOf(header: Header): string[] {
  const fields = header.fields.filter(({ name }) => name === "from");
  return fields.flatMap(({ value }) => mailboxes(value, null)).map(({ address }) => address);
}
