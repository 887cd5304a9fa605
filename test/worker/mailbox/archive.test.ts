/** The archive as a folder: all that came and went, nothing written for it, and nothing to be changed. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { folderCalled } from "../../../src/worker/mailbox/folders.ts";
import { copyMessages, moveMessages } from "../../../src/worker/mailbox/messages.ts";
import { readFolder, readMessage, readMessages } from "../../../src/worker/mailbox/reading.ts";
import { dropMessages } from "../../../src/worker/store/expiry.ts";
import { SEEN } from "../../../src/worker/store/flags.ts";
import { whereIs } from "../../../src/worker/store/placements.ts";
import { arrive, entryOf, NOON } from "../store/stored.ts";
import { newMailbox, receive, type TestMailbox } from "./mailbox.ts";

let box: TestMailbox;
beforeEach(async () => {
  box = await newMailbox();
});

const archived = (count: number, at = NOON) =>
  indexMessage(
    env.SHARD_0,
    Array.from({ length: count }, () => entryOf(box.account, { at, size: 10 })),
    { portal: false },
  );
const read = (order: "newest" | "oldest" = "oldest", limit = 1_000, from = 1) =>
  readFolder(box, { id: box.archive, role: "archive" }, { from, order, deleted: false, limit });
const facts = async () => {
  const folder = await folderCalled(box, "archive");
  return folder && { messages: folder.messages, size: folder.size, uidnext: folder.uidnext, unseen: folder.unseen };
};
const messageIds = async () => (await read()).map(({ message }) => message);

describe("the archive folder", () => {
  it("has what came to the origin and what came to the portal, read, with UIDs of 32 bits in the order of arrival", async () => {
    await archived(2);
    await receive(box, 1);
    const rows = await read();
    expect(rows.map(({ uid }) => uid)).toEqual([1, 2, 3]);
    expect(
      rows.every(({ flags, waiting, folder }) => flags === SEEN && waiting === null && folder === box.archive),
    ).toBe(true);
    expect(await facts()).toEqual({ messages: 3, size: 120, uidnext: 4, unseen: 0 });
    expect((await read("newest", 2)).map(({ uid }) => uid)).toEqual([3, 2]);
    expect(await readMessage(box, rows[1]?.id ?? 0)).toEqual(rows[1]);
    const ids = rows.map(({ id }) => id).reverse();
    expect((await readMessages(box, ids)).map(({ id }) => id)).toEqual(ids);
  });

  it("gives what is indexed late a UID above all that were there, whenever it came", async () => {
    await archived(2);
    await archived(1, NOON - 3600_000);
    const rows = await read();
    expect(rows.at(-1)).toMatchObject({ uid: 3, at: NOON - 3600_000 });
    // Its number among all messages is that of its time.
    expect(rows[2]?.message).toBeLessThan(rows[0]?.message ?? 0);
  });

  it("numbers what a version writes that knows of no numbers", async () => {
    await archived(2);
    await env.SHARD_0.prepare(
      `INSERT INTO message (account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta)
       SELECT account, 'older', 'version', thread, direction, at, size, key, sender, subject, preview, meta
       FROM message WHERE account = ?1 AND number = 1`,
    )
      .bind(box.account)
      .run();
    expect((await read()).map(({ uid }) => uid)).toEqual([1, 2, 3]);
    await archived(1);
    expect(await facts()).toMatchObject({ messages: 4, uidnext: 5 });
  });

  it("never gives a UID twice, whatever retention takes", async () => {
    await archived(3);
    const [, , third = 0] = await messageIds();
    // Not the newest message of the shard.
    const other = await newMailbox();
    await arrive(entryOf(other.account, { at: NOON + 1000 }));
    await dropMessages(env.SHARD_0, [third]);
    await archived(1);
    expect((await read()).map(({ uid }) => uid)).toEqual([1, 2, 4]);
    expect(await facts()).toMatchObject({ messages: 3, uidnext: 5 });
  });

  it("is counted right before and after the count is remembered, and as retention takes from it", async () => {
    await env.SHARD_0.prepare("UPDATE account SET counted_to = 0 WHERE id = ?1").bind(box.account).run();
    for (let n = 0; n < 6; n++) await archived(100, NOON + n * 1000);
    expect(await facts()).toMatchObject({ messages: 600, size: 6_000 });
    const counted = () =>
      env.SHARD_0.prepare("SELECT archived, archived_size, counted_to FROM account WHERE id = ?1")
        .bind(box.account)
        .first();
    expect(await counted()).toEqual({ archived: 600, archived_size: 6_000, counted_to: 600 });
    await archived(1, NOON + 10_000);
    expect(await facts()).toMatchObject({ messages: 601, size: 6_010 });
    const ids = await messageIds();
    await dropMessages(env.SHARD_0, ids.slice(0, 50));
    expect(await facts()).toMatchObject({ messages: 551, size: 5_510, uidnext: 602 });
    expect(await counted()).toEqual({ archived: 550, archived_size: 5_500, counted_to: 600 });
  });

  it("takes nothing, and loses nothing by hand", async () => {
    await archived(1);
    const [row] = await read();
    const [id = 0] = await receive(box, 1);
    expect(await moveMessages(box, [id], box.archive)).toMatchObject({ ok: false, error: { reason: "read_only" } });
    expect(await copyMessages(box, [id], box.archive, null)).toMatchObject({
      ok: false,
      error: { reason: "read_only" },
    });
    expect(await moveMessages(box, [row?.id ?? 0], box.trash)).toMatchObject({
      ok: true,
      value: { moved: [], missing: [row?.id] },
    });
    expect(await read()).toHaveLength(2);
  });

  it("is its account's alone", async () => {
    await archived(1);
    const [row] = await read();
    const other = await newMailbox();
    expect(await readMessage(other, row?.id ?? 0)).toBeNull();
    expect(await readMessages(other, [row?.id ?? 0])).toEqual([]);
    expect(whereIs(row?.id ?? 0).folder).toBe(box.archive);
  });
});
