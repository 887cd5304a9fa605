/** D1's answer is the plain one, for mail and searches by chance. */
import { applyD1Migrations, env } from "cloudflare:test";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { prepare } from "../../../src/core/query/prepare.ts";
import type { Query } from "../../../src/core/query/query.ts";
import { type Sortable, type SortKey, sorted } from "../../../src/core/query/sort.ts";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { everyHitInFolder } from "../../../src/worker/mailbox/searching.ts";
import { type SearchScope, searchArchive } from "../../../src/worker/search/archive.ts";
import { everyHit } from "../../../src/worker/search/every.ts";
import { searchArchiveFolder, searchFolder } from "../../../src/worker/search/folder.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { flagChange } from "../../../src/worker/store/flags.ts";
import { FOLDER_STRIDE } from "../../../src/worker/store/folders.ts";
import { entryOf, NOON } from "../store/stored.ts";
import * as arbitrary from "./arbitrary.ts";
import { type Message, meets, type Place } from "./reference.ts";

const MESSAGES = 90;
const RUNS = 120;
// The directory's database serves as a second shard: their tables have different names.
const two = { ...env, SHARD_1: env.DIRECTORY };
/** Accounts 1 and 2 of domain 1 on the first shard, 3 of domain 1 on the second, 4 of domain 2 on the first. */
const OWNERS = [
  { account: 1, domain: 1, shard: 0, db: env.SHARD_0 },
  { account: 2, domain: 1, shard: 0, db: env.SHARD_0 },
  { account: 3, domain: 1, shard: 1, db: env.DIRECTORY },
  { account: 4, domain: 2, shard: 0, db: env.SHARD_0 },
] as const;
const ROLES = ["inbox", "sent", "drafts"] as const;
const timeOf = (step: number) => NOON + step * 3600_000;

const stored: { readonly message: Message; readonly shard: number }[] = [];
const folders = new Map<string, number>();

beforeAll(async () => {
  await applyD1Migrations(env.DIRECTORY, env.SHARD_MIGRATIONS, "shard_migrations");
  for (const { db, account, domain } of OWNERS) {
    await createAccount(db, account, domain, NOON);
    const { results } = await db
      .prepare("SELECT id, role FROM folder WHERE account = ?1")
      .bind(account)
      .all<{ id: number; role: string }>();
    for (const { id, role } of results) folders.set(`${account} ${role}`, id);
  }
  const facts = fc.sample(arbitrary.message, { numRuns: MESSAGES, seed: 20261124 });
  for (const [index, each] of facts.entries()) await keep(each, index);
}, 120_000);

type Facts = typeof arbitrary.message extends fc.Arbitrary<infer T> ? T : never;

async function keep(facts: Facts, index: number): Promise<void> {
  const owner = OWNERS[facts.owner] ?? OWNERS[0];
  const { db, account, domain } = owner;
  const people = (words: string) => [{ name: words, address: "x@example.net" }];
  const entry = entryOf(account, {
    domain,
    at: timeOf(facts.time) + index,
    size: facts.size,
    direction: facts.direction,
    own: facts.own,
    to: facts.envelope,
    extracted: {
      subject: facts.subject,
      text: facts.body,
      from: people(facts.from),
      to: people(facts.to),
      cc: people(facts.cc),
      bcc: people(facts.bcc),
      attachments: facts.attachments.map((name) => ({ name, type: "text/plain" })),
      hasAttachment: facts.attachments.length > 0,
      fields: facts.headers.map(([name, value]) => ({ name, value })),
      ...(facts.date === null ? {} : { date: timeOf(facts.date) }),
    },
  });
  await indexMessage(db, [entry], { portal: false });
  const row = await db
    .prepare("SELECT id, number FROM message WHERE mid = ?1")
    .bind(entry.mid)
    .first<{ id: number; number: number }>();
  const number = row?.id ?? 0;
  await db.prepare("UPDATE message SET thread = ?2 WHERE id = ?1").bind(number, facts.thread).run();
  const places: Place[] = [];
  for (const [n, one] of facts.places.entries()) {
    const role = ROLES[one.folder] ?? "inbox";
    const folder = folders.get(`${account} ${role}`) ?? 0;
    const uid = index * 10 + n + 1;
    const internalAt = one.internal === null ? null : timeOf(one.internal);
    const bits = flagChange(Object.fromEntries([...one.flags].map((flag) => [flag, true]))).add;
    await db
      .prepare(
        `INSERT INTO placement (id, account, message, modseq, created, flags, keywords, gone, internal_at)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8)`,
      )
      .bind(
        folder * FOLDER_STRIDE + uid,
        account,
        number,
        uid,
        bits,
        one.keywords.length > 0 ? JSON.stringify(one.keywords) : null,
        one.gone ? uid : null,
        internalAt,
      )
      .run();
    places.push({
      folder,
      called: [role],
      uid,
      flags: one.flags,
      keywords: one.keywords,
      modseq: uid,
      gone: one.gone,
      internalAt,
    });
  }
  const whole = (words: string) => `${words} x@example.net`;
  stored.push({
    shard: owner.shard,
    message: {
      account,
      domain,
      number,
      uid: row?.number ?? 0,
      fields: {
        from: whole(facts.from),
        to: whole(facts.to),
        cc: whole(facts.cc),
        bcc: whole(facts.bcc),
        envelope: facts.envelope,
        subject: facts.subject,
        body: facts.body,
      },
      attachments: facts.attachments,
      headers: facts.headers,
      at: entry.at,
      date: facts.date === null ? null : timeOf(facts.date),
      size: facts.size,
      direction: facts.direction,
      thread: facts.thread,
      messageId: entry.mid,
      places,
    },
  });
}

const all = () => stored.map(({ message }) => message);

const queries = () =>
  arbitrary.query({
    times: arbitrary.TIMES.map((step) => timeOf(step) + 30),
    folders: [...folders.values()].slice(0, 9),
    messageIds: stored.slice(0, 5).map(({ message }) => message.messageId),
    numbers: stored.flatMap(({ message }) => [message.uid, ...message.places.map(({ uid }) => uid)]),
    modseqs: [1, 100, 500, 5_000],
  });

const sortable = ({ number, at, date, size, fields }: Message): Sortable => ({
  id: number,
  arrival: at,
  date: date ?? at,
  size,
  subject: fields.subject,
  from: { name: fields.from.slice(0, -" x@example.net".length), address: "x@example.net" },
  to: null,
  cc: null,
});

async function pages(scope: SearchScope, query: Query, limit: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const page = await searchArchive(two, scope, query, cursor, limit);
    found.push(...(page?.items.map(({ id }) => id) ?? ["no such cursor"]));
    cursor = page?.next ?? null;
  } while (cursor !== null);
  return found;
}

describe("for whatever is searched for", () => {
  it.each<[string, SearchScope]>([
    ["a mailbox", { kind: "account", account: 1, shard: 0 }],
    ["a domain over two shards", { kind: "domain", domainId: 1 }],
  ])(
    "%s gives what a plain look at all its mail gives, in its pages",
    async (_name, scope) => {
      const mine = ({ account, domain, uid }: Message) =>
        uid > 0 && (scope.kind === "account" ? account === scope.account : domain === scope.domainId);
      let hits = 0;
      await fc.assert(
        fc.asyncProperty(queries(), fc.constantFrom(2, 40), async (query, limit) => {
          const simple = prepare(query);
          if (!simple.ok) return;
          const expected = stored
            .filter(({ message }) => mine(message) && meets(query, message, null, all()))
            .sort((a, b) => b.message.at - a.message.at)
            .map(({ message, shard }) => `${shard}-${message.number}`);
          hits += expected.length;
          expect(await pages(scope, simple.value, limit)).toEqual(expected);
        }),
        { numRuns: RUNS },
      );
      expect(hits).toBeGreaterThan(RUNS);
    },
    300_000,
  );

  it("a mailbox with what its owner put there gives what a plain look gives, in whichever order", async () => {
    const mail = stored.filter(({ message }) => message.account === 1).map(({ message }) => message);
    const orders = fc.constantFrom<readonly SortKey[]>(
      [],
      [{ by: "size" }],
      [{ by: "date", descending: true }],
      [{ by: "subject" }, { by: "arrival", descending: true }],
      [{ by: "from" }],
    );
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(queries(), orders, async (query, keys) => {
        const simple = prepare(query);
        if (!simple.ok) return;
        const expected = sorted(
          mail.filter((message) => meets(query, message, null, all())).map((message) => sortable(message)),
          keys,
        ).map(({ id }) => id);
        const { hits: found, complete } = await everyHit(
          env.SHARD_0,
          { kind: "mailbox", account: 1 },
          simple.value,
          keys,
        );
        hits += expected.length;
        expect(found.map(({ id }) => id)).toEqual(expected);
        expect(complete).toBe(true);
      }),
      { numRuns: RUNS },
    );
    expect(hits).toBeGreaterThan(RUNS / 2);
  }, 300_000);

  it("a folder gives what a plain look at all its places gives, in its pages", async () => {
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(queries(), fc.constantFrom(2, 40), fc.constantFrom(...ROLES), async (query, limit, role) => {
        const simple = prepare(query);
        if (!simple.ok) return;
        const folder = folders.get(`1 ${role}`) ?? 0;
        const expected = stored
          .flatMap(({ message }) => message.places.map((place) => ({ message, place })))
          .filter(
            ({ message, place }) =>
              message.account === 1 && place.folder === folder && !place.gone && meets(query, message, place, all()),
          )
          .map(({ place }) => folder * FOLDER_STRIDE + place.uid)
          .sort((a, b) => b - a);
        const found: number[] = [];
        let before: number | null = null;
        do {
          const page = await searchFolder(env.SHARD_0, { account: 1, folder }, simple.value, before, limit);
          found.push(...page.items.map(({ id }) => id));
          before = page.before;
        } while (before !== null);
        hits += expected.length;
        expect(found).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
    expect(hits).toBeGreaterThan(RUNS / 2);
  }, 300_000);

  it("the archive folder gives what a plain look at what it shows gives, in its pages and at once", async () => {
    const folder = folders.get("1 archive") ?? 0;
    const box = { env, db: env.SHARD_0, account: 1, name: "a@example.org", domain: "example.org" };
    const shown = (uid: number): Place => ({
      folder,
      called: ["archive"],
      uid,
      flags: new Set(["seen"]),
      keywords: [],
      modseq: 1,
      gone: false,
      internalAt: null,
    });
    let hits = 0;
    await fc.assert(
      fc.asyncProperty(queries(), fc.constantFrom(2, 40), async (query, limit) => {
        const simple = prepare(query);
        if (!simple.ok) return;
        const expected = stored
          .map(({ message }) => message)
          .filter(({ account, uid }) => account === 1 && uid > 0)
          .filter((message) => meets(query, message, shown(message.uid), all()));
        const found: number[] = [];
        let before: number | null = null;
        do {
          const page = await searchArchiveFolder(env.SHARD_0, 1, simple.value, before, limit);
          found.push(...page.items.map(({ id }) => id));
          before = page.before;
        } while (before !== null);
        hits += expected.length;
        expect(found).toEqual(expected.map(({ number }) => number).sort((a, b) => b - a));
        const every = await everyHitInFolder(box, { id: folder, role: "archive" }, simple.value);
        expect(every.hits.map(({ id }) => id)).toEqual(
          expected.map(({ uid }) => folder * FOLDER_STRIDE + uid).sort((a, b) => b - a),
        );
      }),
      { numRuns: RUNS },
    );
    expect(hits).toBeGreaterThan(RUNS / 2);
  }, 300_000);
});
