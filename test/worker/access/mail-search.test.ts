import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { firstNumberOf } from "../../../src/worker/store/numbers.ts";
import { writeTask } from "../../../src/worker/store/tasks.ts";
import { addDomain, addUser, asOperator, call, json } from "./client.ts";
import { deposit, message } from "./deposit.ts";

let alice = "";
let bob = "";

beforeAll(async () => {
  await addDomain("example.org");
  await asOperator("PUT", "/api/domains/example.org/mode", { mode: "emergency" });
  alice = await addUser("alice@example.org");
  bob = await addUser("bob@example.org");
  const mailbox = "alice@example.org";
  await deposit({ mailbox, octets: message("Invoice one"), at: Date.now() - 5000 });
  await deposit({ mailbox, octets: message("Invoice two"), at: Date.now() - 4000 });
  await deposit({ mailbox, octets: message("Lunch", [], "about the invoice\r\n"), at: Date.now() - 3000 });
  await deposit({ mailbox, octets: message("Invoice of the archive"), at: Date.now() - 2000, portal: false });
  await deposit({ mailbox: "bob@example.org", octets: message("Invoice of Bob's") });
});

interface Found {
  readonly id: string;
  readonly subject: string;
}

const search = async (query: string, token = alice) => {
  const { status, body } = await json("GET", `/api/mail/messages?${query}`, { token });
  return status === 200
    ? { subjects: (body.items as Found[]).map(({ subject }) => subject), next: body.next as string | null }
    : { status, detail: body.detail };
};
const subjects = async (query: string, token = alice) => (await search(query, token)).subjects;

describe("a search in a folder", () => {
  it("finds what is there, newest first, and nothing of other folders or people", async () => {
    expect(await subjects("q=invoice")).toEqual(["Lunch", "Invoice two", "Invoice one"]);
    expect(await subjects("q=subject:invoice%20-two")).toEqual(["Invoice one"]);
    expect(await subjects("folder=trash&q=invoice")).toEqual([]);
    expect(await subjects("q=invoice", bob)).toEqual(["Invoice of Bob's"]);
  });

  it("knows flags as they are in the folder", async () => {
    const { body } = await json("GET", "/api/mail/messages?q=two", { token: alice });
    const [two] = body.items as Found[];
    await json("PATCH", `/api/mail/messages/${two?.id}`, { token: alice, body: { seen: true, flagged: true } });
    expect(await subjects("q=is:flagged")).toEqual(["Invoice two"]);
    expect(await subjects("q=invoice%20is:unread")).toEqual(["Lunch", "Invoice one"]);
  });

  it("says where the words stand, where it is asked to", async () => {
    const { body } = await json("GET", "/api/mail/messages?q=invoice&limit=2&highlights=true", { token: alice });
    const marks = (body.items as { highlights: unknown }[]).map(({ highlights }) => highlights);
    expect(marks).toEqual([
      { subject: null, preview: "about the <mark>invoice</mark>" },
      { subject: "<mark>Invoice</mark> two", preview: null },
    ]);
    const plain = await json("GET", "/api/mail/messages?q=invoice", { token: alice });
    expect((plain.body.items as object[]).some((item) => "highlights" in item)).toBe(false);
    const page = await (await call("GET", "/mail?q=invoice", { token: alice })).text();
    expect(page).toContain("<mark>Invoice</mark> two");
    expect(page).toContain("about the <mark>invoice</mark>");
  });

  it("comes in pages", async () => {
    const first = await search("q=invoice&limit=2");
    expect(first.subjects).toEqual(["Lunch", "Invoice two"]);
    expect(await search(`q=invoice&limit=2&cursor=${first.next}`)).toEqual({ subjects: ["Invoice one"], next: null });
  });

  it("goes through the archive too, whose messages count as read", async () => {
    const all = ["Invoice of the archive", "Lunch", "Invoice two", "Invoice one"];
    expect(await subjects("folder=archive&q=invoice")).toEqual(all);
    const first = await search("folder=archive&q=invoice&limit=3");
    expect(await subjects(`folder=archive&q=invoice&limit=3&cursor=${first.next}`)).toEqual(all.slice(3));
  });

  it("says what is wrong with what was typed", async () => {
    expect(await search("q=larger:huge")).toEqual({
      status: 422,
      detail: "larger:huge is no size: write larger: and 500k, 5M or 1.5M.",
    });
    expect(await search("folder=nowhere&q=x")).toMatchObject({ status: 404 });
  });

  it("is not found any more once it is marked for removal", async () => {
    await env.SHARD_0.prepare(
      "UPDATE placement SET flags = flags | 16 WHERE message = (SELECT id FROM message WHERE subject = 'Invoice one')",
    ).run();
    expect(await subjects("q=invoice")).toEqual(["Lunch", "Invoice two"]);
  });

  it("says what is not found yet after an upgrade, in a folder and in the archive", async () => {
    const since = Date.UTC(2026, 10, 20, 12);
    const under = { next: 1, floor: 0, below: firstNumberOf(since) };
    await writeTask(env.DIRECTORY, "renewal", { 0: under });
    for (const path of [
      "/api/mail/messages?q=invoice",
      "/api/archive?q=invoice",
      "/api/archive?q=invoice&highlights=true",
    ]) {
      const { body } = await json("GET", path, { token: alice });
      expect(body.searchableSince, path).toBe("2026-11-20T12:00:00.000Z");
    }
    const said = "nothing is found here from before";
    expect(await (await call("GET", "/mail?q=invoice", { token: alice })).text()).toContain(said);
    expect(await (await call("GET", "/archive?q=invoice", { token: alice })).text()).toContain(said);
    expect(await (await call("GET", "/mail", { token: alice })).text()).not.toContain(said);
    await writeTask(env.DIRECTORY, "renewal", { 0: { ...under, below: null } });
    expect((await json("GET", "/api/archive?q=invoice", { token: alice })).body).not.toHaveProperty("searchableSince");
    expect(await (await call("GET", "/archive?q=invoice", { token: alice })).text()).not.toContain(said);
  });

  it("in the archive goes by what the archive shows, whatever is noted of a message elsewhere", async () => {
    const { body } = await json("GET", "/api/mail/messages?folder=archive", { token: alice });
    const listed = (body.items as Found[]).map(({ subject }) => subject);
    expect(await subjects("folder=archive&q=is:read")).toEqual(listed);
    expect(await subjects("folder=archive&q=is:unread")).toEqual([]);
    expect(await subjects("folder=archive&q=is:flagged")).toEqual([]);
    expect(await subjects("q=in:archive")).toContain("Lunch");
  });

  it("has a box on the folder's page, which keeps what was typed", async () => {
    const page = await (await call("GET", "/mail?q=subject:invoice", { token: alice })).text();
    expect(page).toContain("<mark>Invoice</mark> two");
    expect(page).not.toContain("Lunch");
    expect(page).toContain('value="subject:invoice"');
    const wrong = await call("GET", "/mail?q=before:tomorow", { token: alice });
    expect(wrong.status).toBe(422);
    const said = await wrong.text();
    expect(said).toContain("before:tomorow is no date");
    expect(said).not.toContain("<b>Q");
  });
});
