/** What the index keeps of a message's parts, and the octets of one part by a range of those that R2 has. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { partAt } from "../../../src/core/mime/structure.ts";
import { readStructure } from "../../../src/core/mime/structure-form.ts";
import { structureOf as structureOfOctets } from "../../../src/core/mime/structure-reader.ts";
import { deleteRaw } from "../../../src/worker/archive/raw.ts";
import { attachment } from "../../../src/worker/archive/read.ts";
import { partOctets, structureOf } from "../../../src/worker/archive/structure.ts";
import type { Env } from "../../../src/worker/env.ts";
import { findMessage, MESSAGE_COLUMNS } from "../../../src/worker/store/messages.ts";
import { store, storeOctets } from "./entry.ts";

const LINES = [
  "Subject: Two",
  'Content-Type: multipart/mixed; boundary="b"',
  "",
  "--b",
  "",
  "text",
  "--b",
  "Content-Type: application/octet-stream; name=x.bin",
  "Content-Transfer-Encoding: base64",
  "",
  "/wAB",
  "--b",
  "Content-Type: message/rfc822",
  "Content-Disposition: attachment; filename=inner.eml",
  "",
  "Subject: inner",
  "",
  "inner text",
  "--b--",
];
const OCTETS = new TextEncoder().encode(LINES.map((line) => `${line}\r\n`).join(""));

async function rowOf(key: string) {
  const id = await env.SHARD_0.prepare("SELECT id FROM message WHERE key = ?1").bind(key).first<number>("id");
  const row = await findMessage(env.SHARD_0, id ?? 0);
  if (!row) throw new Error("the message has no row");
  return row;
}

async function octetsOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const piece of pieces) text += String.fromCharCode(...piece);
  return text;
}

/** The bucket, and the ranges that were asked of it. */
function watched(): { env: Env; ranges: unknown[] } {
  const ranges: unknown[] = [];
  const bucket = new Proxy(env.MAIL, {
    get(target, name) {
      if (name !== "get") return Reflect.get(target, name).bind(target);
      return (key: string, options?: R2GetOptions) => {
        ranges.push(options?.range ?? "all");
        return target.get(key, options ?? {});
      };
    },
  });
  return { env: { ...(env as Env), MAIL: bucket }, ranges };
}

describe("the structure of a stored message", () => {
  it("is in its row, as the octets have it", async () => {
    const row = await rowOf((await store({ account: 1 }, LINES)).key);
    expect(readStructure(row.structure ?? "")).toEqual(structureOfOctets(OCTETS));
  });

  it("is in no list", () => {
    expect(MESSAGE_COLUMNS).not.toContain("structure");
  });

  it("gives an attachment by its range alone", async () => {
    const row = await rowOf((await store({ account: 1 }, LINES)).key);
    const { env, ranges } = watched();
    const found = await attachment(env, row, 0);
    expect(found).toMatchObject({ name: "x.bin", type: "application/octet-stream" });
    expect(new Uint8Array(await new Response(await found?.open()).arrayBuffer())).toEqual(Uint8Array.of(255, 0, 1));
    const part = partAt(structureOfOctets(OCTETS), "2");
    expect(ranges).toEqual([{ offset: part?.bodyFrom, length: 4 }]);
  });

  it.each([
    ["base64", (octets: string) => btoa(octets).replace(/.{76}/g, "$&\r\n")],
    [
      "quoted-printable",
      (octets: string) => octets.replaceAll("=", "=3D").replaceAll("\xf6", "=F6").replaceAll(", ", ",=\r\n "),
    ],
    ["8bit", (octets: string) => octets],
  ])("gives any range of a part in %s, as it is decoded", async (encoding, encode) => {
    const octets = "Zw\xf6lf Boxer, one = 1\r\n".repeat(40);
    const message = `Content-Transfer-Encoding: ${encoding}\r\n\r\n${encode(octets)}`;
    const { key } = await storeOctets(
      { account: 1 },
      Uint8Array.from(message, (one) => one.charCodeAt(0)),
    );
    const { body } = await structureOf(env.MAIL, await rowOf(key));
    expect(body.size).toBe(octets.length);
    for (const [offset, end] of [
      [0, octets.length],
      [0, 1],
      [5, 700],
      [octets.length - 3, octets.length],
      [7, 7],
    ] as const) {
      const range = { offset, length: end - offset };
      expect(await octetsOf(partOctets(env.MAIL, key, body, range))).toBe(octets.slice(offset, end));
    }
  });

  it("gives an attached message whole", async () => {
    const row = await rowOf((await store({ account: 1 }, LINES)).key);
    const found = await attachment(env as Env, row, 1);
    expect(found).toMatchObject({ name: "inner.eml", type: "message/rfc822" });
    expect(await new Response(await found?.open()).text()).toBe("Subject: inner\r\n\r\ninner text");
  });

  it("of a row that is older than it is made of the octets", async () => {
    const { key } = await store({ account: 1 }, LINES);
    await env.SHARD_0.prepare("UPDATE message SET structure = NULL WHERE key = ?1").bind(key).run();
    const row = await rowOf(key);
    expect(row.structure).toBeNull();
    expect(await structureOf(env.MAIL, row)).toEqual(structureOfOctets(OCTETS));
    expect(await new Response(await (await attachment(env as Env, row, 0))?.open()).bytes()).toEqual(
      Uint8Array.of(255, 0, 1),
    );
  });

  it("of a later version is made of the octets", async () => {
    const { key } = await store({ account: 1 }, LINES);
    expect(await structureOf(env.MAIL, { key, structure: '{"v":999}' })).toEqual(structureOfOctets(OCTETS));
  });

  it("that is too long for a row is made of the octets, and the message is stored all the same", async () => {
    const to = Array.from({ length: 4_000 }, (_, n) => `person-number-${n}@example.org`).join(",\r\n ");
    const { key } = await store({ account: 1 }, [`To: ${to}`, "Subject: To everybody", "", "text"]);
    const row = await rowOf(key);
    expect(row.structure).toBeNull();
    const [addressees = ""] = (await structureOf(env.MAIL, row)).envelope.to ?? [];
    expect(addressees.split(",")).toHaveLength(4_000);
  });

  it("of an empty part asks nothing of the store", async () => {
    const { env: watchedEnv, ranges } = watched();
    const empty = structureOfOctets(new TextEncoder().encode("Subject: x\r\n\r\n")).body;
    expect(await octetsOf(partOctets(watchedEnv.MAIL, "nothing", empty))).toBe("");
    expect(ranges).toEqual([]);
  });

  it("says that the octets are gone where they are", async () => {
    const row = await rowOf((await store({ account: 1 }, LINES)).key);
    await deleteRaw(env.MAIL, row.key);
    await expect((await attachment(env as Env, row, 0))?.open()).rejects.toThrow(
      `the octets of ${row.key} are not in the store`,
    );
  });
});
