/** The full text of messages, anew from their octets: the index keeps what can be searched, not what could be copied. */
import { MOVE_READS } from "../../core/limits.ts";
import { extract } from "../archive/extract.ts";
import { fullText } from "../archive/index.ts";
import type { MessageMeta } from "../archive/meta.ts";
import { MissingOctetsError, octetsOf } from "../archive/octets.ts";
import { OWN } from "../store/numbers.ts";
import type { MessageRow } from "./contract.ts";
import type { FullText } from "./target.ts";

/**
 * In the order of `rows`. A message whose octets are not in R2 any more is found by what the index knows of it.
 * @throws where R2 does not answer
 */
export async function textsOf(
  bucket: R2Bucket,
  { account, domain }: { readonly account: number; readonly domain: number },
  rows: readonly MessageRow[],
): Promise<FullText[]> {
  const texts: FullText[] = [];
  const queue = [...rows.entries()];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, row] = next;
      const meta = JSON.parse(row.meta) as MessageMeta;
      const text = await bodyOf(bucket, row);
      const extracted = { ...meta, subject: row.subject, text: text ?? row.preview };
      texts[index] = fullText({
        account,
        domain,
        direction: row.direction,
        envelope: meta.envelope,
        extracted,
        own: row.number === OWN,
      });
    }
  };
  await Promise.all(Array.from({ length: MOVE_READS }, lane));
  return texts;
}

async function bodyOf(bucket: R2Bucket, { key, size }: MessageRow): Promise<string | null> {
  try {
    return (await extract(octetsOf(bucket, key), size)).text;
  } catch (error) {
    if (!(error instanceof MissingOctetsError)) throw error;
    console.warn("a message moves without its octets, which are not in the store", key);
    return null;
  }
}
