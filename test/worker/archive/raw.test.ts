/** The raw store: exactly the octets that came, or no object at all. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import {
  getRaw,
  keepKey,
  metadataOf,
  newKey,
  openRawWriter,
  putRaw,
  type RawMetadata,
} from "../../../src/worker/archive/raw.ts";

const NOW = Date.UTC(2026, 10, 24, 23, 59, 59);

const facts = (envelope: Partial<RawMetadata> = {}): RawMetadata => ({
  receipt: {
    id: newKey(NOW).id,
    at: NOW,
    host: "mx.holdfast.test",
    client: { ip: "2001:db8::1", helo: "mx.example.net", protocol: "ESMTPS" },
  },
  direction: "in",
  domain: "example.org",
  from: "",
  recipients: ["Ann+tag@Example.org"],
  body: "8BITMIME",
  smtputf8: false,
  ...envelope,
});

const octetsOf = async (key: string) => {
  const object = await getRaw(env.MAIL, key);
  return object && new Uint8Array(await object.arrayBuffer());
};

/** Every octet there is, a bare CR and LF, and no line end at the end. */
const OCTETS = Uint8Array.from({ length: 3 * 1024 * 1024 + 7 }, (_, n) => (n * 31 + (n >> 8)) & 0xff);

async function stream(key: string, size: number, octets: Uint8Array, bucket = env.MAIL): Promise<void> {
  const writer = openRawWriter(bucket, key, size, facts());
  for (let at = 0; at < octets.length; at += 65_521) await writer.write(octets.subarray(at, at + 65_521));
  await writer.finish();
}

describe("the key of an object", () => {
  it("has the hour of its receipt, in UTC, and the receipt's identifier", () => {
    const { key, id } = newKey(NOW);
    expect(key).toBe(`archive/2026-11-24/23/${id}`);
    expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(newKey(NOW).key).not.toBe(key);
  });

  it("of what the portal keeps is out of the archive's rule, and the same each time", () => {
    const { key, id } = newKey(NOW);
    expect(keepKey(key)).toBe(`mail/${id}`);
    expect(keepKey(keepKey(key))).toBe(`mail/${id}`);
  });
});

describe("octets", () => {
  it("of a small message lie there as they came", async () => {
    const { key } = newKey(NOW);
    await putRaw(env.MAIL, key, OCTETS.subarray(0, 1000), facts());
    expect(await octetsOf(key)).toEqual(OCTETS.slice(0, 1000));
  });

  it("of a large message lie there as they came", { timeout: 60_000 }, async () => {
    const { key } = newKey(NOW);
    await stream(key, OCTETS.length, OCTETS);
    expect(await octetsOf(key)).toEqual(OCTETS);
  });

  it.each([-1, 1])("that are %i more than was announced make no object", async (more) => {
    const { key } = newKey(NOW);
    await expect(stream(key, OCTETS.length - more, OCTETS)).rejects.toThrow();
    expect(await octetsOf(key)).toBeNull();
  });

  it("of a sender that went away make no object", async () => {
    const { key } = newKey(NOW);
    const writer = openRawWriter(env.MAIL, key, OCTETS.length, facts());
    await writer.write(OCTETS.subarray(0, 1000));
    writer.abort();
    await expect(writer.finish()).rejects.toThrow();
    expect(await octetsOf(key)).toBeNull();
  });

  it("that the store does not take are an error, not a wait", async () => {
    const full = { put: async () => Promise.reject(new Error("the store is full")) } as unknown as R2Bucket;
    await expect(stream("archive/none", OCTETS.length, OCTETS, full)).rejects.toThrow("the store is full");
  });
});

describe("the envelope beside the octets", () => {
  it.each<[string, Partial<RawMetadata>]>([
    ["of a bounce", { from: "", recipients: ["ann@example.org"] }],
    [
      "with alias, plus-tag and case",
      { from: "A@Example.net", recipients: ["Info+x@EXAMPLE.org", '"a \\"b"@example.org'] },
    ],
    ["in UTF-8", { from: "jürgen@example.net", recipients: ["δοκιμή@example.org"], smtputf8: true }],
    ["that only looks like what is not ASCII", { from: "u:x@example.net" }],
    ["that was to go to the portal, and waits for some", { goesTo: "portal", waiting: ["0:1", "3:12"] }],
    ["of what was sent", { direction: "out", body: "7BIT" }],
  ])("%s is read back as it was", async (_what, envelope) => {
    const { key } = newKey(NOW);
    const metadata = facts(envelope);
    await putRaw(env.MAIL, key, OCTETS.subarray(0, 10), metadata);
    const object = await env.MAIL.head(key);
    expect(object && metadataOf(object)).toEqual(metadata);
    // R2 counts what is beyond ASCII otherwise, or does not take it.
    for (const value of Object.values(object?.customMetadata ?? {})) expect(value).toMatch(/^[ -~]*$/);
  });
});
