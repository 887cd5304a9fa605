/** Mail made to break an index: it is stored, indexed by what there is, and found. The row has room for 2 MB. */
import { env } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import { extract } from "../../../src/worker/archive/extract.ts";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { entryOf, NOON } from "../store/stored.ts";

const ACCOUNT = 1;

beforeAll(() => createAccount(env.SHARD_0, ACCOUNT, 1, NOON));

const long = "x".repeat(200_000);
const folded = (item: (n: number) => string, count: number) =>
  Array.from({ length: count }, (_, n) => item(n)).join("\r\n ");
const part = (n: number) =>
  `--b\r\nContent-Type: application/pdf; name="part ${n} ${long.slice(0, 150)}.pdf"\r\nContent-Disposition: attachment\r\n\r\nx\r\n`;

it.each([
  [
    "a million octets of References",
    `References: ${folded((n) => `<${n}.${long.slice(0, 60)}@example.net>`, 12_000)}\r\n\r\nx`,
  ],
  [
    "a References field of one endless identifier",
    `References: <${long.repeat(6)}>\r\nIn-Reply-To: <${long.repeat(4)}>\r\n\r\nx`,
  ],
  [
    "twenty thousand addressees",
    `To: ${folded((n) => `"${long.slice(0, 40)}" <a${n}@example.net>,`, 20_000)}\r\n\r\nx`,
  ],
  [
    "addressees with endless names",
    `To: ${folded((n) => `"${long}" <a${n}@example.net>,`, 9)}\r\nCc: <${long}@example.net>\r\n\r\nx`,
  ],
  ["an endless subject and sender", `Subject: ${long.repeat(4)}\r\nFrom: "${long.repeat(4)}" <a@example.net>\r\n\r\nx`],
  ["an endless Message-ID", `Message-ID: <${long.repeat(8)}>\r\n\r\nx`],
  [
    "ten thousand attachments with long names",
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${Array.from({ length: 10_000 }, (_, n) => part(n)).join("")}--b--\r\n`,
  ],
  ["no header", `\r\n${long}`],
  ["nothing at all", ""],
  ["a NUL in each field", "Subject: a\0b\r\nFrom: c\0d <e\0@example.net>\r\n\r\nf\0g"],
])("%s", async (_what, message) => {
  const octets = new TextEncoder().encode(message);
  const extracted = await extract(octets, octets.length);
  const entry = entryOf(ACCOUNT, { extracted });
  expect(await indexMessage(env.SHARD_0, [entry], { portal: "waiting" })).toMatchObject([
    { isNew: true, key: entry.key },
  ]);
  const size = await env.SHARD_0.prepare(
    "SELECT length(meta) + length(sender) + length(subject) AS n FROM message WHERE key = ?1",
  )
    .bind(entry.key)
    .first<number>("n");
  // A hundred recipients' rows go in one batch.
  expect(size).toBeLessThan(100_000);
});
