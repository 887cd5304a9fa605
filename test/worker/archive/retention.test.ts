import { env } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { ANYWHERE, phrase } from "../../../src/core/query/query.ts";
import { hourly, purge } from "../../../src/worker/archive/retention.ts";
import { searchArchive } from "../../../src/worker/search/archive.ts";
import { firstSince } from "../../../src/worker/store/expiry.ts";
import { placeInInbox } from "../../../src/worker/store/placement-changes.ts";
import { fails, withCalls } from "../broken.ts";
import { removePlacement } from "../store/stored.ts";
import { NOON, store } from "./entry.ts";

const DAY = 24 * 3600_000;
const db = env.SHARD_0;
const onDay = (days: number) => NOON + days * DAY;

beforeEach(async () => {
  await db.batch(
    ["placement", "message", "full_text", "account", "folder"].map((table) => db.prepare(`DELETE FROM ${table}`)),
  );
});

const archived = (subject: string, at = NOON) => store({ account: 1, at }, [`Subject: ${subject}`, "", "text"]);
const inPortal = (subject: string, at = NOON) =>
  store({ account: 1, at, portal: true }, [`Subject: ${subject}`, "", "text"]);

const rows = async (): Promise<{ subject: string; key: string }[]> =>
  (await db.prepare("SELECT subject, key FROM message ORDER BY id").all<{ subject: string; key: string }>()).results;
const subjects = async () => (await rows()).map(({ subject }) => subject);
const found = async () => {
  const page = await searchArchive(env, { kind: "account", account: 1, shard: 0 }, phrase(ANYWHERE, "text"), null, 50);
  return page?.items.map(({ subject }) => subject);
};
const numberOf = (key: string) => db.prepare("SELECT id FROM message WHERE key = ?").bind(key).first<number>("id");
const placementOf = (key: string) =>
  db
    .prepare("SELECT p.id FROM placement p JOIN message m ON m.id = p.message WHERE m.key = ? AND p.gone IS NULL")
    .bind(key)
    .first<number>("id");
const octets = async (key: string) => (await env.MAIL.get(key))?.text();

describe("an archived message", () => {
  it("is in the index until its 90th day, and neither found nor there after it", async () => {
    await archived("old");
    await archived("young", onDay(1));
    await archived("newest", onDay(2));
    expect(await purge(env, onDay(90))).toEqual({ purged: 0, kept: 0, failed: 0 });
    expect(await purge(env, onDay(90) + 1)).toEqual({ purged: 1, kept: 0, failed: 0 });
    expect(await subjects()).toEqual(["young", "newest"]);
    expect(await found()).toEqual(["newest", "young"]);
    expect(await purge(env, onDay(90) + 1)).toEqual({ purged: 0, kept: 0, failed: 0 });
  });

  it("stays while it is the newest of all, so that its number is not used again", async () => {
    await archived("old");
    await archived("newest");
    await purge(env, onDay(100));
    expect(await subjects()).toEqual(["newest"]);
    await archived("next", onDay(100));
    await purge(env, onDay(100));
    expect(await subjects()).toEqual(["next"]);
    expect(await found()).toEqual(["next"]);
  });

  it("leaves the records of its placements behind, for who has not heard yet that they are gone; a month later those go", async () => {
    const { key } = await inPortal("deleted");
    await archived("newest", onDay(80));
    await removePlacement(db, 1, (await placementOf(key)) ?? 0);
    const records = () => db.prepare("SELECT count(*) AS n FROM placement").first("n");
    const night = (days: number) => onDay(days) + 15 * 3600_000;
    expect(await purge(env, night(91))).toMatchObject({ purged: 1 });
    expect(await records()).toBe(1);
    await purge(env, night(120));
    expect(await records()).toBe(1);
    await purge(env, night(122));
    expect(await records()).toBe(0);
    expect(await db.prepare("SELECT purged FROM account WHERE id = 1").first("purged")).toBe(2);
  });
});

describe("a message in a folder of the portal", () => {
  it("is copied out of the rule's reach on its 85th day, octets and envelope, and nothing is deleted", async () => {
    const { key } = await inPortal("kept");
    const before = await octets(key);
    expect(await purge(env, onDay(85))).toMatchObject({ kept: 0 });
    expect(await purge(env, onDay(85) + 1)).toEqual({ purged: 0, kept: 1, failed: 0 });
    const [row] = await rows();
    expect(row?.key).toMatch(/^mail\/[0-9A-Z]{26}$/);
    expect(await octets(row?.key ?? "")).toBe(before);
    const envelope = (await env.MAIL.head(key))?.customMetadata;
    expect((await env.MAIL.head(row?.key ?? ""))?.customMetadata).toEqual({ ...envelope, waiting: "0:1" });
    expect(await octets(key)).toBe(before);
    expect(await purge(env, onDay(86))).toMatchObject({ kept: 0, failed: 0 });
  });

  it("never expires while it is there, and does once it is removed", async () => {
    const { key } = await inPortal("kept");
    await archived("newest", onDay(1));
    await purge(env, onDay(86));
    await purge(env, onDay(1000));
    expect(await subjects()).toEqual(["kept", "newest"]);
    expect(await found()).toEqual(["newest", "kept"]);
    const kept = (await rows())[0]?.key ?? key;
    await removePlacement(db, 1, (await placementOf(kept)) ?? 0);
    // Far below the youngest expired: the whole pass of the day finds it.
    await archived("newest of all", onDay(1000));
    const three = onDay(1000) + 15 * 3600_000;
    expect(await purge(env, three)).toMatchObject({ purged: 2 });
    expect(await subjects()).toEqual(["newest of all"]);
  });

  it("to which it came back by a redelivery on its 89th day is kept too", async () => {
    const first = await inPortal("back");
    await archived("newest", onDay(80));
    await removePlacement(db, 1, (await placementOf(first.key)) ?? 0);
    await placeInInbox(db, 1, (await numberOf(first.key)) ?? 0);
    expect(await purge(env, onDay(91))).toEqual({ purged: 0, kept: 1, failed: 0 });
    expect((await rows())[0]?.key).toMatch(/^mail\//);
  });

  it("that came for two mailboxes is copied once for both", async () => {
    const { key } = await inPortal("both");
    await inPortal("both, second row");
    await db.prepare("UPDATE message SET key = ?").bind(key).run();
    expect(await purge(env, onDay(86))).toMatchObject({ kept: 1 });
    const keys = (await rows()).map((row) => row.key);
    expect(keys[0]).toMatch(/^mail\//);
    expect(keys[1]).toBe(keys[0]);
  });

  it("that cannot be copied now is tried again each hour, and others are copied all the same", async () => {
    const { key } = await inPortal("broken");
    await inPortal("whole");
    const saved = await octets(key);
    await env.MAIL.delete(key);
    expect(await purge(env, onDay(86))).toEqual({ purged: 0, kept: 1, failed: 1 });
    expect((await rows())[0]?.key).toBe(key);
    await env.MAIL.put(key, saved ?? "");
    expect(await purge(env, onDay(86))).toEqual({ purged: 0, kept: 1, failed: 0 });
    expect(await octets((await rows())[0]?.key ?? "")).toBe(saved);
  });
});

describe("octets that retention kept for the portal", () => {
  const kept = async () => (await env.MAIL.list({ prefix: "mail/" })).objects.map(({ key }) => key);
  const broken = { ...env, MAIL: withCalls(env.MAIL, { delete: fails("R2") }) };

  /** Kept, and then taken out of its folder. */
  async function removed(subject: string): Promise<string> {
    await inPortal(subject);
    await archived("newest", onDay(95));
    await purge(env, onDay(86));
    const key = (await rows()).find((row) => row.subject === subject)?.key ?? "";
    await removePlacement(db, 1, (await placementOf(key)) ?? 0);
    return key;
  }

  beforeEach(async () => {
    const all = await kept();
    if (all.length > 0) await env.MAIL.delete(all);
  });

  it("go with the last row that has them", async () => {
    const key = await removed("removed");
    expect(await kept()).toEqual([key]);
    expect(await purge(env, onDay(91))).toMatchObject({ purged: 1 });
    expect(await kept()).toEqual([]);
    expect(await env.DIRECTORY.prepare("SELECT count(*) AS n FROM task").first("n")).toBe(0);
  });

  it("go an hour later where R2 did not answer", async () => {
    const key = await removed("removed");
    await expect(purge(broken, onDay(91))).rejects.toThrow("R2 is down");
    expect(await subjects()).toEqual(["newest"]);
    expect(await kept()).toEqual([key]);
    expect(await purge(env, onDay(91) + 3600_000)).toMatchObject({ purged: 0 });
    expect(await kept()).toEqual([]);
  });

  it("stay as long as another mailbox has them", async () => {
    const key = await removed("both");
    await store({ account: 2, at: NOON, portal: true }, ["Subject: both", "", "text"]);
    await db.prepare("UPDATE message SET key = ? WHERE account = 2").bind(key).run();
    await archived("newest of all", onDay(96));
    expect(await purge(env, onDay(91))).toMatchObject({ purged: 1 });
    expect(await kept()).toEqual([key]);
    await db.prepare("UPDATE placement SET gone = 9, waiting = NULL").run();
    await purge(env, onDay(92));
    expect(await kept()).toEqual([]);
  });

  it("say which of its mailboxes was still to have it given back", async () => {
    const { key } = await inPortal("both");
    const other = await store({ account: 2, at: NOON, portal: true }, ["Subject: both", "", "text"]);
    await db.prepare("UPDATE message SET key = ?1 WHERE key = ?2").bind(key, other.key).run();
    await db.prepare("UPDATE placement SET waiting = NULL WHERE account = 1").run();
    await purge(env, onDay(86));
    const [copy] = await kept();
    expect((await env.MAIL.head(copy ?? ""))?.customMetadata?.waiting).toBe("0:2");
  });
});

describe("the hourly run", () => {
  it("goes on behind whatever the portal keeps, page after page", async () => {
    const { extracted, receipt, envelope } = await archived("model", onDay(-1));
    await db.prepare("DELETE FROM message").run();
    const meta = JSON.stringify({ ...extracted, receipt, envelope });
    await db.batch([
      db
        .prepare(
          `INSERT INTO message (account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta)
           WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
           SELECT 1, 'm' || i, 'o', i, 'in', ?1 + i, 1, 'mail/' || i, 's', iif(i % 2, 'live', 'old'), '', ?2 FROM n`,
        )
        .bind(NOON, meta),
      db.prepare("INSERT INTO full_text (rowid, scope, subject) SELECT id, 'a1 d1 in', subject FROM message"),
      db.prepare(
        `INSERT INTO placement (id, account, message, modseq, created)
         SELECT 4294967296 + id, 1, id, 1, 1 FROM message WHERE subject = 'live'`,
      ),
    ]);
    await archived("newest", onDay(91));
    expect(await purge(env, onDay(91))).toEqual({ purged: 1500, kept: 0, failed: 0 });
    expect(new Set(await subjects())).toEqual(new Set(["live", "newest"]));
  });

  it("finds an age by halving, whatever is missing in between", async () => {
    expect(await firstSince(db, NOON)).toBe(1);
    const keys: string[] = [];
    for (let n = 0; n < 9; n++) keys.push((await archived(`${n}`, NOON + n)).key);
    await db
      .prepare("DELETE FROM message WHERE at IN (?, ?)")
      .bind(NOON + 3, NOON + 4)
      .run();
    const first = async (at: number) => {
      const from = await firstSince(db, at);
      return (
        (await db
          .prepare("SELECT subject FROM message WHERE id >= ? ORDER BY id LIMIT 1")
          .bind(from)
          .first("subject")) ?? "none"
      );
    };
    expect(await first(NOON - 1)).toBe("0");
    expect(await first(NOON + 2)).toBe("2");
    expect(await first(NOON + 3)).toBe("5");
    expect(await first(NOON + 8)).toBe("8");
    expect(await first(NOON + 9)).toBe("none");
  });

  it("lets expired sessions go", async () => {
    const insert =
      "INSERT INTO session (hash, kind, name, created_at, expires_at) VALUES (?, 'operator', 'o@example.org', 0, ?)";
    await env.DIRECTORY.batch([
      env.DIRECTORY.prepare(insert).bind("expired", NOON - 1),
      env.DIRECTORY.prepare(insert).bind("open", NOON),
    ]);
    await hourly(env, NOON);
    const { results } = await env.DIRECTORY.prepare("SELECT hash FROM session").all();
    expect(results).toEqual([{ hash: "open" }]);
  });
});

it("octets that another shard may need stay as long as that one has no tables: it may have been lost", async () => {
  const { key } = await inPortal("kept");
  await archived("newest", onDay(95));
  await purge(env, onDay(86));
  const copy = `mail/${key.slice(-26)}`;
  expect(await octets(copy)).toContain("kept");
  await removePlacement(db, 1, (await placementOf(copy)) ?? 0);
  // The directory's database has none of a shard's tables.
  await purge({ ...env, ...{ SHARD_2: env.DIRECTORY } }, onDay(95));
  expect(await subjects()).toEqual(["newest"]);
  expect(await octets(copy)).toContain("kept");
  await purge(env, onDay(95));
  expect(await octets(copy)).toBeUndefined();
});

it("a shard that was set back to before its octets were copied finds the copy, when the archive's rule has taken them", async () => {
  const { key } = await inPortal("kept");
  await archived("newest", onDay(95));
  await purge(env, onDay(86));
  await db.prepare("UPDATE message SET key = ?1 WHERE subject = 'kept'").bind(key).run();
  await env.MAIL.delete(key);
  expect(await purge(env, onDay(92))).toEqual({ purged: 0, kept: 1, failed: 0 });
  const [row] = await rows();
  expect(await octets(row?.key ?? "")).toContain("kept");
});
