/** Messages that their owner puts into a folder, and octets by name. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { phrase } from "../../../src/core/query/query.ts";
import { mendArchive } from "../../../src/worker/archive/mend.ts";
import type { Env } from "../../../src/worker/env.ts";
import { appendMessage, type NewMessage } from "../../../src/worker/mailbox/append.ts";
import { blobId, findBlob, readBlobId } from "../../../src/worker/mailbox/blobs.ts";
import { folderCalled } from "../../../src/worker/mailbox/folders.ts";
import { readFolder, readMessage } from "../../../src/worker/mailbox/reading.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { backlogPage } from "../../../src/worker/store/backlog.ts";
import { DRAFT, readKeywords, SEEN } from "../../../src/worker/store/flags.ts";
import { addDomain } from "../access/client.ts";
import { NOON } from "../store/stored.ts";
import { newMailbox, type TestMailbox } from "./mailbox.ts";

let box: TestMailbox;
beforeAll(() => addDomain("example.org"));
beforeEach(async () => {
  box = await newMailbox();
});

const encoder = new TextEncoder();
async function* inPieces(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += 65_536) yield octets.subarray(at, at + 65_536);
}
const letter = (subject: string, body = "Hello.\r\n") =>
  encoder.encode(
    `From: Ann <ann@example.org>\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@example.org>\r\n\r\n${body}`,
  );
const append = (octets: Uint8Array, more: Partial<NewMessage> = {}) =>
  appendMessage(
    box,
    {
      folder: box.junk,
      octets: inPieces(octets),
      size: octets.length,
      flags: SEEN,
      keywords: [],
      internalAt: null,
      request: null,
      domainId: 1,
      ...more,
    },
    NOON,
  );
async function idOf(result: ReturnType<typeof append>): Promise<number> {
  const got = await result;
  if (!got.ok) throw new Error(got.error.reason);
  return got.value.id;
}
const inJunk = () => readFolder(box, { id: box.junk, role: "junk" }, { order: "oldest", deleted: true, limit: 100 });
const textOf = async (octets: ReadableStream<Uint8Array>) => new Response(octets).text();

describe("a message that its owner puts into a folder", () => {
  it("is there with its flags, its keywords, its date and its octets", async () => {
    const octets = letter("draft");
    const at = Date.UTC(2020, 1, 2);
    const id = await idOf(append(octets, { flags: DRAFT, keywords: ["b", "a"], internalAt: at }));
    const row = await readMessage(box, id);
    expect(row).toMatchObject({
      folder: box.junk,
      subject: "draft",
      flags: DRAFT,
      internalAt: at,
      waiting: null,
      size: octets.length,
    });
    expect(readKeywords(row?.keywords ?? null)).toEqual(["a", "b"]);
    const blob = await findBlob(box, { account: box.account, message: row?.message ?? 0, section: null });
    expect(await textOf((await blob?.open()) ?? new ReadableStream())).toBe(new TextDecoder().decode(octets));
  });

  it("may be larger than what is held in memory", async () => {
    const octets = letter("large", `${"x".repeat(998)}\r\n`.repeat(2_000));
    const id = await idOf(append(octets));
    const row = await readMessage(box, id);
    const stored = await env.MAIL.get(row?.key ?? "");
    expect(new Uint8Array((await stored?.arrayBuffer()) ?? new ArrayBuffer())).toEqual(octets);
  });

  it("is in no archive, no backlog and nobody's search of a domain, and its octets are not taken for mail that came", async () => {
    await idOf(append(letter("private")));
    expect((await folderCalled(box, "archive"))?.messages).toBe(0);
    expect((await backlogPage(env.SHARD_0, 1, null, 100)).filter(({ account }) => account === box.account)).toEqual([]);
    for (const scope of [
      { kind: "domain", domainId: 1 },
      { kind: "account", account: box.account, shard: 0 },
    ] as const) {
      expect((await searchArchive(env as Env, scope, phrase(["subject"], "private"), null, 10))?.items).toEqual([]);
    }
    // Without their row, as after a crash.
    await env.SHARD_0.prepare("DELETE FROM message WHERE account = ?1").bind(box.account).run();
    expect(await mendArchive(env as Env, NOON + 3600_000)).toEqual({ mended: 0, failed: 0 });
  });

  it("is stored once by a request that is repeated, and its spare octets go", async () => {
    const octets = letter("once");
    const first = await idOf(append(octets, { request: "r1" }));
    const objects = (await env.MAIL.list()).objects.length;
    expect(await append(octets, { request: "r1" })).toEqual({ ok: true, value: { id: first, isNew: false } });
    expect((await env.MAIL.list()).objects.length).toBe(objects);
    expect(await inJunk()).toHaveLength(1);
    expect(await append(letter("once", "Another one.\r\n"), { request: "r1" })).toMatchObject({
      error: { reason: "request_reused" },
    });
    await idOf(append(octets, { request: "r2" }));
    await idOf(append(octets));
    expect(await inJunk()).toHaveLength(3);
  });

  it("is not stored where fewer octets come than were announced, nor in the archive, nor in a folder of somebody else", async () => {
    const octets = letter("short");
    await expect(append(octets, { size: octets.length + 1 })).rejects.toThrow("octets came of");
    expect(await append(octets, { folder: box.archive })).toMatchObject({ error: { reason: "read_only" } });
    expect(await append(octets, { folder: (await newMailbox()).junk })).toMatchObject({
      error: { reason: "no_folder" },
    });
    expect(await inJunk()).toEqual([]);
  });

  it("goes into the inbox where its folder is deleted at that moment: it is not lost", async () => {
    const db = new Proxy(env.SHARD_0, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (name !== "batch" || typeof value !== "function")
          return typeof value === "function" ? value.bind(target) : value;
        return async (statements: D1PreparedStatement[]) => {
          if (statements.length > 3)
            await target.prepare("UPDATE folder SET gone = 1 WHERE id = ?1").bind(box.junk).run();
          return target.batch(statements);
        };
      },
    });
    const result = await appendMessage(
      { ...box, db },
      {
        folder: box.junk,
        octets: inPieces(letter("race")),
        size: letter("race").length,
        flags: 0,
        keywords: [],
        internalAt: null,
        request: null,
        domainId: 1,
      },
      NOON,
    );
    expect(result).toMatchObject({ ok: true });
    expect((await readMessage(box, result.ok ? result.value.id : 0))?.folder).toBe(box.inbox);
  });
});

describe("octets by name", () => {
  const MIXED = [
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    "Content-Type: multipart/alternative; boundary=c",
    "",
    "--c",
    "Content-Type: text/plain",
    "",
    "plain",
    "--c",
    "Content-Type: text/html",
    "Content-Transfer-Encoding: base64",
    "",
    "PGI+aHRtbDwvYj4=",
    "--c--",
    "--b",
    "Content-Type: message/rfc822",
    "",
    "Subject: inner",
    "Content-Type: multipart/mixed; boundary=d",
    "",
    "--d",
    "",
    "first of the inner",
    "--d",
    "Content-Type: application/octet-stream; name=x.bin",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "a=3Db",
    "--d--",
    "--b--",
    "",
  ].join("\r\n");

  it.each([
    ["1.1", "text/plain", "plain"],
    ["1.2", "text/html", "<b>html</b>"],
    ["2.1", "text/plain", "first of the inner"],
    ["2.2", "application/octet-stream", "a=b"],
  ])("give part %s as IMAP numbers it, decoded", async (section, type, text) => {
    const row = await readMessage(box, await idOf(append(encoder.encode(MIXED))));
    const name = blobId({ account: box.account, message: row?.message ?? 0, section });
    const parsed = readBlobId(name);
    expect(parsed).toEqual({ account: box.account, message: row?.message, section });
    const blob = parsed && (await findBlob(box, parsed));
    expect(await textOf((await blob?.open()) ?? new ReadableStream())).toBe(text);
    expect(blob?.type || "text/plain").toBe(type);
  });

  it("give a range of the whole, and nothing of another mailbox or of a part that is not there", async () => {
    const octets = letter("range");
    const row = await readMessage(box, await idOf(append(octets)));
    const name = { account: box.account, message: row?.message ?? 0, section: null };
    const some = await findBlob(box, name);
    expect(await textOf((await some?.open({ offset: 6, length: 3 })) ?? new ReadableStream())).toBe("Ann");
    const other = await newMailbox();
    expect(await findBlob(other, name)).toBeNull();
    expect(await findBlob(other, { ...name, account: other.account })).toBeNull();
    expect(await findBlob(box, { ...name, section: "7" })).toBeNull();
    for (const odd of ["", "m", "m1", "m1-2-0", "m1-2-1__2", "x1-2", "m1-2-1_"]) expect(readBlobId(odd)).toBeNull();
  });
});
