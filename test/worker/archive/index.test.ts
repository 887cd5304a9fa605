/** A transaction's rows: all or none, once, and findable, whatever the message and however many recipients. */
import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { REPEAT_WINDOW } from "../../../src/core/limits.ts";
import { parseWords } from "../../../src/core/query/parse.ts";
import { ANYWHERE } from "../../../src/core/query/query.ts";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { threadTokens } from "../../../src/worker/archive/thread.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { backlogPage } from "../../../src/worker/store/backlog.ts";
import { findRepeat } from "../../../src/worker/store/messages.ts";
import { arrive, entryOf, folderOf, NOON, placement, seqOf } from "../store/stored.ts";

const db = env.SHARD_0;
let account = 1000;

beforeEach(async () => {
  account += 1000;
  await createAccount(db, account, 1, NOON);
});

const rowsOf = async (of: number) =>
  (await db.prepare("SELECT id, thread, key FROM message WHERE account = ?1 ORDER BY id").bind(of).all()).results;
const found = async (of: number, q: string) =>
  (await searchArchive(env, { kind: "account", account: of, shard: 0 }, parseWords(q, ANYWHERE), null, 10))?.items
    .length;

describe("a transaction", () => {
  it("of a hundred recipients with a long text reaches every inbox", async () => {
    const text = `principium ${"ж ".repeat(128 * 1024)}finis`;
    const entries = Array.from({ length: 100 }, (_, n) =>
      entryOf(account + n, { domain: account, extracted: { text } }),
    );
    const results = await indexMessage(db, entries, { portal: "waiting" });
    expect(results.every(({ isNew }) => isNew)).toBe(true);
    expect(await backlogPage(db, account, null, 200)).toHaveLength(100);
    expect(await found(account + 99, "principium")).toBe(1);
    expect(await found(account + 99, "finis")).toBe(0);
  });

  it("of one recipient has its long text indexed to the end", async () => {
    await arrive(entryOf(account, { extracted: { text: `principium ${"ж ".repeat(128 * 1024)}finis` } }));
    expect(await found(account, "finis")).toBe(1);
  });

  it("is written wholly or not at all", async () => {
    const spoiled = { ...entryOf(account + 1), key: null as unknown as string };
    await expect(indexMessage(db, [entryOf(account), spoiled], { portal: "waiting" })).rejects.toThrow();
    expect(await rowsOf(account)).toEqual([]);
    expect(await seqOf(account)).toBe(0);
    expect(await found(account, "")).toBe(0);
  });

  it("that one of two had before is new to the other alone", async () => {
    const old = entryOf(account);
    await arrive(old);
    const fresh = entryOf(account + 1, { key: "archive/again" });
    const results = await indexMessage(db, [{ ...old, key: "archive/again" }, fresh], { portal: "waiting" });
    expect(results).toEqual([
      { account, isNew: false, key: old.key },
      { account: account + 1, isNew: true, key: "archive/again", seq: 1 },
    ]);
  });

  it("for an account whose rows are missing makes its inbox and shows the message there", async () => {
    const lost = account + 7;
    const [id = 0] = await arrive(entryOf(lost));
    expect(Math.floor(id / 2 ** 32)).toBe(await folderOf(lost, "inbox"));
  });
});

describe("a placement", () => {
  it("has a UID that grows, and the change number with it", async () => {
    const ids = await arrive(entryOf(account), entryOf(account), entryOf(account));
    const inbox = await folderOf(account, "inbox");
    expect(ids.map((id) => id - inbox * 2 ** 32)).toEqual([1, 2, 3]);
    expect((await placement(ids[2] ?? 0))?.modseq).toBe(3);
  });

  it("that a person asked for out of the archive waits for nobody", async () => {
    const entry = entryOf(account, { domain: account });
    await indexMessage(db, [entry], { portal: "again" });
    expect(await backlogPage(db, account, null, 10)).toEqual([]);
  });
});

describe("a repeat", () => {
  it("is known for five days, then it is a message of its own", async () => {
    const first = entryOf(account);
    await arrive(first);
    const { mid, once } = first;
    const within = NOON + REPEAT_WINDOW;
    expect(await findRepeat(db, account, mid, once, within)).toMatchObject({ key: first.key, at: first.at });
    expect(await findRepeat(db, account, mid, once, within + 1)).toBe(null);
    const [late] = await indexMessage(db, [{ ...first, at: within, key: "archive/late" }], { portal: "waiting" });
    expect(late).toEqual({ account, isNew: false, key: first.key });
    const [later] = await indexMessage(db, [{ ...first, at: within + 1, key: "archive/later" }], { portal: "waiting" });
    expect(later).toEqual({ account, isNew: true, key: "archive/later", seq: 2 });
    expect(await rowsOf(account)).toHaveLength(2);
  });

  it("for another account is none", async () => {
    const first = entryOf(account);
    await arrive(first);
    expect(await findRepeat(db, account + 1, first.mid, first.once, NOON)).toBe(null);
  });
});

describe("a thread", () => {
  /** Arrive in this order; of those that share a conversation the same letter. */
  async function conversations(
    ...messages: readonly { id?: string; subject?: string; inReplyTo?: string; references?: string[]; of?: number }[]
  ): Promise<string> {
    const mine = account;
    const own = (id: string) => `${id}.${mine}@example.net`;
    const threads: unknown[] = [];
    for (const { id, subject = "Lunch", inReplyTo, references = [], of = mine } of messages) {
      const entry = entryOf(of, {
        ...(id === undefined ? {} : { mid: own(id) }),
        extracted: {
          subject,
          references: references.map(own),
          ...(inReplyTo === undefined ? {} : { inReplyTo: own(inReplyTo) }),
        },
      });
      await arrive(entry);
      const row = db.prepare("SELECT thread FROM message WHERE account = ?1 AND mid = ?2").bind(of, entry.mid);
      threads.push(await row.first("thread"));
    }
    return threads.map((thread) => "abcdefgh"[threads.indexOf(thread)]).join("");
  }

  it("takes in the answer to one of its messages, and the answer to that", async () => {
    const answer = { id: "2", subject: "Re: Lunch", inReplyTo: "1" };
    const next = { subject: "AW: Re:  lunch", references: ["2"] };
    expect(await conversations({ id: "1" }, answer, next, {})).toBe("aaad");
  });

  it("joins what came out of order: the answer before the question", async () => {
    expect(await conversations({ id: "2", subject: "Re: Lunch", inReplyTo: "1" }, { id: "1" })).toBe("aa");
  });

  it("joins two answers to a message that never came here", async () => {
    const answer = { subject: "Re: Lunch", inReplyTo: "elsewhere" };
    expect(await conversations(answer, answer, { ...answer, inReplyTo: "other" })).toBe("aac");
  });

  it("joins those that share the beginning of a conversation of hundreds of messages", async () => {
    const many = (from: number) => Array.from({ length: 300 }, (_, n) => `between-${from + n}`);
    const far = { references: ["first", ...many(1_000)], subject: "Re: Lunch" };
    expect(await conversations({ id: "first" }, far, { ...far, references: ["first", ...many(5_000)] })).toBe("aaa");
  });

  it("keeps its number when a message comes that belongs to two of them (RFC 8621 §3)", async () => {
    const both = { subject: "Re: Lunch", references: ["1", "2"] };
    expect(await conversations({ id: "1" }, { id: "2" }, both, { inReplyTo: "2" })).toBe("abab");
  });

  it("does not take in a message of the same subject that refers to none of it", async () => {
    expect(await conversations({ id: "1" }, {}, { id: "3", references: ["9"] })).toBe("abc");
  });

  it("does not take in an answer that has become another subject", async () => {
    expect(await conversations({ id: "1" }, { subject: "Dinner (was: Lunch)", inReplyTo: "1" })).toBe("ab");
  });

  it("takes in answers without a subject to a message without one", async () => {
    expect(await conversations({ id: "1", subject: "" }, { subject: "Re:", inReplyTo: "1" })).toBe("aa");
  });

  it("goes on from before the full text had its present form, while what is stored has none yet", async () => {
    await conversations({ id: "1" }, { id: "2", inReplyTo: "1", subject: "Re: Lunch" });
    const row = "SELECT id FROM message WHERE account = ?1";
    // As the version before has left it.
    const scope = threadTokens(account, { messageId: `1.${account}@example.net`, references: [], subject: "Lunch" });
    const insert = `INSERT INTO fts (rowid, scope) SELECT min(id), ?2 FROM (${row})`;
    await db.prepare(insert).bind(account, scope.join(" ")).run();
    await db.prepare(`DELETE FROM full_text WHERE rowid IN (${row})`).bind(account).run();
    await conversations({ id: "3", inReplyTo: "1", subject: "Re: Lunch" });
    const { results } = await db.prepare("SELECT DISTINCT thread FROM message WHERE account = ?1").bind(account).all();
    expect(results).toHaveLength(1);
  });

  it("does not reach into the mail of another account", async () => {
    expect(await conversations({ id: "1" }, { of: account + 1, references: ["1"] })).toBe("ab");
  });
});
