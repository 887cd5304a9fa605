/** Folders of a portal mailbox: the tree, the names, what is counted in them. */
import { beforeEach, describe, expect, it } from "vitest";
import { MAX_FOLDER_DEPTH } from "../../../src/core/limits.ts";
import { currentState } from "../../../src/worker/mailbox/changes.ts";
import { alterFolder, folderCalled, folders, makeFolder, removeFolder } from "../../../src/worker/mailbox/folders.ts";
import { markMessages, moveMessages, removeMessages } from "../../../src/worker/mailbox/messages.ts";
import { DELETED, DRAFT, SEEN } from "../../../src/worker/store/flags.ts";
import type { Folder } from "../../../src/worker/store/folders.ts";
import { NOON } from "../store/stored.ts";
import { newMailbox, receive, type TestMailbox } from "./mailbox.ts";

let box: TestMailbox;
beforeEach(async () => {
  box = await newMailbox();
});

const make = (name: string, parent = 0, request: string | null = null) =>
  makeFolder(box, { name, parent, request }, NOON);
async function made(name: string, parent = 0): Promise<Folder> {
  const folder = await make(name, parent);
  if (!folder.ok) throw new Error(`${name} was not made: ${folder.error.reason}`);
  return folder.value;
}
const reasonOf = (result: { readonly ok: boolean; readonly error?: { readonly reason: string } }) =>
  result.ok ? "ok" : result.error?.reason;
const counts = async (id: number) => {
  const folder = (await folders(box)).find((one) => one.id === id);
  if (!folder) throw new Error("no such folder");
  const { messages, unseen, unread, deleted, size } = folder;
  return { messages, unseen, unread, deleted, size };
};

describe("a new folder", () => {
  it("lies where it was to lie, and takes mail", async () => {
    const top = await made("Projects");
    const inside = await made("Holdfast", top.id);
    expect(inside).toMatchObject({ parent: top.id, role: null, subscribed: true, messages: 0, uidnext: 1 });
    const [id = 0] = await receive(box, 1);
    await moveMessages(box, [id], inside.id);
    expect(await counts(inside.id)).toMatchObject({ messages: 1 });
  });

  it("whose name is taken is refused, also INBOX in any case at the top", async () => {
    await made("Work");
    expect(reasonOf(await make("Work"))).toBe("exists");
    expect(reasonOf(await make("Inbox"))).toBe("exists");
    expect(reasonOf(await make("inbox", (await made("Old")).id))).toBe("ok");
  });

  it("that is asked for again by the same name of a request is the same folder, and made once", async () => {
    const first = await make("Once", 0, "r1");
    const state = await currentState(box);
    expect(await make("Once", 0, "r1")).toEqual(first);
    expect(await currentState(box)).toBe(state);
    expect(reasonOf(await make("Once", 0, "r2"))).toBe("exists");
  });

  it("has its name in NFC", async () => {
    expect((await made("Bu\u0308ro")).name).toBe("B\u00fcro");
    expect(reasonOf(await make("B\u00fcro"))).toBe("exists");
  });

  it("lies in no folder of somebody else, nor in the archive, nor too deep", async () => {
    const other = await newMailbox();
    expect(reasonOf(await make("X", other.inbox))).toBe("no_parent");
    expect(reasonOf(await make("X", box.archive))).toBe("no_parent");
    let parent = 0;
    for (let level = 0; level < MAX_FOLDER_DEPTH; level++) parent = (await made(`L${level}`, parent)).id;
    expect(reasonOf(await make("deeper", parent))).toBe("too_deep");
  });

  it.each(["", "a/b", "a\u0007", " a", "x".repeat(256), "\ud800"])("is not called %j", async (name) => {
    expect(reasonOf(await make(name))).toBe("bad_name");
  });
});

describe("UIDVALIDITY", () => {
  it("stays with a folder whatever it is called, and is new for a name that is made again", async () => {
    const first = await made("Again");
    const renamed = await alterFolder(box, first.id, { name: "Elsewhere" });
    expect(renamed).toMatchObject({ ok: true, value: { id: first.id, uidvalidity: first.uidvalidity } });
    const second = await made("Again");
    expect(second.uidvalidity).toBeGreaterThan(first.uidvalidity);
    expect(reasonOf(await removeFolder(box, second.id, "refuse"))).toBe("ok");
    expect((await made("Again")).uidvalidity).toBeGreaterThan(second.uidvalidity);
  });
});

describe("a folder that is put elsewhere", () => {
  it("takes what lies in it along, and never lies within itself", async () => {
    const [a, b] = [await made("A"), await made("B")];
    const inside = await made("Inside", a.id);
    expect(reasonOf(await alterFolder(box, a.id, { parent: b.id }))).toBe("ok");
    expect((await folderCalled(box, String(inside.id)))?.parent).toBe(a.id);
    expect(reasonOf(await alterFolder(box, b.id, { parent: inside.id }))).toBe("cycle");
    expect(reasonOf(await alterFolder(box, b.id, { parent: b.id }))).toBe("cycle");
    expect((await folderCalled(box, String(b.id)))?.parent).toBe(0);
  });

  it("is there already where the request is repeated: nothing changes", async () => {
    const a = await made("A");
    const change = { name: "C", subscribed: false };
    expect(await alterFolder(box, a.id, change)).toMatchObject({ ok: true, value: { name: "C", subscribed: false } });
    const state = await currentState(box);
    expect(reasonOf(await alterFolder(box, a.id, change))).toBe("ok");
    expect(await currentState(box)).toBe(state);
  });

  it("is refused where its name is taken there, and nothing of the change is done", async () => {
    const a = await made("A");
    await made("B");
    expect(reasonOf(await alterFolder(box, a.id, { name: "B", subscribed: false }))).toBe("exists");
    expect(await folderCalled(box, "A")).toMatchObject({ id: a.id, subscribed: true });
  });

  it("is neither the inbox nor the archive; they may be unsubscribed", async () => {
    for (const id of [box.inbox, box.archive]) {
      expect(reasonOf(await alterFolder(box, id, { name: "Other" }))).toBe("fixed");
      expect(reasonOf(await alterFolder(box, id, { subscribed: false }))).toBe("ok");
    }
    expect(reasonOf(await alterFolder(box, box.junk, { name: "Spam" }))).toBe("ok");
    expect((await folderCalled(box, "junk"))?.name).toBe("Spam");
  });

  it("is nobody else's", async () => {
    const a = await made("A");
    const other = await newMailbox();
    expect(reasonOf(await alterFolder(other, a.id, { name: "B" }))).toBe("no_folder");
    expect(reasonOf(await removeFolder(other, a.id, "trash"))).toBe("no_folder");
    expect(await folderCalled(box, "A")).not.toBeNull();
  });
});

describe("a folder that is deleted", () => {
  it("must be empty, or its messages go to the trash", async () => {
    const folder = await made("Full");
    const ids = await receive(box, 3);
    await moveMessages(box, ids, folder.id);
    expect(reasonOf(await removeFolder(box, folder.id, "refuse"))).toBe("has_messages");
    expect(await removeFolder(box, folder.id, "trash")).toEqual({ ok: true, value: { moved: 3, left: 0 } });
    expect(await folderCalled(box, "Full")).toBeNull();
    expect(await counts(box.trash)).toMatchObject({ messages: 3 });
    expect(await removeFolder(box, folder.id, "trash")).toEqual({ ok: true, value: { moved: 0, left: 0 } });
  });

  it("is none of the standard ones, and none that folders lie in", async () => {
    const top = await made("Top");
    await made("Inside", top.id);
    expect(reasonOf(await removeFolder(box, top.id, "trash"))).toBe("has_folders");
    for (const id of [box.inbox, box.trash, box.archive]) {
      expect(reasonOf(await removeFolder(box, id, "trash"))).toBe("fixed");
    }
  });
});

describe("what is in a folder", () => {
  it("is counted as mail comes, is marked, moved and removed", async () => {
    const [a = 0, b = 0, c = 0] = await receive(box, 3);
    expect(await counts(box.inbox)).toEqual({ messages: 3, unseen: 3, unread: 3, deleted: 0, size: 300 });
    await markMessages(box, [a], { add: SEEN, remove: 0 });
    await markMessages(box, [b], { add: DRAFT, remove: 0 });
    await markMessages(box, [c], { add: DELETED, remove: 0 });
    expect(await counts(box.inbox)).toEqual({ messages: 3, unseen: 2, unread: 0, deleted: 1, size: 300 });
    await moveMessages(box, [a, b], box.junk);
    expect(await counts(box.inbox)).toEqual({ messages: 1, unseen: 1, unread: 0, deleted: 1, size: 100 });
    expect(await counts(box.junk)).toEqual({ messages: 2, unseen: 1, unread: 0, deleted: 0, size: 200 });
    await removeMessages(box, [c], { marked: true });
    expect(await counts(box.inbox)).toEqual({ messages: 0, unseen: 0, unread: 0, deleted: 0, size: 0 });
  });

  it("has a UIDNEXT that changes when a message comes, and only then", async () => {
    const next = async () => (await folderCalled(box, "inbox"))?.uidnext;
    const [id = 0] = await receive(box, 1);
    const before = await next();
    await markMessages(box, [id], { add: SEEN, remove: 0 });
    await removeMessages(box, [id], { marked: false });
    expect(await next()).toBe(before);
    const [later = 0] = await receive(box, 1);
    expect(await next()).toBe((later % 2 ** 32) + 1);
    expect(later % 2 ** 32).toBeGreaterThanOrEqual(before ?? 0);
  });
});
