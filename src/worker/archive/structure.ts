/** The structure of a stored message, and the octets of one of its parts by a range of what R2 has. */
import type { PartStructure, Structure } from "../../core/mime/structure.ts";
import { readStructure } from "../../core/mime/structure-form.ts";
import { StructureReader } from "../../core/mime/structure-reader.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import { octetsOf } from "./octets.ts";
import type { OctetRange } from "./raw.ts";

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
 * @param range of the decoded octets, within the part's size; absent: all. What is not encoded is read from there; of an encoded part what comes before is
 * read too, and what comes after is not
 * @throws MissingOctetsError; DeadlineError where R2 does not answer
 */
export async function* partOctets(
  bucket: R2Bucket,
  key: string,
  { kind, encoding, bodyFrom, bodyTo, size }: PartStructure,
  range: OctetRange = { offset: 0, length: size },
): AsyncGenerator<Uint8Array> {
  const decoder = transferDecoder(kind === "leaf" ? (encoding ?? "") : "");
  if (bodyTo === bodyFrom || range.length === 0) return;
  if (decoder.isIdentity) {
    yield* octetsOf(bucket, key, { offset: bodyFrom + range.offset, length: range.length });
    return;
  }
  let [skip, left] = [range.offset, range.length];
  const wanted = (decoded: Uint8Array): Uint8Array => {
    const piece = decoded.subarray(skip, skip + left);
    skip = Math.max(0, skip - decoded.length);
    left -= piece.length;
    return piece;
  };
  for await (const octets of octetsOf(bucket, key, { offset: bodyFrom, length: bodyTo - bodyFrom })) {
    const piece = wanted(decoder.decode(octets));
    if (piece.length > 0) yield piece;
    if (left === 0) return;
  }
  const rest = wanted(decoder.end());
  if (rest.length > 0) yield rest;
}
