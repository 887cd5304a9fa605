import { applyD1Migrations, env } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { SEARCH_LOOKED_AT } from "../../../src/core/query/limits.ts";
import type { Query } from "../../../src/core/query/query.ts";
import { type SearchScope, searchArchive } from "../../../src/worker/search/archive.ts";
import { type Asked, queryOf } from "../../../src/worker/search/asked.ts";
import { NOON, store } from "../archive/entry.ts";

// The directory's database serves as a second shard: their tables have different names.
const two = { ...env, SHARD_1: env.DIRECTORY };
const ANN: SearchScope = { kind: "account", account: 1, shard: 0 };
const DOMAIN: SearchScope = { kind: "domain", domainId: 1 };
const HOUR = 3600_000;

beforeAll(async () => {
  await applyD1Migrations(env.DIRECTORY, env.SHARD_MIGRATIONS, "shard_migrations");
  await store({ account: 1, at: NOON, to: "sales@example.org" }, [
    "From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <jm@example.net>",
    "To: Everyone <list@example.net>",
    "Subject: =?utf-8?q?=C3=9Cbung_am_Montag?=",
    "",
    "The annual budget is attached.",
  ]);
  await store({ account: 1, at: NOON + HOUR, direction: "out", from: "ann@example.org", to: "zoe@example.net" }, [
    "From: Ann <ann@example.org>",
    "To: Zoe <zoe@example.net>",
    "Subject: Offer for J\u00fcrgen",
    "",
    "budget of the annual kind",
  ]);
  await store({ account: 2, at: NOON + 2 * HOUR, to: "bob@example.org" }, ["Subject: To Bob", "", "annual budget"]);
  await store({ account: 9, domain: 2, at: NOON + 3 * HOUR }, ["Subject: Another domain", "", "annual budget"]);
});

function asked(filter: Asked): Query {
  const query = queryOf(filter, NOON);
  if (!query.ok) throw new Error(query.error.message);
  return query.value;
}

const subjects = async (filter: Asked, scope: SearchScope = ANN): Promise<string[]> => {
  const found = await searchArchive(env, scope, asked(filter), null, 50);
  return found?.items.map(({ subject }) => subject) ?? ["no such cursor"];
};
const TO_ALL = "\u00dcbung am Montag";
const OFFER = "Offer for J\u00fcrgen";

describe("a search", () => {
  it("finds a mailbox's own mail, newest first, and a domain's with all its mailboxes", async () => {
    expect(await subjects({})).toEqual([OFFER, TO_ALL]);
    expect(await subjects({ q: "annual" }, DOMAIN)).toEqual(["To Bob", OFFER, TO_ALL]);
  });

  it.each<[Asked, string[]]>([
    [{ q: "budget annual" }, [OFFER, TO_ALL]],
    [{ q: '"annual budget"' }, [TO_ALL]],
    [{ q: "annual bud" }, [OFFER, TO_ALL]],
    [{ q: "bud annual" }, []],
    [{ q: '"bud"' }, []],
    [{ q: "uebung" }, []],
    [{ q: "ubung MONTAG" }, [TO_ALL]],
    [{ q: "annual OR nothing" }, [OFFER, TO_ALL]],
    [{ q: "subject:annual or from:jurgen" }, [TO_ALL]],
    [{ q: "annual -from:jurgen" }, [OFFER]],
    [{ q: "-annual" }, []],
    [{ q: "is:outgoing or subject:montag" }, [OFFER, TO_ALL]],
    [{ q: "to:zoe", direction: "in" }, []],
    [{ q: "larger:1M" }, []],
    [{ q: "is:unread" }, []],
    [{ q: "-is:unread annual" }, [OFFER, TO_ALL]],
    [{ q: "has:attachment" }, []],
    [{ q: "header:subject:annual" }, []],
    [{ q: "header:from:jm" }, [TO_ALL]],
    [{ q: "header:bcc" }, []],
    [{ q: "header:to" }, [OFFER, TO_ALL]],
    [{ q: "???" }, []],
    [{ q: '"' }, []],
    [{ q: "  " }, [OFFER, TO_ALL]],
    [{ q: "scope:d2" }, []],
    [{ from: "jurgen" }, [TO_ALL]],
    [{ from: "M\u00dcLLER J\u00fcrgen" }, [TO_ALL]],
    [{ from: "jm@example.net" }, [TO_ALL]],
    [{ subject: "\u00fcbung" }, [TO_ALL]],
    [{ subject: "zoe" }, []],
    [{ to: "everyone" }, [TO_ALL]],
    [{ to: "sales@example.org" }, [TO_ALL]],
    [{ to: "ann@example.org" }, []],
    [{ from: "%" }, []],
    [{ direction: "out" }, [OFFER]],
    [{ direction: "in", q: "annual" }, [TO_ALL]],
    [{ since: NOON + 1 }, [OFFER]],
    [{ until: NOON + HOUR }, [TO_ALL]],
    [{ since: NOON, until: NOON }, []],
  ])("for %j finds %j", async (filter, expected) => {
    expect(await subjects(filter)).toEqual(expected);
  });
});

it("a message has an attachment where something came with it that is no picture within its text", async () => {
  const part = (...lines: string[]) => ["--b", ...lines, ""];
  const mixed = (subject: string, type: string, ...parts: string[]) => [
    `Subject: ${subject}`,
    "MIME-Version: 1.0",
    `Content-Type: ${type}; boundary=b`,
    "",
    ...part("Content-Type: text/html", "", "<img src=cid:x>"),
    ...parts,
    "--b--",
  ];
  const picture = part(
    "Content-Type: image/png; name=logo.png",
    "Content-ID: <x>",
    "Content-Disposition: inline",
    "",
    "x",
  );
  const report = part("Content-Type: application/pdf; name=report.pdf", "Content-Disposition: attachment", "", "x");
  await store({ account: 60, domain: 6 }, mixed("Picture", "multipart/related", ...picture));
  await store({ account: 60, domain: 6, at: NOON + 1000 }, mixed("Report", "multipart/mixed", ...report));
  const scope: SearchScope = { kind: "account", account: 60, shard: 0 };
  expect(await subjects({ q: "has:attachment" }, scope)).toEqual(["Report"]);
  expect(await subjects({ q: "-has:attachment" }, scope)).toEqual(["Picture"]);
  expect(await subjects({ q: "filename:logo" }, scope)).toEqual(["Picture"]);
});

describe("the pages of a search", () => {
  const MANY: SearchScope = { kind: "domain", domainId: 3 };

  const walk = async (scope: SearchScope, filter: Asked, limit: number): Promise<string[]> => {
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < 100; page++) {
      const found = await searchArchive(two, scope, asked(filter), cursor, limit);
      expect(found?.items.length).toBeLessThanOrEqual(limit);
      seen.push(...(found?.items.map(({ subject }) => subject) ?? []));
      cursor = found?.next ?? null;
      if (cursor === null) return seen;
    }
    throw new Error("the pages do not end");
  };

  beforeAll(async () => {
    for (let n = 0; n < 24; n++) {
      const db = n % 3 === 0 ? env.DIRECTORY : env.SHARD_0;
      const account = n % 3 === 0 ? 31 : 30;
      const at = NOON + n * 1000;
      await store({ account, domain: 3, db, at }, [`Subject: ${n % 2 ? "odd" : "even"} ${n}`, "", "of many"]);
    }
  });

  it.each([1, 2, 5, 23, 24, 50])(
    "of %i each are together all mail of both shards, once and newest first",
    async (limit) => {
      const all = Array.from({ length: 24 }, (_, n) => `${n % 2 ? "odd" : "even"} ${n}`).reverse();
      expect(await walk(MANY, {}, limit)).toEqual(all);
      expect(await walk(MANY, { subject: "odd" }, limit)).toEqual(all.filter((subject) => subject.startsWith("odd")));
    },
  );

  it.each([1, 2, 3, 7, 11, 12, 50])(
    "of %i each leave nothing out and have nothing twice where mail of two shards came at the very same time",
    async (limit) => {
      const scope: SearchScope = { kind: "domain", domainId: 100 + limit };
      const sent: string[] = [];
      for (let n = 0; n < 12; n++) {
        const [db, account] = n % 2 === 0 ? [env.SHARD_0, 60 + limit] : [env.DIRECTORY, 160 + limit];
        const subject = `at once ${limit} ${n}`;
        // Four of each time, two on each shard.
        const at = NOON + Math.floor(n / 4);
        await store({ account, domain: 100 + limit, db, at }, [`Subject: ${subject}`, "", "x"]);
        sent.push(subject);
      }
      const seen = await walk(scope, {}, limit);
      expect([...seen].sort()).toEqual([...sent].sort());
      const times = seen.map((subject) => Math.floor(sent.indexOf(subject) / 4));
      expect(times).toEqual([...times].sort().reverse());
    },
  );

  it("leave nothing out where mail was indexed later than it came", async () => {
    for (const [subject, at] of [
      ["late", 5],
      ["later", 1],
      ["latest", 9],
      ["last", 3],
    ] as const) {
      await store({ account: 40, domain: 4, at: NOON + at }, [`Subject: ${subject}`, "", "x"]);
    }
    const scope: SearchScope = { kind: "account", account: 40, shard: 0 };
    for (const limit of [1, 2, 3])
      expect((await walk(scope, {}, limit)).sort()).toEqual(["last", "late", "later", "latest"]);
  });

  it("go on where so many rows were looked at without a match, until the one is found", async () => {
    const meta = JSON.stringify({ to: [], cc: [], attachments: [], envelope: { to: "x@example.org" } });
    const row =
      "INSERT INTO message (account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta, number)";
    // Made in the database: bound one by one they would take long.
    const numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
    const most = SEARCH_LOOKED_AT + 500;
    await env.SHARD_0.batch([
      env.SHARD_0.prepare("INSERT INTO account (id, domain) VALUES (50, 5)"),
      env.SHARD_0.prepare(
        `${row} ${numbers} SELECT 50, 'm' || i, 'o', i, 'in', ?3, iif(i = 1, 9000, 1), 'archive/x', 's', 's', '', ?2, i FROM n`,
      ).bind(most, meta, NOON),
      env.SHARD_0.prepare(
        "INSERT INTO full_text (rowid, scope) SELECT id, 'a50 d5 in' FROM message WHERE account = 50",
      ),
    ]);
    for (const scope of [
      { kind: "account", account: 50, shard: 0 } as const,
      { kind: "domain", domainId: 5 } as const,
    ]) {
      const large = asked({ q: "larger:8k" });
      const first = await searchArchive(env, scope, large, null, 10);
      expect(first?.items).toEqual([]);
      expect(first?.next).not.toBeNull();
      expect(await walk(scope, { q: "larger:8k" }, 10)).toEqual(["s"]);
    }
  });

  it.each(["x", "0", "0.1_", "0.-1", "99999.1"])("have no cursor %s", async (cursor) => {
    expect(await searchArchive(env, ANN, asked({}), cursor, 10)).toBeNull();
  });
});
