/** What of a hit is shown: where the words stand in it. The index has no text to show, so it is read from the octets in R2. */

import { excerpt, hasAll, highlighted, needlesOf, type Piece } from "../../core/query/highlight.ts";
import { SNIPPET_OCTETS, SNIPPET_READS, SNIPPET_TIME } from "../../core/query/limits.ts";
import type { Query } from "../../core/query/query.ts";
import { readMessage } from "../archive/message.ts";
import { octetsOf } from "../archive/octets.ts";

/** Null: what was looked for is not there, or nothing was looked for. */
export interface Snippet {
  readonly subject: readonly Piece[] | null;
  readonly preview: readonly Piece[] | null;
}

export interface Shown {
  /** R2 key. */
  readonly key: string;
  readonly subject: string;
  readonly preview: string;
}

/** UTF-16 units; RFC 8621 §5 allows 255 octets, which this is in most scripts. */
const LENGTH = 160;

/**
 * In the order of the hits. Only the first ones are looked up in R2, within a time of their own: a page of hits must not wait for what
 * only makes it nicer. The others have what their preview tells.
 */
export async function snippetsOf(bucket: R2Bucket, query: Query, hits: readonly Shown[]): Promise<Snippet[]> {
  const inSubject = needlesOf(query, ["subject"]);
  const inBody = needlesOf(query, ["body"]);
  const snippets = hits.map(
    ({ subject, preview }): Snippet => ({
      subject: highlighted(subject, inSubject),
      preview: excerpt(preview, inBody, LENGTH),
    }),
  );
  if (inBody.length === 0) return snippets;
  const wanted = [...hits.entries()]
    .filter(([, { subject, preview }]) => !hasAll(`${subject}\n${preview}`, inBody))
    .slice(0, SNIPPET_READS);
  let over = false;
  const lane = async (): Promise<void> => {
    for (let next = wanted.shift(); next && !over; next = wanted.shift()) {
      const [index, { key }] = next;
      const text = await textOf(bucket, key);
      const preview = text === null ? null : excerpt(text, inBody, LENGTH);
      const known = snippets[index];
      if (preview && known && !over) snippets[index] = { ...known, preview };
    }
  };
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SNIPPET_TIME);
  });
  await Promise.race([Promise.all(Array.from({ length: 4 }, lane)), late]);
  clearTimeout(timer);
  over = true;
  return snippets;
}

/** The text of what is read of it; null where there is nothing to be read. */
async function textOf(bucket: R2Bucket, key: string): Promise<string | null> {
  try {
    return (await readMessage(upTo(octetsOf(bucket, key), SNIPPET_OCTETS), SNIPPET_OCTETS)).text;
  } catch (error) {
    // The hit is shown without it; whoever opens the message hears what is wrong.
    console.warn("a hit has no snippet", key, String(error));
    return null;
  }
}

async function* upTo(octets: AsyncIterable<Uint8Array>, most: number): AsyncGenerator<Uint8Array> {
  let left = most;
  for await (const piece of octets) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}
