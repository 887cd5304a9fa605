/** A list of results that a client keeps, brought up to date by changes alone, is the list that it would be asked anew. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { prepare } from "../../../src/core/query/prepare.ts";
import { ALL, ANYWHERE, and, not, phrase, type Query } from "../../../src/core/query/query.ts";
import type { SortKey } from "../../../src/core/query/sort.ts";
import { queryChanges } from "../../../src/worker/search/changes.ts";
import { collapsed, everyHit } from "../../../src/worker/search/every.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { FLAGGED, SEEN } from "../../../src/worker/store/flags.ts";
import { FOLDER_STRIDE } from "../../../src/worker/store/folders.ts";
import { arrive, entryOf, folderOf, NOON, seqOf } from "../store/stored.ts";

const ANN = 1;
const db = env.SHARD_0;
let inbox = 0;
let trash = 0;

beforeAll(async () => {
  await createAccount(db, ANN, 1, NOON);
  inbox = await folderOf(ANN, "inbox");
  trash = await folderOf(ANN, "trash");
});

async function comes(size: number, word: string): Promise<void> {
  await arrive(entryOf(ANN, { size, at: NOON + size * 1000, extracted: { subject: word } }));
}

/** What any consumer does to the n-th of what is there: each a change with a number of the account's counter. */
async function happens(act: "flag" | "see" | "remove" | "move", n: number): Promise<void> {
  const { results } = await db
    .prepare("SELECT id FROM placement WHERE account = ?1 AND gone IS NULL ORDER BY id")
    .bind(ANN)
    .all<{ id: number }>();
  const id = results[n % Math.max(1, results.length)]?.id;
  if (id === undefined) return;
  const next = db.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(ANN);
  const seq = `(SELECT seq FROM account WHERE id = ${ANN})`;
  const set = (what: string) => db.prepare(`UPDATE placement SET ${what}, modseq = ${seq} WHERE id = ?1`).bind(id);
  if (act === "flag") await db.batch([next, set(`flags = (flags | ${FLAGGED}) - (flags & ${FLAGGED})`)]);
  if (act === "see") await db.batch([next, set(`flags = (flags | ${SEEN}) - (flags & ${SEEN})`)]);
  if (act === "remove") await db.batch([next, set(`gone = ${seq}`)]);
  if (act !== "move") return;
  const to = Math.floor(id / FOLDER_STRIDE) === inbox ? trash : inbox;
  await db.batch([
    next,
    db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, flags)
         SELECT ${to} * ${FOLDER_STRIDE} + ${seq}, account, message, ${seq}, ${seq}, flags FROM placement WHERE id = ?1`,
      )
      .bind(id),
    set(`gone = ${seq}`),
  ]);
}

const step = fc.oneof(
  fc.record({ act: fc.constant("come" as const), size: fc.nat(9), word: fc.constantFrom("alpha", "beta") }),
  fc.record({
    act: fc.constantFrom("flag" as const, "see" as const, "remove" as const, "move" as const),
    n: fc.nat(20),
  }),
);
const FLAG: Query = { kind: "flag", flag: "flagged" };
const UNSEEN: Query = not({ kind: "flag", flag: "seen" });

describe("the results of a search", () => {
  it("are brought up to date by what changed since", async () => {
    const order = fc.constantFrom<readonly SortKey[]>(
      [],
      [{ by: "size" }],
      [{ by: "subject" }, { by: "size", descending: true }],
    );
    const asked = fc.constantFrom<readonly ["folder" | "mailbox", () => Query]>(
      ["folder", () => ALL],
      ["folder", () => UNSEEN],
      ["folder", () => and(FLAG, phrase(ANYWHERE, "alpha"))],
      ["mailbox", () => ({ kind: "folder", among: [inbox] })],
      ["mailbox", () => and(UNSEEN, phrase(["subject"], "beta"))],
      ["mailbox", () => and(FLAG, { kind: "size", atLeast: 3 })],
    );
    let moved = 0;
    await fc.assert(
      fc.asyncProperty(
        asked,
        order,
        fc.array(step, { minLength: 1, maxLength: 8 }),
        async ([kind, of], keys, steps) => {
          const simple = prepare(of());
          if (!simple.ok) throw new Error(simple.error.message);
          const target = kind === "folder" ? { kind, account: ANN, folder: inbox } : { kind, account: ANN };
          const now = async () => (await everyHit(db, target, simple.value, keys)).hits.map(({ id }) => id);
          let known = await now();
          const state = (await seqOf(ANN)) ?? 0;
          for (const one of steps) {
            if (one.act === "come") await comes(one.size, one.word);
            else await happens(one.act, one.n);
          }
          const changes = await queryChanges(db, target, simple.value, keys, state);
          known = known.filter((id) => !changes?.removed.includes(id));
          for (const { index, hit } of changes?.added ?? []) known.splice(index, 0, hit.id);
          moved += changes?.added.length ?? 0;
          expect(known).toEqual(await now());
          expect(changes?.total).toBe(known.length);
          expect(changes?.state).toBe(await seqOf(ANN));
        },
      ),
      { numRuns: 80 },
    );
    expect(moved).toBeGreaterThan(20);
  }, 120_000);

  it("cannot be told by changes where the archive alone may have them, or the state is not known any more", async () => {
    const mailbox = { kind: "mailbox", account: ANN } as const;
    const state = (await seqOf(ANN)) ?? 0;
    expect(await queryChanges(db, mailbox, phrase(ANYWHERE, "alpha"), [], state)).toBeNull();
    expect(await queryChanges(db, mailbox, UNSEEN, [], state)).toMatchObject({ removed: [], added: [] });
    const called: Query = { kind: "folder", called: "inbox" };
    const other: Query = { kind: "conversation", of: "some", is: { kind: "flag", flag: "flagged" } };
    for (const one of [called, and(UNSEEN, not(other))])
      expect(await queryChanges(db, mailbox, one, [], state)).toBeNull();
    expect(await queryChanges(db, mailbox, UNSEEN, [], state + 1)).toBeNull();
    await db.prepare("UPDATE account SET purged = ?2 WHERE id = ?1").bind(ANN, state).run();
    expect(await queryChanges(db, mailbox, UNSEEN, [], state)).not.toBeNull();
    expect(await queryChanges(db, mailbox, UNSEEN, [], state - 1)).toBeNull();
  });

  it("have each conversation once, where that is asked for", () => {
    const hit = (id: number, thread: number) => ({ id, message: id, thread });
    expect(collapsed([hit(3, 1), hit(2, 2), hit(1, 1)])).toEqual([hit(3, 1), hit(2, 2)]);
  });
});
