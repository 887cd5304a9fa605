import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { addDomain, addUser, asOperator, call, json, ORIGIN } from "./client.ts";
import { deposit, message } from "./deposit.ts";

interface Listed {
  readonly id: string;
  readonly subject: string;
  readonly [name: string]: unknown;
}

let alice = "";
let bob = "";

beforeAll(async () => {
  await addDomain("example.org");
  await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  alice = await addUser("alice@example.org");
  bob = await addUser("bob@example.org");
});

const list = async (token: string, folder = "inbox"): Promise<Listed[]> =>
  (await json("GET", `/api/mail/messages?folder=${folder}`, { token })).body.items as Listed[];
const find = async (token: string, subject: string, folder = "inbox"): Promise<Listed> => {
  const found = (await list(token, folder)).find((one) => one.subject === subject);
  if (!found) throw new Error(`no message ${subject} in ${folder}`);
  return found;
};
const waiting = async () =>
  ((await asOperator("GET", "/api/domains/example.org")).body.backlog as { waiting: number }).waiting;
const path = ({ id }: Listed) => `/api/mail/messages/${id}`;
const NOTICE =
  "This message was waiting for your own mail server. It is not delivered there any more; the archive keeps a copy.";

describe("a user's mailbox", () => {
  it("has the standard folders, and what is in them", async () => {
    await deposit({ mailbox: "bob@example.org", octets: message("First") });
    const { body } = await json("GET", "/api/mail/folders", { token: bob });
    expect((body.items as Listed[]).map(({ name }) => name)).toEqual([
      "inbox",
      "sent",
      "drafts",
      "trash",
      "junk",
      "archive",
    ]);
    expect((body.items as Listed[])[0]).toMatchObject({ messages: 1, unseen: 1 });
  });

  it("lists the newest first, in pages", async () => {
    for (const subject of ["one", "two", "three"])
      await deposit({ mailbox: "alice@example.org", octets: message(subject) });
    const first = await json("GET", "/api/mail/messages?limit=2", { token: alice });
    expect((first.body.items as Listed[]).map(({ subject }) => subject)).toEqual(["three", "two"]);
    const second = await json("GET", `/api/mail/messages?limit=2&cursor=${String(first.body.next)}`, { token: alice });
    expect(second.body).toMatchObject({ items: [{ subject: "one" }], next: null });
  });

  it("opens a message without marking it, and marks it on request", async () => {
    await deposit({
      mailbox: "alice@example.org",
      octets: message(
        "Open me",
        ["Content-Type: text/html; charset=utf-8", "Cc: =?utf-8?q?J=C3=BCrgen?= <j@example.net>"],
        '<p onclick="x()">Hi</p><script>x()</script>',
      ),
    });
    const item = await find(alice, "Open me");
    expect(item).toMatchObject({
      seen: false,
      flagged: false,
      waiting: true,
      refused: null,
      cc: [{ name: "J\u00fcrgen" }],
    });
    const { body } = await json("GET", path(item), { token: alice });
    expect(body).toMatchObject({ id: item.id, seen: false, subject: "Open me", attachments: [] });
    expect(body.html).toContain("Hi");
    expect(String(body.html)).not.toMatch(/script|onclick/);
    const marked = await json("PATCH", path(item), { token: alice, body: { seen: true, flagged: true } });
    expect(marked.body).toMatchObject({
      id: item.id,
      seen: true,
      flagged: true,
      waiting: true,
      redelivery: "unchanged",
    });
  });

  it("is nobody else's: another user, an administrator and the operator hear 404 or 403", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("Private") });
    const item = await find(alice, "Private");
    for (const [method, body] of [
      ["GET", undefined],
      ["PATCH", { seen: true }],
      ["DELETE", undefined],
    ] as const) {
      expect((await json(method, path(item), { token: bob, ...(body && { body }) })).status).toBe(404);
      expect((await asOperator(method, path(item), body)).status).toBe(403);
    }
    expect((await call("GET", `/mail/messages/${item.id}`, { token: bob })).status).toBe(404);
    expect(await find(alice, "Private")).toMatchObject({ seen: false });
  });

  it.each([
    ["PATCH", { folder: "nowhere" }, 422, "folder: there is no such folder"],
    ["PATCH", { folder: "archive" }, 422, "folder: archive has a copy of every message already: choose another folder"],
    ["PATCH", { read: true }, 422, "read: unknown setting"],
    ["PATCH", { seen: "yes" }, 422, "seen: must be true or false"],
  ])("%s %j is refused", async (method, body, status, sentence) => {
    await deposit({ mailbox: "alice@example.org", octets: message("Refuse") });
    const answer = await json(method, path(await find(alice, "Refuse")), { token: alice, body });
    expect([answer.status, answer.body.detail]).toEqual([status, sentence]);
  });

  it("answers 404 to numbers that are none, and to folders that are not there", async () => {
    for (const id of ["0", "x", "99999999999999999", "-1", "1"]) {
      const { status, body } = await json("GET", `/api/mail/messages/${id}`, { token: alice });
      expect([status, body.detail], id).toEqual([404, "There is no such message in your mailbox."]);
    }
    const { status, body } = await json("GET", "/api/mail/messages?folder=nowhere", { token: alice });
    expect([status, body.detail]).toEqual([404, 'There is no folder "nowhere".']);
  });
});

describe("a message that waits for the origin", () => {
  it("that is moved is not redelivered, and the answer says so", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("Move me") });
    const before = await waiting();
    const moved = await json("PATCH", path(await find(alice, "Move me")), { token: alice, body: { folder: "junk" } });
    expect(moved).toMatchObject({ status: 200, body: { waiting: false, redelivery: "cancelled", notice: NOTICE } });
    expect(await waiting()).toBe(before - 1);
    expect((await find(alice, "Move me", "junk")).id).toBe(moved.body.id);
    expect((await list(alice)).some(({ subject }) => subject === "Move me")).toBe(false);
  });

  it("that is deleted goes to the trash and is not redelivered; deleted there it is gone", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("Delete me") });
    const before = await waiting();
    const deleted = await json("DELETE", path(await find(alice, "Delete me")), { token: alice });
    expect(deleted).toMatchObject({ status: 200, body: { redelivery: "cancelled", notice: NOTICE } });
    expect(await waiting()).toBe(before - 1);
    const inTrash = await find(alice, "Delete me", "trash");
    const gone = await json("DELETE", path(inTrash), { token: alice });
    expect(gone.body).toEqual({ id: null, redelivery: "unchanged" });
    expect((await json("GET", path(inTrash), { token: alice })).status).toBe(404);
    const archived = await json("GET", "/api/archive?subject=Delete", { token: alice });
    expect(archived.body.items).toMatchObject([{ subject: "Delete me" }]);
  });

  it("that is being sent right now answers 409, and stays where it is", async () => {
    const { key, envelope } = await deposit({ mailbox: "alice@example.org", octets: message("In flight") });
    await runInDurableObject(env.DOMAIN.getByName("example.org"), (_object, state) => {
      state.storage.sql.exec(
        "INSERT INTO flight (key, state, slot, at) VALUES (?, 'sending', 1, 1)",
        flightKey(key, envelope.to),
      );
    });
    const item = await find(alice, "In flight");
    for (const [method, body] of [
      ["DELETE", undefined],
      ["PATCH", { folder: "junk" }],
    ] as const) {
      const answer = await json(method, path(item), { token: alice, ...(body && { body }) });
      expect([answer.status, answer.body.code]).toEqual([409, "being_delivered"]);
    }
    expect(await find(alice, "In flight")).toMatchObject({ id: item.id, waiting: true });
    expect((await json("PATCH", path(item), { token: alice, body: { seen: true } })).status).toBe(200);
  });

  it("may not be moved while redelivery cannot be asked to leave it", async () => {
    await deposit({ mailbox: "alice@example.org", octets: message("No object") });
    const item = await find(alice, "No object");
    const DOMAIN = { getByName: () => ({ withdraw: () => Promise.reject(new Error("down")) }) };
    const answer = await json("DELETE", path(item), { token: alice, env: { DOMAIN } as never });
    expect([answer.status, answer.body.detail]).toEqual([
      503,
      "Redelivery could not be asked to leave the message alone. Nothing was changed; try again.",
    ]);
    expect((await find(alice, "No object")).waiting).toBe(true);
  });

  it("of an alias with two holders still waits for the other", async () => {
    const { key } = await deposit({ mailbox: "alice@example.org", to: "info@example.org", octets: message("Shared") });
    await deposit({ mailbox: "bob@example.org", to: "info@example.org", octets: message("Shared"), key });
    await json("DELETE", path(await find(alice, "Shared")), { token: alice });
    expect(await find(bob, "Shared")).toMatchObject({ waiting: true });
  });
});

describe("a message that the origin refused", () => {
  it("stays in the inbox with the origin's words", async () => {
    await deposit({ mailbox: "bob@example.org", octets: message("Refused") });
    const item = await find(bob, "Refused");
    await env.SHARD_0.prepare("UPDATE placement SET waiting = -waiting, refusal = ?1 WHERE id = ?2")
      .bind(JSON.stringify({ code: 550, enhanced: "5.7.1", text: "No <spam> here" }), Number(item.id))
      .run();
    expect(await find(bob, "Refused")).toMatchObject({ waiting: false, refused: "550 5.7.1 No <spam> here" });
    const page = await (await call("GET", `/mail/messages/${item.id}`, { token: bob })).text();
    expect(page).toContain("550 5.7.1 No &lt;spam&gt; here");
  });
});

describe("the webmail", () => {
  const form = (fields: Record<string, string>) => ({
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", origin: ORIGIN },
  });
  const text = async (url: string, token: string) => (await call("GET", url, { token })).text();

  it("shows what waits, marks what is read, and escapes what strangers wrote", async () => {
    const carol = await addUser("carol@example.org");
    await deposit({ mailbox: "carol@example.org", octets: message('<b>Bold</b> & "quoted"') });
    const inbox = await text("/mail", carol);
    expect(inbox).toContain("&lt;b&gt;Bold&lt;/b&gt; &amp;");
    expect(inbox).toContain("message-unseen");
    expect(inbox).toContain("waiting");
    const [item] = await list(carol);
    const read = await text(`/mail/messages/${item?.id}`, carol);
    expect(read).toContain("Waiting for your own mail server.");
    expect(read).toContain("If you delete or move it, it is not delivered there");
    expect(read).not.toMatch(/<script|<b>Bold/);
    expect(await text("/mail", carol)).not.toContain("message-unseen");
  });

  it("moves and deletes, and says that it is not delivered any more", async () => {
    const dora = await addUser("dora@example.org");
    await deposit({ mailbox: "dora@example.org", octets: message("A") });
    await deposit({ mailbox: "dora@example.org", octets: message("B") });
    const a = await find(dora, "A");
    const moved = await call("POST", `/mail/messages/${a.id}`, {
      token: dora,
      ...form({ act: "move", folder: "junk" }),
    });
    expect(moved.headers.get("location")).toBe("/mail?done=cancelled");
    expect(await text("/mail?done=cancelled", dora)).toContain("not delivered to your own mail server any more");
    const b = await find(dora, "B");
    await call("POST", `/mail/messages/${b.id}`, { token: dora, ...form({ act: "flag" }) });
    expect(await find(dora, "B")).toMatchObject({ flagged: true });
    const deleted = await call("POST", `/mail/messages/${b.id}`, { token: dora, ...form({ act: "delete" }) });
    expect(deleted.headers.get("location")).toBe("/mail?done=cancelled");
    expect(await text("/mail/folders/trash", dora)).toContain(">B<");
    expect(await list(dora)).toEqual([]);
  });

  it("frames HTML as a document of its own, under a policy of its own", async () => {
    const erin = await addUser("erin@example.org");
    const html = '<p>Hello</p><img src="https://tracker.test/x.gif"><script>alert(1)</script>';
    await deposit({ mailbox: "erin@example.org", octets: message("HTML", ["Content-Type: text/html"], html) });
    const { id } = await find(erin, "HTML");
    const page = await text(`/mail/messages/${id}`, erin);
    expect(page).toContain(`src="/mail/messages/${id}/body"`);
    expect(page).toContain('sandbox="allow-popups allow-popups-to-escape-sandbox"');
    expect(page).toContain("One image from elsewhere is not loaded");
    const body = await call("GET", `/mail/messages/${id}/body`, { token: erin });
    const policy = body.headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "img-src data:", "form-action 'none'", "sandbox allow-popups"])
      expect(policy).toContain(part);
    const document = await body.text();
    expect(document).toContain("<p>Hello</p>");
    expect(document).not.toMatch(/<script|tracker\.test/);
    expect((await call("GET", `/mail/messages/${id}/body`, { token: bob })).status).toBe(404);
  });
});
