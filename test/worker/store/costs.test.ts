/** Rows written for each operation of the tables, as the design's "Data" says: they are what a shard costs. */
import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { ANYWHERE, phrase } from "../../../src/core/query/query.ts";
import { type IndexEntry, indexMessage } from "../../../src/worker/archive/index.ts";
import { purge } from "../../../src/worker/archive/retention.ts";
import type { Env } from "../../../src/worker/env.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { markRefused, removeDelivered } from "../../../src/worker/store/backlog.ts";
import { flagChange } from "../../../src/worker/store/flags.ts";
import { changeFolder, createFolder, deleteFolder } from "../../../src/worker/store/folder-changes.ts";
import { findFolder } from "../../../src/worker/store/folders.ts";
import { type Counts, counted } from "../counters.ts";
import { arrive, entryOf, folderOf, markPlacements, movePlacement, NOON, removePlacement } from "./stored.ts";

const ANN = 1;

beforeAll(() => createAccount(env.SHARD_0, ANN, 1, NOON));

async function cost(act: (env: Env, db: D1Database) => Promise<unknown>): Promise<Counts> {
  const counter = counted(env as Env);
  await act(counter.env, counter.env.SHARD_0);
  return counter.counts;
}

const waiting = async () => (await arrive(entryOf(ANN, { extracted: { text: "some words of text" } })))[0] ?? 0;

describe("rows written", () => {
  it("5 for a message of the archive, 0 for its repeat", async () => {
    const entry = entryOf(ANN);
    const store = (_env: Env, db: D1Database) => indexMessage(db, [entry], { portal: false });
    expect(await cost(store)).toMatchObject({ rowsWritten: 5 });
    expect(await cost(store)).toMatchObject({ rowsWritten: 0 });
  });

  it("12 for a message of the portal, 0 for its repeat", async () => {
    const entry = entryOf(ANN);
    const store = (_env: Env, db: D1Database) => indexMessage(db, [entry], { portal: "waiting" });
    expect(await cost(store)).toMatchObject({ rowsWritten: 12 });
    expect(await cost(store)).toMatchObject({ rowsWritten: 0 });
  });

  it("12 for two recipients of whom one had the message before", async () => {
    const [old, fresh] = [entryOf(ANN), entryOf(ANN)];
    await arrive(old);
    const both = await cost((_env, db) => indexMessage(db, [old, fresh], { portal: "waiting" }));
    expect(both).toMatchObject({ rowsWritten: 12 });
  });

  it("4 for a message that failback delivered, 5 for one that the origin refused, none for saying so again", async () => {
    const [delivered, refused] = [await waiting(), await waiting()];
    expect((await cost((_env, db) => removeDelivered(db, [delivered]))).rowsWritten).toBeLessThanOrEqual(4);
    expect((await cost((_env, db) => markRefused(db, [refused], "{}"))).rowsWritten).toBeLessThanOrEqual(5);
    expect(await cost((_env, db) => removeDelivered(db, [delivered]))).toMatchObject({ rowsWritten: 0 });
  });

  it("4 for a flag, none where it is set already", async () => {
    const id = await waiting();
    const see = (_env: Env, db: D1Database) => markPlacements(db, ANN, [id], flagChange({ seen: true }));
    expect(await cost(see)).toMatchObject({ rowsWritten: 4 });
    expect(await cost(see)).toMatchObject({ rowsWritten: 0 });
  });

  it("9 for a move, none for the same move again; 4 for a removal", async () => {
    const id = await waiting();
    const trash = await folderOf(ANN, "trash");
    const move = (_env: Env, db: D1Database) => movePlacement(db, ANN, id, trash);
    expect(await cost(move)).toMatchObject({ rowsWritten: 9 });
    expect(await cost(move)).toMatchObject({ rowsWritten: 0 });
    const gone = await waiting();
    expect((await cost((_env, db) => removePlacement(db, ANN, gone))).rowsWritten).toBeLessThanOrEqual(4);
  });

  it("3 for a folder that is made, called otherwise or deleted, none for saying so again", async () => {
    const made = { parent: 0, name: "Work", request: "r" };
    const make = (_env: Env, db: D1Database) => createFolder(db, ANN, made, NOON);
    expect(await cost(make)).toMatchObject({ rowsWritten: 3 });
    expect(await cost(make)).toMatchObject({ rowsWritten: 0 });
    const id = (await findFolder(env.SHARD_0, ANN, "Work"))?.id ?? 0;
    const rename = (_env: Env, db: D1Database) => changeFolder(db, ANN, id, { name: "Other" });
    expect(await cost(rename)).toMatchObject({ rowsWritten: 3 });
    expect(await cost(rename)).toMatchObject({ rowsWritten: 0 });
    const remove = (_env: Env, db: D1Database) => deleteFolder(db, ANN, id);
    expect(await cost(remove)).toMatchObject({ rowsWritten: 3 });
    expect(await cost(remove)).toMatchObject({ rowsWritten: 0 });
  });

  it("2 for the purge of an archived message", async () => {
    const old = NOON - 91 * 24 * 3600_000;
    await env.SHARD_0.prepare("DELETE FROM placement").run();
    await env.SHARD_0.prepare("DELETE FROM message").run();
    await env.SHARD_0.prepare("DELETE FROM full_text").run();
    for (let n = 0; n < 20; n++) {
      await indexMessage(env.SHARD_0, [entryOf(ANN, { at: old + n })], { portal: false });
    }
    await indexMessage(env.SHARD_0, [entryOf(ANN)], { portal: false });
    const counts = await cost((env) => purge(env, NOON));
    expect(await env.SHARD_0.prepare("SELECT count(*) AS n FROM message").first<number>("n")).toBe(1);
    expect(counts.rowsWritten).toBeLessThanOrEqual(40);
    expect(counts.rowsWritten).toBeGreaterThan(0);
  });
});

describe("rows read to find a conversation", () => {
  it("do not grow with the mail that there is", async () => {
    await createAccount(env.SHARD_0, 3, 1, NOON);
    const references = Array.from({ length: 25 }, (_, n) => `before-${n}@example.net`);
    let elsewhere = 0;
    const answer = () => entryOf(3, { extracted: { subject: "Re: Lunch", references } });
    const other = () =>
      entryOf(3, { extracted: { subject: "Re: Lunch", references: [`elsewhere-${++elsewhere}@example.net`] } });
    await indexMessage(env.SHARD_0, [answer()], { portal: false });
    const read = (entry: IndexEntry) => cost((_, db) => indexMessage(db, [entry], { portal: false }));
    const few = await read(answer());
    for (let n = 0; n < 5; n++) await indexMessage(env.SHARD_0, Array.from({ length: 60 }, other), { portal: false });
    const many = await read(answer());
    expect(many.rowsWritten).toBe(5);
    expect(many.rowsRead - few.rowsRead).toBeLessThanOrEqual(5);
  });
});

describe("rows read by a search", () => {
  it("grow with what it finds in a mailbox, not with what there is in all the others", async () => {
    await createAccount(env.SHARD_0, 2, 1, NOON);
    const others = Array.from({ length: 60 }, () => entryOf(2, { extracted: { subject: "Common word" } }));
    await indexMessage(env.SHARD_0, others, { portal: false });
    await indexMessage(env.SHARD_0, [entryOf(ANN, { extracted: { subject: "Common word" } })], { portal: false });
    const scope = { kind: "account", account: ANN, shard: 0 } as const;
    let found: unknown;
    const counts = await cost(async (env) => {
      found = (await searchArchive(env, scope, phrase(ANYWHERE, "common"), null, 50))?.items.length;
    });
    expect(found).toBe(1);
    expect(counts.rowsRead).toBeLessThanOrEqual(6);
  });
});
