/** What a person does with a message of the portal, in the tables. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { createAccounts } from "../../../src/worker/store/accounts.ts";
import { backlogPage } from "../../../src/worker/store/backlog.ts";
import { DELETED, FLAGGED, flagChange, SEEN } from "../../../src/worker/store/flags.ts";
import { findFolder, listFolders } from "../../../src/worker/store/folders.ts";
import { placeInInbox } from "../../../src/worker/store/placement-changes.ts";
import { findPlacement, listPlacements } from "../../../src/worker/store/placements.ts";
import {
  arrive,
  entryOf,
  folderOf,
  markPlacements,
  movePlacement,
  NOON,
  placement,
  removePlacement,
  seqOf,
} from "./stored.ts";

const db = env.SHARD_0;
let account = 100;
let other = 0;

beforeEach(async () => {
  account += 2;
  other = account + 1;
  await createAccounts(db, [account, other], 1, NOON);
});

const one = async (of = account) => (await arrive(entryOf(of)))[0] ?? 0;

describe("a move", () => {
  it("takes the message out of the backlog and gives it a new UID in the other folder", async () => {
    const id = await one();
    const moved = await movePlacement(db, account, id, await folderOf(account, "junk"));
    expect(moved).not.toBe(id);
    expect(await placement(id)).toMatchObject({ waiting: null, gone: 2 });
    expect(await placement(moved ?? 0)).toMatchObject({ waiting: null, gone: null, modseq: 2 });
    expect((await findPlacement(db, account, moved ?? 0))?.folder).toBe(await folderOf(account, "junk"));
  });

  it("into the folder where it is leaves it waiting for the origin", async () => {
    const id = await one();
    expect(await movePlacement(db, account, id, await folderOf(account, "inbox"))).toBe(id);
    expect((await placement(id))?.waiting).toBeGreaterThan(0);
    expect(await seqOf(account)).toBe(1);
  });

  it("into a folder of somebody else changes nothing", async () => {
    const id = await one();
    expect(await movePlacement(db, account, id, await folderOf(other, "trash"))).toBeNull();
    expect(await placement(id)).toMatchObject({ gone: null });
    expect(await seqOf(account)).toBe(1);
  });

  it("into the archive changes nothing: it has a copy already", async () => {
    const id = await one();
    expect(await movePlacement(db, account, id, await folderOf(account, "archive"))).toBeNull();
    expect(await placement(id)).toMatchObject({ gone: null });
    expect(await seqOf(account)).toBe(1);
  });

  it("of somebody else's message changes nothing", async () => {
    const theirs = await one(other);
    expect(await movePlacement(db, account, theirs, await folderOf(account, "trash"))).toBeNull();
    expect(await placement(theirs)).toMatchObject({ gone: null });
    expect(await seqOf(account)).toBe(0);
  });

  it("that is asked for twice happens once", async () => {
    const id = await one();
    const trash = await folderOf(account, "trash");
    const moved = await movePlacement(db, account, id, trash);
    // Whoever did not hear the first answer hears it now.
    expect(await movePlacement(db, account, id, trash)).toBe(moved);
    expect(await seqOf(account)).toBe(2);
    expect((await listPlacements(db, account, trash, null, 10)).map((each) => each.id)).toEqual([moved]);
  });

  it("keeps its flags", async () => {
    const id = await one();
    await markPlacements(db, account, [id], { add: SEEN | FLAGGED, remove: 0 });
    const moved = await movePlacement(db, account, id, await folderOf(account, "junk"));
    expect((await placement(moved ?? 0))?.flags).toBe(SEEN | FLAGGED);
  });
});

describe("a removal", () => {
  it("leaves a change record and no message in the folder; the archive keeps its row", async () => {
    const id = await one();
    await removePlacement(db, account, id);
    expect(await placement(id)).toMatchObject({ gone: 2, modseq: 2, waiting: null });
    expect(await findPlacement(db, account, id)).toBeNull();
    const rows = await db.prepare("SELECT count(*) AS n FROM message WHERE account = ?1").bind(account).first("n");
    expect(rows).toBe(1);
  });

  it("that is asked for twice happens once", async () => {
    const id = await one();
    await removePlacement(db, account, id);
    await removePlacement(db, account, id);
    expect(await seqOf(account)).toBe(2);
  });

  it("of somebody else's message changes nothing", async () => {
    const theirs = await one(other);
    await removePlacement(db, account, theirs);
    expect(await placement(theirs)).toMatchObject({ gone: null });
  });
});

describe("flags", () => {
  it("are set and cleared one by one, and the others stay", async () => {
    const id = await one();
    await markPlacements(db, account, [id], flagChange({ seen: true, flagged: true }));
    await markPlacements(db, account, [id], flagChange({ seen: false }));
    expect(await placement(id)).toMatchObject({ flags: FLAGGED, modseq: 3 });
  });

  it("that are there already change neither the message nor the counter", async () => {
    const id = await one();
    await markPlacements(db, account, [id], flagChange({ seen: true }));
    await markPlacements(db, account, [id], flagChange({ seen: true }));
    expect(await seqOf(account)).toBe(2);
  });

  it("of somebody else's message stay as they are", async () => {
    const theirs = await one(other);
    await markPlacements(db, account, [theirs], flagChange({ seen: true }));
    expect(await placement(theirs)).toMatchObject({ flags: 0 });
  });

  it("\\Deleted takes a message out of the backlog, and out of it no longer puts it back", async () => {
    const domain = account;
    const [id = 0] = await arrive(entryOf(account, { domain }));
    await markPlacements(db, account, [id], { add: DELETED, remove: 0 });
    expect(await backlogPage(db, domain, null, 10)).toEqual([]);
    await markPlacements(db, account, [id], { add: 0, remove: DELETED });
    expect((await backlogPage(db, domain, null, 10)).map((each) => each.id)).toEqual([id]);
  });
});

describe("a folder", () => {
  it("lists its messages newest first, page by page, without what is gone", async () => {
    const ids = await arrive(entryOf(account), entryOf(account), entryOf(account), entryOf(account));
    const [a = 0, b = 0, c = 0, d = 0] = ids;
    await removePlacement(db, account, b);
    const inbox = await folderOf(account, "inbox");
    const page = await listPlacements(db, account, inbox, null, 2);
    expect(page.map((each) => each.id)).toEqual([d, c]);
    expect((await listPlacements(db, account, inbox, c, 2)).map((each) => each.id)).toEqual([a]);
  });

  it("of somebody else shows nothing", async () => {
    await one(other);
    expect(await listPlacements(db, account, await folderOf(other, "inbox"), null, 10)).toEqual([]);
  });

  it("is found by its role in any case, and counts what is unseen", async () => {
    const [first = 0] = await arrive(entryOf(account), entryOf(account));
    await markPlacements(db, account, [first], flagChange({ seen: true }));
    expect(await findFolder(db, account, "InBox")).toMatchObject({ role: "inbox" });
    expect(await findFolder(db, account, "no such")).toBeNull();
    const inbox = (await listFolders(db, account)).find(({ role }) => role === "inbox");
    expect(inbox).toMatchObject({ messages: 2, unseen: 1 });
  });
});

it("an account that is made twice has its folders once", async () => {
  await createAccounts(db, [account], 1, NOON + 5000);
  const folders = await listFolders(db, account);
  expect(folders.map(({ role }) => role)).toEqual(["inbox", "sent", "drafts", "trash", "junk", "archive"]);
  expect(folders.every(({ uidvalidity }) => uidvalidity === NOON / 1000)).toBe(true);
});

describe("a message of the archive placed in the inbox again", () => {
  it("is there with a new UID and waits for nobody", async () => {
    const id = await one();
    const message = (await findPlacement(db, account, id))?.message ?? 0;
    await removePlacement(db, account, id);
    await placeInInbox(db, account, message);
    const [again] = await listPlacements(db, account, await folderOf(account, "inbox"), null, 10);
    expect(again).toMatchObject({ message, waiting: null });
    expect(again?.id).toBeGreaterThan(id);
  });

  it("of an account without an inbox is an error", async () => {
    await expect(placeInInbox(db, account + 5_000, 1)).rejects.toThrow("has no inbox");
  });
});
