import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { redeliver } from "../../../src/worker/archive/redeliver.ts";
import { belowOurs, createOrganisation, must, type Organisation } from "../receive/organisation.ts";
import { type Facts, store, storeOctets } from "./entry.ts";

let organisation: Organisation;
let accounts: Record<string, { id: number; domain: number }> = {};

beforeAll(async () => {
  organisation = await createOrganisation("example.org");
  const { results } = await env.DIRECTORY.prepare("SELECT id, domain, address FROM mailbox").all<{
    id: number;
    domain: number;
    address: string;
  }>();
  accounts = Object.fromEntries(results.map((row) => [row.address.split("@")[0] ?? "", row]));
  return () => organisation.origin.close();
});

beforeEach(async () => {
  await organisation.origin.set({});
  await env.SHARD_0.batch([env.SHARD_0.prepare("DELETE FROM placement"), env.SHARD_0.prepare("DELETE FROM message")]);
});

const of = (name: string, facts: Partial<Facts> = {}): Facts => ({
  account: accounts[name]?.id ?? 0,
  domain: accounts[name]?.domain ?? 0,
  to: `${name}@example.org`,
  ...facts,
});
const mode = (mode: string) => must("PUT", "/api/domains/example.org/mode", { mode });

/** @param key of the message in the raw store */
async function again(key: string, to?: string) {
  const id = await env.SHARD_0.prepare("SELECT id FROM message WHERE key = ? ORDER BY id")
    .bind(key)
    .first<number>("id");
  const ctx = createExecutionContext();
  const result = await redeliver(env, ctx, { shard: 0, id: id ?? 0 }, to);
  await waitOnExecutionContext(ctx);
  return result;
}

const LETTER = ["Message-ID: <again@example.net>", "Subject: Again", "", "line", "..", "."];

async function inboxes(): Promise<(readonly [string, string, number | null])[]> {
  const { results } = await env.SHARD_0.prepare(
    `SELECT p.account, m.subject, p.waiting FROM placement p JOIN message m ON m.id = p.message AND m.account = p.account
     JOIN folder f ON f.id = p.id / 4294967296 AND f.role = 'inbox' AND f.account = p.account
     WHERE p.gone IS NULL ORDER BY p.id`,
  ).all<{ account: number; subject: string; waiting: number | null }>();
  const nameOf = (account: number) => Object.keys(accounts).find((name) => accounts[name]?.id === account) ?? "?";
  return results.map(({ account, subject, waiting }) => [nameOf(account), subject, waiting] as const);
}

describe("in normal mode, a message of the archive delivered again", () => {
  beforeAll(async () => {
    await mode("normal");
  });

  it("goes to the origin with its octets, its envelope and two trace fields on top, and to no inbox", async () => {
    const { key } = await store(of("ann", { to: "Info+tag@Example.ORG", from: "" }), LETTER);
    expect(await again(key)).toMatchObject({ kind: "delivered" });
    const taken = (await organisation.origin.messages()).at(-1);
    expect(taken).toMatchObject({ from: "", to: ["Info+tag@Example.ORG"] });
    const octets = new Uint8Array((await (await env.MAIL.get(key))?.arrayBuffer()) ?? new ArrayBuffer());
    expect(belowOurs(taken?.raw ?? new Uint8Array())).toEqual(octets);
    expect(new TextDecoder().decode(taken?.raw)).toMatch(
      /^Received: from mx\.example\.net [\s\S]*?\r\nDelivered-To: Info\+tag@Example\.ORG\r\nMessage-ID/,
    );
    expect(await inboxes()).toEqual([]);
  });

  it("goes out each time it is asked for", async () => {
    const { key } = await store(of("ann"), LETTER);
    const before = (await organisation.origin.messages()).length;
    await again(key);
    await again(key);
    expect((await organisation.origin.messages()).length).toBe(before + 2);
  });

  it("goes to the mailbox asked for", async () => {
    const { key } = await store(of("ann"), LETTER);
    expect(await again(key, "bob@example.org")).toMatchObject({ kind: "delivered" });
    expect((await organisation.origin.messages()).at(-1)?.to).toEqual(["bob@example.org"]);
  });

  it("goes to its sender where it is outgoing, never to its recipients, whoever was asked for", async () => {
    const outgoing = of("ann", { direction: "out", from: "ann@example.org", to: "zoe@example.net" });
    const { key } = await store(outgoing, LETTER);
    expect(await again(key, "bob@example.org")).toMatchObject({ kind: "delivered" });
    expect((await organisation.origin.messages()).at(-1)).toMatchObject({
      from: "ann@example.org",
      to: ["ann@example.org"],
    });
  });

  it("of several MiB arrives whole", { timeout: 60_000 }, async () => {
    const octets = new TextEncoder().encode(`Subject: Large\r\n\r\n${".0123456789\r\n".repeat(250_000)}`);
    const { key } = await storeOctets(of("ann"), octets);
    expect(await again(key)).toMatchObject({ kind: "delivered" });
    const raw = belowOurs((await organisation.origin.messages()).at(-1)?.raw ?? new Uint8Array());
    expect(raw.length).toBe(octets.length);
    expect(await crypto.subtle.digest("SHA-256", raw)).toEqual(await crypto.subtle.digest("SHA-256", octets));
  });

  it("is refused in the origin's own words", async () => {
    await organisation.origin.set({ steps: { rcpt: "550 5.2.1 mailbox closed" } });
    const { key } = await store(of("ann"), LETTER);
    expect(await again(key)).toEqual({
      kind: "refused",
      detail: "Your own server refused it: 550 5.2.1 mailbox closed",
    });
  });

  it.each([["greeting"], ["mail"], ["final"]] as const)(
    "is not delivered where the origin defers it at %s",
    async (verb) => {
      await organisation.origin.set({ steps: { [verb]: "451 4.3.0 later" } });
      const { key } = await store(of("ann"), LETTER);
      expect(await again(key)).toMatchObject({ kind: "unavailable" });
      expect(await inboxes()).toEqual([]);
    },
  );

  it("whose octets are gone is an error, and the origin gets none of it", async () => {
    const { key } = await store(of("ann"), LETTER);
    await env.MAIL.delete(key);
    const before = (await organisation.origin.messages()).length;
    await expect(again(key)).rejects.toThrow("are not in the store");
    expect((await organisation.origin.messages()).length).toBe(before);
  });

  it("that is not there, or of a domain that is none of ours, is said to be so", async () => {
    expect(await again("archive/none")).toMatchObject({
      kind: "unavailable",
      detail: expect.stringContaining("not in the archive"),
    });
    const { key } = await store(of("ann", { to: "someone@elsewhere.test" }), LETTER);
    expect(await again(key)).toMatchObject({
      kind: "unavailable",
      detail: "There is no domain for someone@elsewhere.test.",
    });
  });
});

describe("in emergency mode, a message of the archive delivered again", () => {
  beforeAll(async () => {
    await mode("emergency");
  });

  it("is in the portal inbox and no part of the backlog, each time it is asked for", async () => {
    const { key } = await store(of("ann", { to: "ANN@Example.org" }), LETTER);
    const before = (await organisation.origin.messages()).length;
    expect(await again(key)).toEqual({ kind: "portal", detail: "It is in the portal inbox of ann@example.org." });
    expect(await again(key)).toMatchObject({ kind: "portal" });
    expect(await inboxes()).toEqual([
      ["ann", "Again", null],
      ["ann", "Again", null],
    ]);
    expect((await organisation.origin.messages()).length).toBe(before);
  });

  it("beside the one that waits leaves that one in the backlog", async () => {
    const { key } = await store(of("ann", { portal: true }), LETTER);
    await again(key);
    expect((await inboxes()).map(([, , waiting]) => waiting !== null)).toEqual([true, false]);
  });

  it("to another mailbox is in that one's inbox, with one row of its own however often", async () => {
    const { key } = await store(of("ann"), LETTER);
    for (let time = 0; time < 2; time++) expect(await again(key, "bob@example.org")).toMatchObject({ kind: "portal" });
    expect(await inboxes()).toEqual([
      ["bob", "Again", null],
      ["bob", "Again", null],
    ]);
    const rows = await env.SHARD_0.prepare("SELECT count(*) AS n FROM message WHERE key = ?")
      .bind(key)
      .first<number>("n");
    expect(rows).toBe(2);
  });

  it("goes to its sender's inbox where it is outgoing", async () => {
    const outgoing = of("ann", { direction: "out", from: "Ann@example.org", to: "zoe@example.net" });
    const { key } = await store(outgoing, LETTER);
    expect(await again(key)).toMatchObject({ kind: "portal" });
    expect(await inboxes()).toEqual([["ann", "Again", null]]);
  });

  it("whose octets are gone is an error, and makes no row of a message that there is not", async () => {
    const { key } = await store(of("ann"), LETTER);
    await env.MAIL.delete(key);
    await expect(again(key, "bob@example.org")).rejects.toThrow("are not in the store");
    expect(await inboxes()).toEqual([]);
  });

  it("to a mailbox without continuity is refused", async () => {
    const { key } = await store(of("ann"), LETTER);
    for (const to of ["dan@example.org", "nobody@example.org"]) {
      expect(await again(key, to)).toEqual({ kind: "refused", detail: `${to} is no mailbox with continuity.` });
    }
    expect(await inboxes()).toEqual([]);
  });
});
