/** The full text of messages that have a row, anew from their octets: the index keeps what can be searched, not what could be copied. */
import { MOVE_READS } from "../../core/limits.ts";
import { OWN } from "../store/numbers.ts";
import { extract, NOTHING } from "./extract.ts";
import { type FullText, fullText } from "./full-text.ts";
import type { Extracted, MessageMeta } from "./meta.ts";
import { MissingOctetsError, octetsOf } from "./octets.ts";

/** A row of `message`, as far as its full text goes. */
export interface TextRow {
  readonly direction: "in" | "out";
  /** In the archive folder; `OWN`: its owner put it into a folder. */
  readonly number: number;
  /** Octets in R2. */
  readonly size: number;
  readonly key: string;
  readonly subject: string;
  readonly preview: string;
  /** JSON of a `MessageMeta`. */
  readonly meta: string;
}

export interface Owner {
  readonly account: number;
  readonly domain: number;
}

/**
 * In the order of `rows`. A message whose octets are not in R2 any more is found by what the index knows of it.
 * @throws where R2 does not answer
 */
export async function textsOf<T extends TextRow>(
  bucket: R2Bucket,
  ownerOf: (row: T) => Owner,
  rows: readonly T[],
): Promise<FullText[]> {
  const texts: FullText[] = [];
  const queue = [...rows.entries()];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, row] = next;
      const meta = JSON.parse(row.meta) as MessageMeta;
      const { direction } = row;
      const { account, domain } = ownerOf(row);
      const extracted = (await extractedOf(bucket, row)) ?? known(row, meta);
      const own = row.number === OWN;
      const { envelope, recipients } = meta;
      texts[index] = fullText({ account, domain, direction, envelope, recipients, extracted, own });
    }
  };
  await Promise.all(Array.from({ length: MOVE_READS }, lane));
  return texts;
}

async function extractedOf(bucket: R2Bucket, { key, size }: TextRow): Promise<Extracted | null> {
  try {
    return await extract(octetsOf(bucket, key), size);
  } catch (error) {
    if (!(error instanceof MissingOctetsError)) throw error;
    console.warn("a message is indexed without its octets, which are not in the store", key);
    return null;
  }
}

const known = ({ subject, preview }: TextRow, meta: MessageMeta): Extracted => ({
  ...NOTHING,
  ...meta,
  hasAttachment: meta.attachments.length > 0,
  subject,
  text: preview,
});
