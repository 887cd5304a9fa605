/** Many messages at once, and again after an answer was lost. */
import { beforeEach, describe, expect, it } from "vitest";
import { MAX_ACT } from "../../../src/core/limits.ts";
import {
  changesSince as changesOf,
  currentState,
  formatState,
  readState,
  stateAt,
} from "../../../src/worker/mailbox/changes.ts";
import { makeFolder, removeFolder } from "../../../src/worker/mailbox/folders.ts";
import { copyMessages, markMessages, moveMessages, removeMessages } from "../../../src/worker/mailbox/messages.ts";
import { readFolder, readMessages } from "../../../src/worker/mailbox/reading.ts";
import { expungeFolder, folderChanges, folderFacts } from "../../../src/worker/mailbox/sync.ts";
import { leapAccounts } from "../../../src/worker/store/accounts.ts";
import { backlogPage } from "../../../src/worker/store/backlog.ts";
import { purgeChanges } from "../../../src/worker/store/changes.ts";
import { DELETED, FLAGGED, readKeywords, SEEN } from "../../../src/worker/store/flags.ts";
import { whereIs } from "../../../src/worker/store/placements.ts";
import { NOON } from "../store/stored.ts";
import { newMailbox, receive, type TestMailbox } from "./mailbox.ts";

let box: TestMailbox;
beforeEach(async () => {
  box = await newMailbox();
});

async function succeeded<T>(
  result: Promise<{ ok: true; value: T } | { ok: false; error: { reason: string } }>,
): Promise<T> {
  const got = await result;
  if (!got.ok) throw new Error(got.error.reason);
  return got.value;
}
const list = async (id: number, role: "trash" | null = null) =>
  readFolder(box, { id, role }, { order: "oldest", deleted: true, limit: 2_000 });
const changesSince = (mailbox: TestMailbox, since: number, limit: number) => changesOf(mailbox, stateAt(since), limit);
const waiting = async () =>
  (await backlogPage(box.db, 1, null, 1_000)).filter(({ account }) => account === box.account);

describe("a thousand messages", () => {
  it("are marked, copied, moved and removed in one act each, with UIDs in their order", async () => {
    const ids = await receive(box, 100);
    const { rows } = await succeeded(markMessages(box, ids, { add: SEEN, remove: 0 }));
    expect(rows.every(({ became }) => became === "changed")).toBe(true);
    expect(new Set(rows.map(({ modseq }) => modseq)).size).toBe(100);
    const { copied } = await succeeded(copyMessages(box, ids, box.junk, null));
    expect(copied.map(({ id }) => id)).toEqual(ids);
    const uids = copied.map(({ to }) => whereIs(to).uid);
    expect(uids).toEqual(uids.toSorted((a, b) => a - b));
    const { moved, cancelled } = await succeeded(moveMessages(box, ids, box.trash));
    expect([moved.length, cancelled.length]).toEqual([100, 100]);
    const { removed } = await succeeded(
      removeMessages(
        box,
        moved.map(({ to }) => to),
        { marked: false },
      ),
    );
    expect(removed).toHaveLength(100);
    expect([(await list(box.inbox)).length, (await list(box.junk)).length, (await list(box.trash)).length]).toEqual([
      0, 100, 0,
    ]);
  });

  it("and one more are refused, and nothing is done", async () => {
    const [id = 0] = await receive(box, 1);
    const many = Array.from({ length: MAX_ACT + 1 }, (_, n) => id + n);
    expect(await moveMessages(box, many, box.trash)).toMatchObject({ ok: false, error: { reason: "too_many" } });
    expect(await list(box.inbox)).toHaveLength(1);
  });
});

describe("an act whose answer was lost", () => {
  it("is told again by its repeat, and changes nothing twice", async () => {
    const ids = await receive(box, 3);
    const acts = [
      () => markMessages(box, ids, { add: FLAGGED, remove: 0, unchangedSince: 3 }),
      () => copyMessages(box, ids, box.junk, "copy-1"),
      () => moveMessages(box, ids, box.trash),
    ];
    for (const act of acts) {
      const first = await act();
      const state = await currentState(box);
      const again = await act();
      expect(await currentState(box)).toBe(state);
      // What was changed is so by now, and nothing is cancelled twice.
      const plain = (result: unknown) =>
        JSON.stringify(result)
          .replaceAll('"same"', '"changed"')
          .replace(/"cancelled":\[[^\]]*\]/, "");
      expect(plain(again)).toBe(plain(first));
    }
    expect(await list(box.junk)).toHaveLength(3);
    expect(await list(box.trash)).toHaveLength(3);
  });

  it("copies again where it is another request", async () => {
    const ids = await receive(box, 1);
    await copyMessages(box, ids, box.junk, "a");
    await copyMessages(box, ids, box.junk, "b");
    await copyMessages(box, ids, box.junk, null);
    expect(await list(box.junk)).toHaveLength(3);
  });
});

describe("keywords", () => {
  const words = async (id: number) => readKeywords((await readMessages(box, [id]))[0]?.keywords ?? null);

  it("are added, taken away and replaced, each once and in order", async () => {
    const [id = 0] = await receive(box, 1);
    const change = (add: string[], remove: string[] | "all") =>
      succeeded(markMessages(box, [id], { add: 0, remove: 0, keywords: { add, remove } }));
    await change(["zeta", "$forwarded"], []);
    expect(await words(id)).toEqual(["$forwarded", "zeta"]);
    const state = await currentState(box);
    expect((await change(["zeta"], ["absent"])).rows[0]?.became).toBe("same");
    expect(await currentState(box)).toBe(state);
    await change(["alpha"], ["zeta"]);
    expect(await words(id)).toEqual(["$forwarded", "alpha"]);
    await change(["only"], "all");
    expect(await words(id)).toEqual(["only"]);
    await change([], "all");
    expect(await words(id)).toEqual([]);
  });
});

describe("a conditional change", () => {
  it("leaves alone what has changed since, and says which (RFC 7162 §3.1.3)", async () => {
    const [a = 0, b = 0] = await receive(box, 2);
    const state = await currentState(box);
    await markMessages(box, [a], { add: FLAGGED, remove: 0 });
    const { rows } = await succeeded(markMessages(box, [a, b], { add: SEEN, remove: 0, unchangedSince: state }));
    expect(rows.map(({ id, became }) => [id, became])).toEqual([
      [a, "modified"],
      [b, "changed"],
    ]);
    expect((await readMessages(box, [a]))[0]?.flags).toBe(FLAGGED);
  });
});

describe("the backlog", () => {
  it("loses what is moved, removed or flagged \\Deleted, and has that again which is no longer flagged so", async () => {
    const [a = 0, b = 0, c = 0] = await receive(box, 3);
    await moveMessages(box, [a], box.junk);
    expect((await succeeded(markMessages(box, [b], { add: DELETED, remove: 0 }))).cancelled).toEqual([b]);
    expect((await waiting()).map(({ id }) => id)).toEqual([c]);
    await markMessages(box, [b], { add: 0, remove: DELETED });
    expect((await waiting()).map(({ id }) => id)).toEqual([b, c]);
    await markMessages(box, [c], { add: DELETED, remove: 0 });
    const { removed } = await succeeded(removeMessages(box, [b, c], { marked: true }));
    expect(removed).toEqual([c]);
    expect((await waiting()).map(({ id }) => id)).toEqual([b]);
  });

  it("has no copies in it, and a message that was copied goes on waiting", async () => {
    const ids = await receive(box, 1);
    await copyMessages(box, ids, box.inbox, null);
    expect(await list(box.inbox)).toHaveLength(2);
    expect((await waiting()).map(({ id }) => id)).toEqual(ids);
  });
});

describe("somebody else's messages", () => {
  it("are missing, whatever is to be done with them", async () => {
    const other = await newMailbox();
    const [theirs = 0] = await receive(other, 1);
    expect((await succeeded(markMessages(box, [theirs], { add: SEEN, remove: 0 }))).missing).toEqual([theirs]);
    expect((await succeeded(moveMessages(box, [theirs], box.trash))).missing).toEqual([theirs]);
    expect((await succeeded(copyMessages(box, [theirs], box.trash, null))).missing).toEqual([theirs]);
    await removeMessages(box, [theirs], { marked: false });
    expect(await readMessages(other, [theirs])).toMatchObject([{ flags: 0, waiting: expect.any(Number) }]);
    expect(await moveMessages(other, [theirs], box.trash)).toMatchObject({ error: { reason: "no_folder" } });
  });
});

describe("changes since a state", () => {
  it("are what came, what is different and what went, by folder and by message", async () => {
    const start = await currentState(box);
    const [a = 0, b = 0, c = 0] = await receive(box, 3);
    const came = await changesSince(box, start, 100);
    expect(came?.placements.created.map(({ id }) => id)).toEqual([a, b, c]);
    expect(came?.messages.created).toHaveLength(3);
    const state = came?.newState.seq ?? 0;
    expect(state).toBe(await currentState(box));
    await markMessages(box, [a], { add: SEEN, remove: 0 });
    await removeMessages(box, [b], { marked: false });
    const moved = await succeeded(moveMessages(box, [c], box.trash));
    const changes = await changesSince(box, state, 100);
    const ids = (rows: readonly { readonly id: number }[] = []) => rows.map(({ id }) => id);
    expect(ids(changes?.placements.updated)).toEqual([a]);
    expect(ids(changes?.placements.destroyed)).toEqual([b, c]);
    expect(ids(changes?.placements.created)).toEqual([moved.moved[0]?.to]);
    // A message that was moved is the same message.
    expect(changes?.messages).toMatchObject({ created: [], updated: [expect.any(Number), expect.any(Number)] });
    expect(changes?.messages.destroyed).toHaveLength(1);
    expect(changes?.folders.updated).toEqual([box.inbox, box.trash]);
    expect(changes?.countsOnly).toEqual([box.inbox, box.trash]);
    expect(changes).toMatchObject({ hasMore: false, newState: stateAt(await currentState(box)) });
  });

  it("come page by page to the same end", async () => {
    const start = await currentState(box);
    const ids = await receive(box, 7);
    await moveMessages(box, ids.slice(0, 4), box.trash);
    const seen = new Set<number>();
    let state = stateAt(start);
    for (let pages = 0; ; pages++) {
      const page = await changesOf(box, state, 2);
      if (!page) throw new Error("the state was forgotten");
      for (const { id } of page.placements.created) seen.add(id);
      expect(page.placements.updated).toEqual([]);
      expect(page.newState.seq).toBeGreaterThan(state.seq);
      // As it goes to a client and comes back.
      state = readState(formatState(page.newState)) ?? stateAt(0);
      if (!page.hasMore) break;
      expect(pages).toBeLessThan(20);
    }
    const there = [...(await list(box.inbox)), ...(await list(box.trash))].map(({ id }) => id);
    expect([...seen].sort()).toEqual(there.sort());
    expect(state).toEqual(stateAt(await currentState(box)));
  });

  it("of a state that is forgotten, or was never, cannot be calculated", async () => {
    await receive(box, 3);
    await box.db.prepare("UPDATE account SET purged = 2 WHERE id = ?1").bind(box.account).run();
    expect(await changesSince(box, 1, 100)).toBeNull();
    expect(await changesSince(box, 2, 100)).not.toBeNull();
    expect(await changesSince(box, 4, 100)).toBeNull();
  });
});

describe("what has left a folder", () => {
  const DAY = 24 * 3600_000;
  const records = async () =>
    (await box.db
      .prepare(
        `SELECT (SELECT count(*) FROM placement WHERE account = ?1 AND gone IS NOT NULL) AS placements,
           (SELECT count(*) FROM folder WHERE account = ?1 AND gone IS NOT NULL) AS folders`,
      )
      .bind(box.account)
      .first()) as unknown;

  it("is forgotten a month later, oldest first and as much as there is time for, its folder last", async () => {
    // Those of other tests would be taken first.
    await box.db.prepare("DELETE FROM account WHERE id <> ?1").bind(box.account).run();
    const made = await succeeded(makeFolder(box, { name: "Short", parent: 0, request: null }, NOON));
    const { moved } = await succeeded(moveMessages(box, await receive(box, 3), made.id));
    await removeMessages(
      box,
      moved.map(({ to }) => to),
      { marked: false },
    );
    await succeeded(removeFolder(box, made.id, "refuse"));
    const before = await currentState(box);
    await purgeChanges(box.db, NOON, 100);
    await receive(box, 1);
    await purgeChanges(box.db, NOON + 29 * DAY, 100);
    expect(await records()).toEqual({ placements: 6, folders: 1 });
    expect(await changesSince(box, 0, 100)).not.toBeNull();
    await purgeChanges(box.db, NOON + 31 * DAY, 5);
    // From now on nobody is told half of it.
    expect(await changesSince(box, 0, 100)).toBeNull();
    expect(await changesSince(box, before, 100)).not.toBeNull();
    expect(await records()).toEqual({ placements: 1, folders: 1 });
    await purgeChanges(box.db, NOON + 31 * DAY, 5);
    expect(await records()).toEqual({ placements: 0, folders: 0 });
    expect(await list(box.inbox)).toHaveLength(1);
  });
});

describe("a mailbox whose database was set back", () => {
  it("gives no number again that clients have seen since, and tells them to begin anew", async () => {
    const [a = 0] = await receive(box, 2);
    const seen = await currentState(box);
    const archive = { id: box.archive, role: "archive" } as const;
    const page = { order: "oldest", deleted: true, limit: 10 } as const;
    await leapAccounts(box.db, [box.account]);
    expect(await changesSince(box, seen, 100)).toBeNull();
    const state = await currentState(box);
    const [b = 0] = await receive(box, 1);
    expect(whereIs(b).uid).toBeGreaterThan(seen);
    expect((await changesSince(box, state, 100))?.placements.created.map(({ id }) => id)).toEqual([b]);
    expect((await readFolder(box, archive, page)).map(({ uid }) => uid).slice(0, 2)).toEqual([1, 2]);
    expect((await readFolder(box, archive, page)).at(-1)?.uid).toBeGreaterThan(3);
    expect(await list(box.inbox)).toMatchObject([{ id: a }, {}, { id: b }]);
  });
});

describe("a client that keeps a copy of a folder", () => {
  const state = () => currentState(box);

  it("hears what has changed there and which UIDs have left, and of a state that is forgotten that it is", async () => {
    const [a = 0, b = 0, c = 0] = await receive(box, 3);
    const since = await state();
    await markMessages(box, [c], { add: SEEN, remove: 0 });
    await markMessages(box, [a], { add: FLAGGED, remove: 0 });
    await moveMessages(box, [b], box.junk);
    const changes = await folderChanges(box, box.inbox, since, 100);
    expect(changes).toEqual({ changed: [c, a], vanished: [whereIs(b).uid] });
    expect(await folderChanges(box, box.junk, since, 100)).toMatchObject({ vanished: [] });
    await box.db
      .prepare("UPDATE account SET purged = ?2 WHERE id = ?1")
      .bind(box.account, since + 1)
      .run();
    expect(await folderChanges(box, box.inbox, since, 100)).toBeNull();
  });

  it("expunges what is flagged \\Deleted in that folder, and nothing else", async () => {
    const ids = await receive(box, 4);
    const [a = 0, b = 0, c = 0] = ids;
    const moved = await succeeded(moveMessages(box, [c], box.junk));
    await markMessages(box, [a, b, moved.moved[0]?.to ?? 0], { add: DELETED, remove: 0 });
    expect(await succeeded(expungeFolder(box, box.inbox))).toEqual({ removed: [a, b], busy: [], hasMore: false });
    expect(await succeeded(expungeFolder(box, box.inbox))).toEqual({ removed: [], busy: [], hasMore: false });
    expect(await list(box.inbox)).toHaveLength(1);
    expect(await list(box.junk)).toHaveLength(1);
  });

  it("lists sizes and dates without reading what the messages say", async () => {
    const [a = 0] = await receive(box, 1);
    const [facts] = await folderFacts(box, { folder: box.inbox, order: "oldest", deleted: true, limit: 10 });
    expect(facts).toMatchObject({ id: a, size: 100, internalAt: NOON, flags: 0 });
  });
});
