/** The portal mailbox from outside: folders, many messages at once, octets, changes; and whose they are. */
import { beforeAll, describe, expect, it } from "vitest";
import { addDomain, addUser, asOperator, call, type Json, json } from "./client.ts";
import { deposit, message } from "./deposit.ts";

let alice = "";
let bob = "";
beforeAll(async () => {
  await addDomain("example.org");
  await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  alice = await addUser("alice@example.org");
  bob = await addUser("bob@example.org");
});

interface Item {
  readonly id: string;
  readonly subject: string;
  readonly [name: string]: unknown;
}
const as =
  (token: string) =>
  async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    json(method, `/api/mail${path}`, { token, headers, ...(body === undefined ? {} : { body }) });
const api: ReturnType<typeof as> = (...args) => as(alice)(...args);
const list = async (folder: string, token = alice) =>
  (await as(token)("GET", `/messages?folder=${folder}&limit=200`)).body.items as Item[];
const arrive = async (...subjects: string[]): Promise<string[]> => {
  for (const subject of subjects) await deposit({ mailbox: "alice@example.org", octets: message(subject) });
  const items = await list("inbox");
  return subjects.map((subject) => items.find((item) => item.subject === subject)?.id ?? "");
};
const became = (body: Json) => (body.items as { became: string }[]).map((item) => item.became);

describe("folders", () => {
  it("are made, called otherwise, put elsewhere, shown with what is in them, and deleted", async () => {
    const made = await api("POST", "/folders", { name: "Work" });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "Work", title: "Work", parent: null, role: null, messages: 0 },
    });
    const inside = await api("POST", "/folders", { name: "2026", parent: "Work" });
    expect(inside.body).toMatchObject({ title: "2026", parent: made.body.id, name: inside.body.id });
    const [id] = await arrive("For work");
    await api("POST", "/messages/move", { ids: [id], folder: String(inside.body.id) });
    const folders = (await api("GET", "/folders")).body.items as Item[];
    expect(folders.find((one) => one.id === inside.body.id)).toMatchObject({ messages: 1, unseen: 1, readOnly: false });
    expect(folders.find((one) => one.role === "archive")).toMatchObject({ readOnly: true });
    const renamed = await api("PATCH", `/folders/${String(inside.body.id)}`, {
      name: "Old",
      parent: null,
      subscribed: false,
    });
    expect(renamed.body).toMatchObject({ id: inside.body.id, name: "Old", parent: null, subscribed: false });
    expect((await list("Old")).map(({ subject }) => subject)).toEqual(["For work"]);
    expect(await api("DELETE", "/folders/Old")).toMatchObject({ status: 409, body: { code: "has_messages" } });
    expect((await api("DELETE", "/folders/Old?content=trash")).body).toEqual({ moved: 1, left: 0 });
    expect((await api("DELETE", "/folders/Old")).status).toBe(404);
    expect((await list("trash")).some(({ subject }) => subject === "For work")).toBe(true);
  });

  it("are made once by a request that is repeated by its name", async () => {
    const key = { "idempotency-key": "k1" };
    const first = await api("POST", "/folders", { name: "Once" }, key);
    expect(await api("POST", "/folders", { name: "Once" }, key)).toEqual(first);
    expect(await api("POST", "/folders", { name: "Once" })).toMatchObject({ status: 409, body: { code: "exists" } });
  });

  it.each([
    ["POST", "/folders", { name: "a/b" }, 422, 'name: must not contain "/": it separates levels'],
    ["POST", "/folders", { name: "x", parent: "nowhere" }, 422, "parent: there is no such folder"],
    ["PATCH", "/folders/inbox", { name: "x" }, 409, "This folder has its place in every mailbox: it stays."],
    ["DELETE", "/folders/trash", undefined, 409, "This folder has its place in every mailbox: it stays."],
    ["PATCH", "/folders/nowhere", { name: "x" }, 404, 'There is no folder "nowhere".'],
  ])("%s %s %j is refused", async (method, path, body, status, detail) => {
    const answer = await api(method, path, body);
    expect([answer.status, answer.body.detail]).toEqual([status, detail]);
  });
});

describe("many messages at once", () => {
  it("are marked, moved, copied and deleted, each by itself, and it is said that they are not delivered any more", async () => {
    const ids = await arrive("m1", "m2", "m3");
    const marked = await api("PATCH", "/messages", {
      ids: [...ids, "4294967297"],
      seen: true,
      keywords: { add: ["$Later"] },
    });
    expect(became(marked.body)).toEqual(["changed", "changed", "changed", "missing"]);
    expect(marked.body.redelivery).toBe("unchanged");
    expect(await list("inbox")).toEqual(
      expect.arrayContaining([expect.objectContaining({ subject: "m1", seen: true, keywords: ["$later"] })]),
    );
    const copied = await api("POST", "/messages/copy", { ids, folder: "junk" });
    expect(became(copied.body)).toEqual(["copied", "copied", "copied"]);
    const moved = await api("POST", "/messages/move", { ids, folder: "trash" });
    expect(moved.body).toMatchObject({
      redelivery: "cancelled",
      notice: expect.stringContaining("not delivered there any more"),
    });
    const again = await api("POST", "/messages/move", { ids, folder: "trash" });
    expect(again.body.items).toEqual(moved.body.items);
    expect(again.body.redelivery).toBe("unchanged");
    const there = (moved.body.items as { to: string }[]).map(({ to }) => to);
    expect(became((await api("POST", "/messages/delete", { ids: there })).body)).toEqual([
      "removed",
      "removed",
      "removed",
    ]);
    expect((await list("junk")).filter(({ subject }) => /^m\d$/.test(subject))).toHaveLength(3);
  });

  it("that have changed since are left alone where that was asked", async () => {
    const [id] = await arrive("raced");
    const state = Number((await api("GET", "/changes")).body.newState);
    await api("PATCH", "/messages", { ids: [id], flagged: true });
    expect(became((await api("PATCH", "/messages", { ids: [id], seen: true, unchangedSince: state })).body)).toEqual([
      "modified",
    ]);
  });

  it.each([
    [{ ids: [], seen: true }, "ids: must be at least 1 entries"],
    [{ ids: ["x"], seen: true }, "ids.0: is the number of no message"],
    [
      { ids: ["1"], keywords: { add: ["a b"] } },
      'keywords.add.0: must be printable ASCII without space, ( ) { ] % * " and backslash',
    ],
    [{ ids: ["1"], read: true }, "read: unknown setting"],
  ])("cannot be %j", async (body, detail) => {
    expect(await api("PATCH", "/messages", body)).toMatchObject({ status: 422, body: { detail } });
  });
});

describe("the archive as a folder", () => {
  it("lists, opens and gives its messages' octets, and changes none of them", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("Archived only"), portal: false });
    const item = (await list("archive")).find(({ subject }) => subject === "Archived only");
    expect(item).toMatchObject({ seen: true, waiting: false });
    expect((await api("GET", `/messages/${item?.id}`)).body).toMatchObject({
      subject: "Archived only",
      text: "Hello.\n",
    });
    const raw = await call("GET", `/api/mail/messages/${item?.id}/raw`, { token: alice });
    expect(await raw.text()).toBe(message("Archived only"));
    for (const [method, path, body] of [
      ["PATCH", `/messages/${item?.id}`, { seen: false }],
      ["DELETE", `/messages/${item?.id}`, undefined],
      ["PATCH", "/messages", { ids: [item?.id], flagged: true }],
      ["POST", "/messages/move", { ids: [item?.id], folder: "trash" }],
      ["POST", "/messages/delete", { ids: [item?.id] }],
    ] as const) {
      expect(await api(method, path, body), path).toMatchObject({ status: 409, body: { code: "read_only" } });
    }
    expect((await as(bob)("GET", `/messages/${item?.id}`)).status).toBe(404);
  });
});

describe("octets", () => {
  it("come whole, in ranges, by part and by name", async () => {
    const [id] = await arrive("Octets");
    const path = `/api/mail/messages/${id}`;
    const get = (what: string, headers: Record<string, string> = {}) => call("GET", what, { token: alice, headers });
    const whole = message("Octets");
    const range = await get(`${path}/raw`, { range: "bytes=6-11" });
    expect([range.status, range.headers.get("content-range")]).toEqual([206, `bytes 6-11/${whole.length}`]);
    expect(await range.text()).toBe(whole.slice(6, 12));
    expect(await (await get(`${path}/raw`, { range: "bytes=-7" })).text()).toBe(whole.slice(-7));
    expect((await get(`${path}/raw`, { range: `bytes=${whole.length}-` })).status).toBe(416);
    expect(await (await get(`${path}/raw`, { range: "lines=1-2" })).text()).toBe(whole);
    expect(await (await get(`${path}/parts/1`)).text()).toBe("Hello.\r\n");
    expect(await (await get(`${path}/parts/1`, { range: "bytes=1-3" })).text()).toBe("ell");
    expect((await get(`${path}/parts/2`)).status).toBe(404);
    const [item] = (await list("inbox")).filter(({ subject }) => subject === "Octets");
    expect(await (await get(`/api/mail/blobs/${String(item?.blob)}`)).text()).toBe(whole);
    expect(await (await get(`/api/mail/blobs/${String(item?.blob)}-1`)).text()).toBe("Hello.\r\n");
    const end = await get(`/api/mail/blobs/${String(item?.blob)}-1`, { range: "bytes=4-" });
    expect([end.status, end.headers.get("content-range"), await end.text()]).toEqual([206, "bytes 4-7/8", "o.\r\n"]);
    for (const what of [`/api/mail/blobs/${String(item?.blob)}`, `${path}/raw`, `${path}/parts/1`]) {
      expect((await call("GET", what, { token: bob })).status, what).toBe(404);
    }
  });

  it("are put into a folder as they are, once by the name of the request", async () => {
    const body = message("Imported", ["Message-ID: <imported@example.org>"]);
    const put = (headers: Record<string, string>, query = "") =>
      json("POST", `/api/mail/folders/drafts/messages${query}`, {
        token: alice,
        body,
        headers: { "content-type": "message/rfc822", ...headers },
      });
    const key = { "idempotency-key": "import-1" };
    const first = await put(key, "?flags=draft,seen&keywords=a,b&at=2020-01-02T03:04:05Z");
    expect(first).toMatchObject({ status: 201, body: { isNew: true } });
    expect((await put(key)).body).toEqual({ id: first.body.id, isNew: false });
    const items = (await list("drafts")).filter(({ subject }) => subject === "Imported");
    expect(items).toMatchObject([{ id: first.body.id, draft: true, seen: true, keywords: ["a", "b"], waiting: false }]);
    expect(await put({ "content-type": "text/plain" })).toMatchObject({ status: 415 });
    expect(await put({}, "?flags=deleted")).toMatchObject({ status: 422 });
    expect((await list("archive")).some(({ subject }) => subject === "Imported")).toBe(false);
  });
});

describe("changes", () => {
  it("tell what came, is different and went since the state of before", async () => {
    const since = String((await api("GET", "/changes")).body.newState);
    const [a, b] = await arrive("c1", "c2");
    await api("PATCH", "/messages", { ids: [a], seen: true });
    await api("POST", "/messages/delete", { ids: [b] });
    const changes = await api("GET", `/changes?since=${since}`);
    expect(changes.body).toMatchObject({
      oldState: since,
      hasMore: false,
      messages: { created: [a], updated: [], destroyed: [] },
    });
    const state = String(changes.body.newState);
    await api("PATCH", "/messages", { ids: [a], flagged: true });
    expect((await api("GET", `/changes?since=${state}`)).body.messages).toEqual({
      created: [],
      updated: [a],
      destroyed: [],
    });
    expect(await api("GET", `/changes?since=${Number(state) + 1_000}`)).toMatchObject({
      status: 409,
      body: { code: "cannot_calculate_changes" },
    });
    expect((await as(bob)("GET", "/changes?since=0")).body.messages).toEqual({
      created: [],
      updated: [],
      destroyed: [],
    });
  });
});

describe("a conversation", () => {
  it("is shown over all folders, oldest first, to its owner", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("Question", ["Message-ID: <q@example.net>"]) });
    await deposit({ mailbox: "alice@example.org", octets: message("Re: Question", ["In-Reply-To: <deposit-1>"]) });
    const item = (await list("inbox")).find(({ subject }) => subject === "Question");
    await api("POST", "/messages/move", { ids: [item?.id], folder: "junk" });
    const shown = (await api("GET", `/messages?thread=${String(item?.thread)}`)).body.items as Item[];
    expect(shown.map(({ subject }) => subject)).toContain("Question");
    expect((await as(bob)("GET", `/messages?thread=${String(item?.thread)}`)).body.items).toEqual([]);
  });
});
