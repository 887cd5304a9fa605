/** The structure of a stored message, and the octets of one of its parts by a range of what R2 has. */
import type { PartStructure, Structure } from "../../core/mime/structure.ts";
import { readStructure } from "../../core/mime/structure-form.ts";
import { StructureReader } from "../../core/mime/structure-reader.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import { octetsOf } from "./octets.ts";

/** @throws MissingOctetsError; DeadlineError where R2 does not answer */
export async function structureOf(
  bucket: R2Bucket,
  { key, structure }: { readonly key: string; readonly structure?: string | null },
): Promise<Structure> {
  const known = structure ? readStructure(structure) : null;
  if (known) return known;
  // The row is older than the column, or had no room for it.
  const reader = new StructureReader();
  for await (const piece of octetsOf(bucket, key)) reader.push(piece);
  return reader.end();
}

/**
 * The body of a part, out of its transfer encoding; a message or a multipart has none. Pieces as they come from the store.
 * @throws MissingOctetsError; DeadlineError where R2 does not answer
 */
export async function* partOctets(
  bucket: R2Bucket,
  key: string,
  { kind, encoding, bodyFrom, bodyTo }: PartStructure,
): AsyncGenerator<Uint8Array> {
  const decoder = transferDecoder(kind === "leaf" ? (encoding ?? "") : "");
  if (bodyTo === bodyFrom) return;
  for await (const piece of octetsOf(bucket, key, { offset: bodyFrom, length: bodyTo - bodyFrom })) {
    const decoded = decoder.decode(piece);
    if (decoded.length > 0) yield decoded;
  }
  const rest = decoder.end();
  if (rest.length > 0) yield rest;
}
