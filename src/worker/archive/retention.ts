/**
 * Ninety days. R2's lifecycle rule takes an archived object on its 91st day; the index lets go of it on the 90th; what the
 * portal still references is copied out of the rule's reach on the 85th. Bounded batches, resumable: each hour goes on.
 */
import { ARCHIVE_DAYS, INDEX_TIMEOUT, KEEP_DAYS, MAX_CHANGES_PURGED, STORE_TIMEOUT } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { purgeChanges } from "../store/changes.ts";
import { within } from "../store/deadline.ts";
import {
  dropMessages,
  firstSince,
  keptRows,
  oldestMessages,
  type ReferencedMessage,
  referencedMessages,
  rekey,
} from "../store/expiry.ts";
import { hasTables, shards, shardsInUse } from "../store/shard.ts";
import { readTask, writeTask } from "../store/tasks.ts";
import { copyRaw, deleteRaw, KEPT, keepKey, type RawChange, type RawMetadata, readMetadata, waitsFor } from "./raw.ts";

export interface Retained {
  /** Rows that left the index. */
  readonly purged: number;
  /** Objects that were copied to `mail/`. */
  readonly kept: number;
  /** Objects that could not be copied this time. */
  readonly failed: number;
}

interface Purge {
  readonly keys: readonly string[];
}

type Work = { -readonly [name in keyof Retained]: number };

const DAY = 24 * 3600_000;
/** Rows read, and purged, at once. */
const PAGE = 500;
/** Rows purged of a shard in one run: its 4 million of 90 days make 1,900 an hour. */
const MAX_PURGED = 50_000;
/** Objects copied of a shard in one run, four requests each: an invocation has 10,000. */
const MAX_COPIES = 2_000;
/** At the same time, of the six connections that an invocation has. */
const COPIES_AT_ONCE = 4;
/** Keys that R2 deletes at once; and that are announced before they are deleted, so that their list stays a row. */
const MAX_DELETED = 1_000;
const MAX_ANNOUNCED = 5_000;
/** Characters, of the 8,192 octets of metadata that the envelope leaves. */
const MAX_WAITING = 500;
/** What the portal keeps lies below the youngest expired message for ever: it is looked through once a day, in this hour, UTC. */
const WHOLE_PASS_HOUR = 3;
/** In the other hours, from this age on: cron may have stood still for weeks. */
const LOOK_BACK_DAYS = ARCHIVE_DAYS + 30;

/** @param now unix milliseconds */
export async function hourly(env: Env, now: number): Promise<Retained> {
  const expired = env.DIRECTORY.prepare("DELETE FROM session WHERE expires_at < ?1").bind(now);
  const [retained, sessions] = await Promise.allSettled([
    purge(env, now),
    within(expired.run(), INDEX_TIMEOUT, "D1 purge of sessions"),
  ]);
  if (sessions.status === "rejected") throw sessions.reason;
  if (retained.status === "rejected") throw retained.reason;
  return retained.value;
}

/** One shard that fails does not keep the others from their work; its error is thrown in the end. */
export async function purge(env: Env, now: number): Promise<Retained> {
  const work = { purged: 0, kept: 0, failed: 0 };
  const errors: unknown[] = [];
  for (const { db } of await shardsInUse(env)) {
    try {
      const whole = new Date(now).getUTCHours() === WHOLE_PASS_HOUR;
      const from = whole ? 0 : await firstSince(db, now - LOOK_BACK_DAYS * DAY);
      await keepReferenced(env, db, from, now, work);
      await dropExpired(env, db, from, now, work);
      if (whole) await purgeChanges(db, now, MAX_CHANGES_PURGED);
    } catch (error) {
      errors.push(error);
    }
  }
  try {
    await deleteAnnounced(env);
  } catch (error) {
    errors.push(error);
  }
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors, "retention failed");
  return work;
}

async function keepReferenced(env: Env, db: D1Database, from: number, now: number, work: Work): Promise<void> {
  // What was indexed late may stand behind younger ones: the whole pass looks there too.
  const to = from === 0 ? Number.MAX_SAFE_INTEGER : await firstSince(db, now - KEEP_DAYS * DAY);
  let left = MAX_COPIES;
  for (let after = from - 1; left > 0; ) {
    const rows = await referencedMessages(db, {
      after,
      to,
      before: now - KEEP_DAYS * DAY,
      limit: Math.min(PAGE, left),
    });
    const last = rows.at(-1);
    if (!last) return;
    after = last.id;
    left -= rows.length;
    // Several recipients of one transaction have their octets in one object.
    const objects = [...Map.groupBy(rows, ({ key }) => key)];
    const some = async () => {
      for (let next = objects.shift(); next; next = objects.shift()) {
        const [key, theirs] = next;
        if (await keep(env, db, key, theirs)) work.kept++;
        else work.failed++;
      }
    };
    await Promise.all(Array.from({ length: COPIES_AT_ONCE }, some));
  }
}

/** Copy, then point to the copy; the old object is the rule's. Dying in between, the next hour writes the same copy. */
async function keep(env: Env, db: D1Database, key: string, rows: readonly ReferencedMessage[]): Promise<boolean> {
  try {
    const copy = keepKey(key);
    // Another shard may have rows of the same object, and have copied it before.
    const before = await within(readMetadata(env.MAIL, copy), STORE_TIMEOUT, "R2 head");
    const change = (metadata: RawMetadata) => waitingOf(metadata, rows, before?.waiting ?? []);
    const copied = await within(copyRaw(env.MAIL, key, copy, change), 3 * STORE_TIMEOUT, "R2 copy");
    // Its shard may have been set back to a time before the copy was made: then that is what there is.
    if (!copied && !before) throw new Error("its octets are not in the store");
    const ids = rows.map(({ id }) => id);
    await rekey(db, ids, key, copy);
    return true;
  } catch (error) {
    // Five days are left; each hour tries again.
    console.error("a message of the portal could not be copied out of the archive", key, String(error));
    return false;
  }
}

/** Who is to have it given back, for the day on which the index is made anew; where that is too much to say, nothing is said. */
function waitingOf(
  { recipients }: RawMetadata,
  rows: readonly ReferencedMessage[],
  before: readonly string[],
): RawChange {
  const now = rows.filter((row) => row.waiting === 1);
  const names = now.map(({ to, account }) => waitsFor(recipients.indexOf(to), account));
  const waiting = [...new Set([...before, ...names])];
  return waiting.join(" ").length <= MAX_WAITING ? { waiting } : {};
}

async function dropExpired(env: Env, db: D1Database, from: number, now: number, work: Work): Promise<void> {
  const before = now - ARCHIVE_DAYS * DAY;
  let purged = 0;
  for (let after = from - 1; purged < MAX_PURGED; ) {
    const rows = await oldestMessages(db, after, PAGE);
    const last = rows.at(-1);
    if (!last) break;
    after = last.id;
    const expired = rows.filter(({ live, at }) => live === 0 && at < before);
    await announce(env, expired);
    purged += await dropMessages(
      db,
      expired.map(({ id }) => id),
    );
    // In the order of arrival, but for what was indexed late: a page that ends young has nothing expired behind it.
    if (last.at >= before) break;
  }
  work.purged += purged;
}

/** Copies under `mail/` whose last row is about to go: nobody would know of them afterwards, and no rule takes them. */
async function announce(env: Env, expired: readonly { readonly key: string }[]): Promise<void> {
  const keys = expired.map(({ key }) => key).filter((key) => key.startsWith(KEPT));
  if (keys.length === 0) return;
  let before = await readTask<Purge>(env.DIRECTORY, "purge");
  if (before && before.keys.length >= MAX_ANNOUNCED) {
    await deleteAnnounced(env);
    before = null;
  }
  await writeTask<Purge>(env.DIRECTORY, "purge", { keys: [...new Set([...(before?.keys ?? []), ...keys])] });
}

/** Those that were announced and that no shard has a row of any more. Dying in between, the next hour goes on. */
async function deleteAnnounced(env: Env): Promise<void> {
  const task = await readTask<Purge>(env.DIRECTORY, "purge");
  if (!task) return;
  // One without tables may have been lost, and its rows with it: until it is there again nobody knows what it still needs.
  if (!(await Promise.all(shards(env).map(hasTables))).every(Boolean)) return;
  const used = new Set<string>();
  for (const { db } of await shardsInUse(env)) for (const { key } of await keptRows(db, task.keys)) used.add(key);
  const unused = task.keys.filter((key) => !used.has(key));
  for (let at = 0; at < unused.length; at += MAX_DELETED) {
    await within(deleteRaw(env.MAIL, ...unused.slice(at, at + MAX_DELETED)), STORE_TIMEOUT, "R2 delete");
  }
  await writeTask<Purge>(env.DIRECTORY, "purge", null);
}
