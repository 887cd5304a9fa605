/** After an upgrade that gave the full text a new form, what is stored is found again by itself. */
import { applyD1Migrations, env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { ANYWHERE, phrase } from "../../../src/core/query/query.ts";
import { renewedTo, renewFullText, searchableSince } from "../../../src/worker/archive/renewal.ts";
import type { Env } from "../../../src/worker/env.ts";
import worker from "../../../src/worker/index.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { call, OPERATOR } from "../access/client.ts";
import { NOON, store } from "./entry.ts";

const HOUR = 3600_000;
/** Mail of `account`, a minute apart, the last at noon. */
async function stored(count: number, account = 1, db = env.SHARD_0): Promise<void> {
  for (let n = 0; n < count; n++)
    await store({ account, db, at: NOON - n * 60_000 }, [`Subject: ${n}`, "List-Id: <news.example.net>", "", "needle"]);
}

/** As the version before leaves it. */
const withoutText = (db = env.SHARD_0, which = "true") =>
  db.prepare(`DELETE FROM full_text WHERE rowid IN (SELECT id FROM message WHERE ${which})`).run();

async function found(shard = 0, account = 1, of: Env = env): Promise<string[]> {
  const page = await searchArchive(of, { kind: "account", account, shard }, phrase(ANYWHERE, "needle"), null, 200);
  return page?.items.map(({ subject }) => subject) ?? [];
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => String(from + n));
const minute = (rows: number, of: Env = env) => renewFullText(of, NOON, { again: false, rows });

/** R2, of which some calls are these. */
const withBucket = (calls: Partial<Record<keyof R2Bucket, (key: string) => Promise<unknown>>>): Env => ({
  ...env,
  MAIL: new Proxy(env.MAIL, {
    get(bucket, name) {
      const value: unknown = Reflect.get(calls, name) ?? Reflect.get(bucket, name);
      return typeof value === "function" ? value.bind(bucket) : value;
    },
  }),
});

beforeEach(async () => {
  await env.SHARD_0.batch(["message", "full_text"].map((table) => env.SHARD_0.prepare(`DELETE FROM ${table}`)));
  await env.DIRECTORY.prepare("DELETE FROM task").run();
});

describe("stored mail without full text", () => {
  it("is found again, the newest first, a part each minute, and what is not yet is told", async () => {
    await stored(45);
    await withoutText();
    expect(await found()).toEqual([]);
    expect(await minute(20)).toBe(20);
    expect(await found()).toEqual(numbers(0, 20));
    expect(await searchableSince(env, 0)).toBe(NOON - 19 * 60_000);
    expect(await searchableSince(env, 7)).toBeNull();
    expect(await minute(20)).toBe(20);
    expect(await found()).toEqual(numbers(0, 40));
    expect(await minute(20)).toBe(5);
    expect(await found()).toEqual(numbers(0, 45));
    expect(await searchableSince(env, null)).toBeNull();
    expect(await minute(20)).toBe(0);
  });

  it("is left to the others where it has it already", async () => {
    await stored(5);
    await withoutText(env.SHARD_0, "subject = '3'");
    expect(await minute(20)).toBe(1);
    expect(await found()).toEqual(numbers(0, 5));
  });

  it("of the version before, which still wrote while the new one was rolled out, is found within the hour", async () => {
    await stored(2);
    await withoutText();
    expect(await minute(20)).toBe(2);
    await store({ account: 1, at: NOON + 60_000 }, ["Subject: late", "", "needle"]);
    await withoutText(env.SHARD_0, "subject = 'late'");
    expect(await renewFullText(env, NOON + HOUR, { again: false })).toBe(0);
    expect(await found()).toEqual(["0", "1"]);
    expect(await renewFullText(env, NOON + HOUR, { again: true })).toBe(1);
    expect(await found()).toEqual(["late", "0", "1"]);
  });

  it("is looked for among the messages of the last day alone once all was done", async () => {
    await stored(1);
    await minute(20);
    await store({ account: 1, at: NOON - 30 * HOUR }, ["Subject: older", "", "needle"]);
    await withoutText();
    expect(await renewFullText(env, NOON + HOUR, { again: true })).toBe(1);
    expect(await found()).toEqual(["0"]);
  });

  it("waits where R2 does not answer, and goes on where it was", async () => {
    await stored(25);
    await withoutText();
    let answered = 0;
    const silent = () => Promise.reject(new Error("no answer"));
    const failing = withBucket({
      get: (key: string) => (--answered < 0 ? silent() : env.MAIL.get(key)),
      head: silent,
    });
    await expect(minute(100, failing)).rejects.toThrow("no answer");
    expect(await found()).toEqual([]);
    expect(await searchableSince(env, 0)).toBe(NOON);
    answered = 20;
    await expect(minute(100, failing)).rejects.toThrow("no answer");
    expect(await found()).toEqual(numbers(0, 20));
    expect(await searchableSince(env, 0)).toBe(NOON - 19 * 60_000);
    expect(await minute(100)).toBe(5);
    expect(await found()).toEqual(numbers(0, 25));
  });

  it("that cannot be read keeps nothing else from being found", async () => {
    await stored(3);
    await withoutText();
    const key = await env.SHARD_0.prepare("SELECT key FROM message WHERE subject = '1'").first<string>("key");
    const get = (wanted: string) => (wanted === key ? Promise.reject(new Error("broken")) : env.MAIL.get(wanted));
    const broken = withBucket({ get });
    expect(await minute(20, broken)).toBe(2);
    expect(await found()).toEqual(["0", "2"]);
    // It is tried again for a day.
    expect(await renewFullText(env, NOON + HOUR, { again: true })).toBe(1);
    expect(await found()).toEqual(["0", "1", "2"]);
  });

  it("of a mailbox that is arriving from another shard is made findable too, of one that has left it is not", async () => {
    await stored(2);
    await stored(1, 2);
    await withoutText();
    const move = (state: string | null, account: number) =>
      env.SHARD_0.prepare("UPDATE account SET move = ?1 WHERE id = ?2").bind(state, account).run();
    await move("arriving", 1);
    await move("left", 2);
    expect(await minute(20)).toBe(2);
    await move(null, 1);
    await move(null, 2);
    expect(await found()).toEqual(["0", "1"]);
    expect(await found(0, 2)).toEqual([]);
  });

  it("on one shard is found where the other shard does not answer", async () => {
    // The directory's database serves as a second shard: their tables have different names.
    await applyD1Migrations(env.DIRECTORY, env.SHARD_MIGRATIONS, "shard_migrations");
    const two = { ...env, SHARD_1: env.DIRECTORY };
    await stored(2);
    await stored(3, 2, env.DIRECTORY);
    await withoutText();
    await withoutText(env.DIRECTORY);
    const down = () => {
      throw new Error("down");
    };
    const broken = { ...two, SHARD_0: new Proxy(env.SHARD_0, { get: () => down }) };
    await expect(minute(20, broken as unknown as Env)).rejects.toThrow();
    expect(await found(1, 2, two)).toEqual(numbers(0, 3));
    expect(await minute(20, two)).toBe(2);
    expect(await found(0, 1, two)).toEqual(numbers(0, 2));
    expect([...(await renewedTo(two))]).toEqual([
      [0, null],
      [1, null],
    ]);
  });

  it("is made findable by the cron of each minute, and later by that of each hour", async () => {
    await stored(1);
    await withoutText();
    const run = (cron: string) =>
      worker.scheduled({ cron, scheduledTime: NOON, noRetry() {} } as unknown as ScheduledController, env as Env);
    await run("* * * * *");
    expect(await found()).toEqual(["0"]);
    await withoutText();
    await run("* * * * *");
    expect(await found()).toEqual([]);
    await run("17 * * * *");
    expect(await found()).toEqual(["0"]);
  });
});

it("monitoring sees how far it is", async () => {
  await stored(25);
  await withoutText();
  await minute(20);
  const metric = async () => {
    const text = await (await call("GET", "/metrics", { token: OPERATOR })).text();
    return /^holdfast_searchable_since_seconds\{shard="0"\} (\d+)$/m.exec(text)?.[1];
  };
  expect(await metric()).toBe(String((NOON - 19 * 60_000) / 1000));
  await minute(20);
  expect(await metric()).toBe("0");
});
