/** With 10,000 messages in a mailbox, reading costs what it shows, counted at the binding. */
import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { changesSince, currentState, stateAt } from "../../../src/worker/mailbox/changes.ts";
import { folders } from "../../../src/worker/mailbox/folders.ts";
import { markMessages } from "../../../src/worker/mailbox/messages.ts";
import { readFolder, readMessages, readThread } from "../../../src/worker/mailbox/reading.ts";
import { FLAGGED } from "../../../src/worker/store/flags.ts";
import { entriesOfFolder } from "../../../src/worker/store/placements.ts";
import { type Counts, counted } from "../counters.ts";
import { newMailbox, receive, type TestMailbox } from "./mailbox.ts";

const ALL = 10_000;
let box: TestMailbox;
let ids: number[];

beforeAll(async () => {
  box = await newMailbox();
  ids = await receive(box, 100);
  // The rest as copies of rows: what is read is the same.
  const { db, account, inbox } = box;
  await db.batch([
    db
      .prepare(
        `INSERT INTO message (id, account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta, number)
         SELECT m.id + 1000000 + n.value * 1000, m.account, m.mid || n.value, m.once, m.thread + n.value, m.direction, m.at, m.size,
           m.key, m.sender, m.subject, m.preview, m.meta, m.number + 100 * n.value
         FROM message m, json_each(?2) n WHERE m.account = ?1`,
      )
      .bind(account, JSON.stringify(Array.from({ length: ALL / 100 - 1 }, (_, n) => n + 1))),
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created)
         SELECT ?2 * 4294967296 + 100 + row_number() OVER (ORDER BY number), account, id, 100 + row_number() OVER (ORDER BY number), 1
         FROM message WHERE account = ?1 AND number > 100`,
      )
      .bind(account, inbox),
    db.prepare("UPDATE account SET seq = ?2 WHERE id = ?1").bind(account, ALL),
  ]);
});

/** @returns what the act gave, and what it read */
async function reading<T>(act: (mailbox: TestMailbox) => Promise<T>): Promise<{ value: T; counts: Counts }> {
  const counter = counted(env as Env);
  const value = await act({ ...box, env: counter.env, db: counter.env.SHARD_0 });
  return { value, counts: counter.counts };
}

const page = { order: "newest", deleted: true, limit: 50 } as const;
const inbox = (mailbox: TestMailbox) => ({ id: mailbox.inbox, role: "inbox" as const });

describe("rows read of a mailbox of 10,000 messages", () => {
  it("are a few for each message of a page, at the top, in the middle and at the end", async () => {
    for (const to of [ALL, ALL / 2, 60]) {
      const { value, counts } = await reading((box) => readFolder(box, inbox(box), { ...page, to }));
      expect(value).toHaveLength(50);
      expect(counts.rowsRead).toBeLessThanOrEqual(4 * 50 + 5);
    }
    const { value, counts } = await reading((box) =>
      entriesOfFolder(box.db, box.account, { ...page, folder: box.inbox }),
    );
    expect(value).toHaveLength(50);
    expect(counts.rowsRead).toBeLessThanOrEqual(2 * 50 + 5);
  });

  it("are none of what has left the folder", async () => {
    // As after a failback that left the oldest behind.
    await box.db
      .prepare("UPDATE placement SET gone = 1 WHERE account = ?1 AND id % 4294967296 > 100 AND id % 4294967296 <= ?2")
      .bind(box.account, ALL)
      .run();
    const { value, counts } = await reading((box) => readFolder(box, inbox(box), page));
    expect(value.map(({ id }) => id)).toEqual(ids.slice(-50).reverse());
    expect(counts.rowsRead).toBeLessThanOrEqual(4 * 50 + 5);
    await box.db.prepare("UPDATE placement SET gone = NULL WHERE account = ?1").bind(box.account).run();
  });

  it("are those of the folders for the list of folders, with all that is counted", async () => {
    await folders(box); // the archive is counted once
    const { value, counts } = await reading(folders);
    expect(value.find(({ role }) => role === "inbox")).toMatchObject({ messages: ALL, size: ALL * 100 });
    expect(value.find(({ role }) => role === "archive")).toMatchObject({ messages: ALL, size: ALL * 100 });
    expect(counts.rowsRead).toBeLessThanOrEqual(40);
  });

  it("are a few for each message of the archive's page, of those asked for by number, and of a conversation", async () => {
    const archive = await reading((box) => readFolder(box, { id: box.archive, role: "archive" }, page));
    expect(archive.value).toHaveLength(50);
    expect(archive.counts.rowsRead).toBeLessThanOrEqual(4 * 50 + 5);
    const byId = await reading((box) => readMessages(box, ids.slice(0, 20)));
    expect(byId.value).toHaveLength(20);
    expect(byId.counts.rowsRead).toBeLessThanOrEqual(5 * 20 + 10);
    const thread = await reading((box) => readThread(box, archive.value[0]?.thread ?? 0, 100));
    expect(thread.value).toHaveLength(1);
    expect(thread.counts.rowsRead).toBeLessThanOrEqual(10);
  });

  it("are those of the changes, and a page's for each page of them", async () => {
    const state = await currentState(box);
    await markMessages(box, ids.slice(0, 10), { add: FLAGGED, remove: 0 });
    const { value, counts } = await reading((box) => changesSince(box, stateAt(state), 100));
    expect(value?.placements.updated).toHaveLength(10);
    expect(counts.rowsRead).toBeLessThanOrEqual(6 * 10 + 30);
    const first = await reading((box) => changesSince(box, stateAt(100), 100));
    expect(first.value?.hasMore).toBe(true);
    expect(first.counts.rowsRead).toBeLessThanOrEqual(7 * 100 + 30);
  });
});
