import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import { ANYWHERE, phrase } from "../../../src/core/query/query.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { NOON, store } from "../archive/entry.ts";
import { reindex } from "../archive/lost-shard.ts";

const found = async (account: number, word: string): Promise<string[]> => {
  const scope = { kind: "account", account, shard: 0 } as const;
  const page = await searchArchive(env, scope, phrase(ANYWHERE, word), null, 200);
  return page?.items.map(({ subject }) => subject) ?? [];
};
const texts = () => env.SHARD_0.prepare("SELECT count(*) AS n FROM full_text").first<number>("n");

it("a message that was indexed before its fields had columns is found again after a reindex, and no other is touched", async () => {
  const old = await store({ account: 1, at: NOON }, [
    "From: Zoe <zoe@example.net>",
    "Bcc: hidden@example.net",
    "List-Id: <news.example.net>",
    "Subject: Old",
    "",
    "needle in the text",
  ]);
  const lost = await store({ account: 1, at: NOON + 1000 }, ["Subject: Lost", "", "needle in the preview"]);
  await store({ account: 2, at: NOON + 2000 }, ["Subject: Of another", "", "needle"]);
  for (let n = 0; n < 45; n++) await store({ account: 3, at: NOON + 3000 + n }, [`Subject: ${n}`, "", "needle"]);
  await env.SHARD_0.prepare(
    "DELETE FROM full_text WHERE rowid IN (SELECT id FROM message WHERE account IN (1, 3))",
  ).run();
  await env.MAIL.delete(lost.key);
  expect(await found(1, "needle")).toEqual([]);
  expect(await found(2, "needle")).toEqual(["Of another"]);

  expect(await reindex({ dryRun: true })).toMatchObject({ renewed: 47 });
  expect(await texts()).toBe(1);
  expect(await reindex()).toMatchObject({ renewed: 47 });
  expect(await texts()).toBe(48);
  expect(await found(1, "needle")).toEqual(["Lost", "Old"]);
  expect(await found(1, "hidden")).toEqual(["Old"]);
  const list = { kind: "header", name: "List-Id", text: "news", open: false } as const;
  const byList = await searchArchive(env, { kind: "account", account: 1, shard: 0 }, list, null, 10);
  expect(byList?.items.map(({ key }) => key)).toEqual([old.key]);
  expect(await found(3, "needle")).toHaveLength(45);
  expect(await reindex()).toMatchObject({ renewed: 0 });
});
