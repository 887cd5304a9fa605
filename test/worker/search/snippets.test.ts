import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { markup } from "../../../src/core/query/highlight.ts";
import { SNIPPET_OCTETS, SNIPPET_READS } from "../../../src/core/query/limits.ts";
import type { Query } from "../../../src/core/query/query.ts";
import { queryOf } from "../../../src/worker/search/asked.ts";
import { type Shown, snippetsOf } from "../../../src/worker/search/snippets.ts";
import { NOON, store } from "../archive/entry.ts";

const asked = (q: string): Query => {
  const query = queryOf({ q }, NOON);
  if (!query.ok) throw new Error(query.error.message);
  return query.value;
};

const FILLER = Array.from({ length: 60 }, () => "lorem ipsum dolor sit amet").join("\r\n");

async function hit(...lines: string[]): Promise<Shown> {
  const { key, extracted } = await store({ account: 1 }, lines);
  return { key, subject: extracted.subject, preview: extracted.preview };
}

/** The store, with what is read of it. */
function watched(bucket: R2Bucket): { readonly bucket: R2Bucket; readonly reads: string[] } {
  const reads: string[] = [];
  const get = (key: string) => {
    reads.push(key);
    return bucket.get(key);
  };
  return { reads, bucket: { get } as unknown as R2Bucket };
}

async function shown(q: string, ...hits: Shown[]): Promise<{ previews: (string | null)[]; reads: string[] }> {
  const { bucket, reads } = watched(env.MAIL);
  const snippets = await snippetsOf(bucket, asked(q), hits);
  return { previews: snippets.map(({ preview }) => preview && markup(preview)), reads };
}

describe("where the words of a search stand in a hit", () => {
  it("is read from its octets where the first lines do not tell", async () => {
    const deep = await hit(
      "Subject: Report",
      "Content-Type: text/html",
      "",
      `<p>${FILLER}</p><p>the <b>needle</b> &lt;x&gt; in it</p>`,
    );
    const { previews, reads } = await shown("needle", deep);
    expect(previews[0]).toContain("the <mark>needle</mark> &lt;x&gt; in it");
    expect(reads).toEqual([deep.key]);
  });

  it("is told by its first lines where they have all of it, without a look at its octets", async () => {
    const near = await hit("Subject: Report", "", "a needle at the beginning");
    expect(await shown("needle report", near)).toEqual({
      previews: ["a <mark>needle</mark> at the beginning"],
      reads: [],
    });
  });

  it("is nowhere in a text that was not searched", async () => {
    const near = await hit("From: needle@example.net", "Subject: Report", "", "no such word");
    expect(await shown("from:needle", near)).toEqual({ previews: [null], reads: [] });
  });

  it("is looked up for so many hits and no more, and for so many octets of each", async () => {
    const far = await hit("Subject: Far", "", `${"lorem ipsum dolor\r\n".repeat(SNIPPET_OCTETS / 19 + 10)}needle`);
    expect((await shown("needle", far)).previews).toEqual([null]);
    const { reads } = await shown("needle", ...Array.from({ length: SNIPPET_READS + 5 }, () => far));
    expect(reads).toHaveLength(SNIPPET_READS);
  });

  it("is left open where the octets are gone, or do not come in time", async () => {
    const gone = await hit("Subject: Gone", "", FILLER, "needle");
    const there = await hit("Subject: There", "", FILLER, "needle");
    await env.MAIL.delete(gone.key);
    expect((await shown("needle", gone, there)).previews).toEqual([
      null,
      expect.stringContaining("<mark>needle</mark>"),
    ]);
    const never = { get: () => new Promise(() => {}) } as unknown as R2Bucket;
    expect(await snippetsOf(never, asked("needle there"), [there])).toEqual([
      { subject: [{ text: "There", hit: true }], preview: null },
    ]);
  });
});
