/**
 * Archive copies whose octets were kept and whose row was not: the origin had the message, the index failed (design, rule 2).
 * An hourly sweep looks for objects without a row. What was to go to the portal and has none was never accepted (rule 1), and
 * of the others the domain's object knows which were refused, or whose sender heard 451; the origin took the rest. Where one shard
 * of several has failed, an object has a row for some of its mailboxes: then the object's note says that there is one too few.
 */
import { MEND_GIVE_UP, MEND_HOURS, MEND_HOURS_A_RUN, PLAN_TIMEOUT, STORE_TIMEOUT } from "../../core/limits.ts";
import type { DomainRpc } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { firstSince } from "../store/expiry.ts";
import { spreadDomains } from "../store/mailboxes.ts";
import { keysBetween } from "../store/messages.ts";
import { shards, shardsInUse } from "../store/shard.ts";
import { readTask, writeTask } from "../store/tasks.ts";
import { hourPrefix } from "./raw.ts";
import { type Copy, noCounts } from "./reindex/contract.ts";
import { type Expected, expectedOf } from "./reindex/copies.ts";
import { indexGroup } from "./reindex/group.ts";
import { presentCopies } from "./reindex/present.ts";

const HOUR = 3600_000;
/** Of one run: an index that was lost is made anew by other means (`npm run reindex`). */
const MAX_MENDED = 200;
/** Objects listed at once: their envelopes and what is known of them are held together. */
const PAGE = 200;

export interface Mended {
  /** Objects that have a row now. */
  readonly mended: number;
  /** Objects whose row could not be written this time either. */
  readonly failed: number;
}

type Work = { -readonly [name in keyof Mended]: number };

/** What the task remembers: the beginning of the last hour that needs no further look, unix milliseconds. */
interface Swept {
  readonly hour: number;
}

/**
 * Looks at the whole hours since the last sweep, oldest first; that of `now` may have mail under way. An hour with a failure
 * is looked at again, until it is MEND_GIVE_UP old.
 * @param now unix milliseconds
 * @throws where a store does not answer; what was reached is remembered
 */
export async function mendArchive(env: Env, now: number): Promise<Mended> {
  const work = { mended: 0, failed: 0 };
  const thisHour = Math.floor(now / HOUR) * HOUR;
  const swept = await readTask<Swept>(env.DIRECTORY, "sweep");
  const from = swept ? swept.hour + HOUR : thisHour - MEND_HOURS * HOUR;
  let open = false;
  for (let hour = from; hour < thisHour && hour < from + MEND_HOURS_A_RUN * HOUR; hour += HOUR) {
    const failedBefore = work.failed;
    if (!(await mendHour(env, hour, work))) break;
    open ||= work.failed > failedBefore && now - hour < MEND_GIVE_UP;
    if (!open) await writeTask<Swept>(env.DIRECTORY, "sweep", { hour });
  }
  return work;
}

/** @returns false where there was too much for one run: the next one goes on with this hour */
async function mendHour(env: Env, hour: number, work: Work): Promise<boolean> {
  const indexed = await keysOfHour(env, hour);
  const spread = shards(env).length > 1 ? await spreadDomains(env) : new Set<string>();
  let cursor: string | undefined;
  do {
    const options: R2ListOptions = { prefix: hourPrefix(hour), include: ["customMetadata"], limit: PAGE };
    const page = await within(env.MAIL.list(cursor ? { ...options, cursor } : options), STORE_TIMEOUT, "R2 list");
    const without = page.objects.filter(({ key }) => !indexed.has(key));
    if (!(await mendObjects(env, without, work))) return false;
    const some = page.objects.filter((one) => indexed.has(one.key) && spread.has(one.customMetadata?.domain ?? ""));
    if (some.length > 0 && !(await mendRest(env, some, work))) return false;
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return true;
}

/** Those that some shard has a row of. @param hour its beginning, unix milliseconds */
async function keysOfHour(env: Env, hour: number): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const { db } of await shardsInUse(env)) {
    const range = { from: await firstSince(db, hour), to: await firstSince(db, hour + 2 * HOUR) };
    for (const key of await keysBetween(db, range, hourPrefix(hour))) keys.add(key);
  }
  return keys;
}

async function mendObjects(env: Env, objects: readonly R2Object[], work: Work): Promise<boolean> {
  const expected = await expectedOf(env, objects, ({ key, detail }) => {
    console.error("an object without a row cannot be placed", key, detail);
    work.failed++;
  });
  for (const one of expected) {
    const copies = one.copies.filter(isArchived);
    if (copies.length === 0) continue;
    if (work.mended + work.failed >= MAX_MENDED) return false;
    await mend(env, { object: one.object, copies }, work);
  }
  return true;
}

/** Objects that some mailbox has: the origin had the message, and the row of another one could not be written. */
async function mendRest(env: Env, objects: readonly R2Object[], work: Work): Promise<boolean> {
  // What cannot be placed has its row: whoever reads that finds out.
  const noted = (await expectedOf(env, objects, () => undefined)).map(({ object, copies }) => ({
    object,
    copies: copies.filter(({ fate, nobody }) => fate === "accepted" && !nobody),
  }));
  const present = await presentCopies(env, noted);
  for (const { object, copies } of noted) {
    const missing = copies.filter((copy) => !present.has(copy));
    if (missing.length === 0) continue;
    if (work.mended + work.failed >= MAX_MENDED) return false;
    await mend(env, { object, copies: missing }, work);
  }
  return true;
}

/**
 * The origin has it, or took it as far as anybody knows. Mail of a mailbox that was removed has its row under another number. What
 * somebody sent is accepted with its row in one batch: without it, it was not.
 */
function isArchived({ verdict, nobody, metadata }: Copy): boolean {
  if (metadata.direction === "out") return false;
  const { place, by } = verdict(true);
  return place === "archive" && !nobody && (by === "known" || metadata.goesTo === "origin");
}

async function mend(env: Env, { object, copies }: Expected, work: Work): Promise<void> {
  const counts = noCounts();
  let failed = false;
  const problem = () => {
    failed = true;
  };
  await indexGroup(env, [{ object, copies }], { counts, write: true, problem });
  if (failed) work.failed++;
  if (counts.indexed === 0) return;
  work.mended++;
  const [first] = copies;
  if (!first) return;
  const { receipt, metadata } = first;
  const data = { id: receipt.id, key: object.key, to: metadata.recipients, known: first.verdict(true).by === "known" };
  const event = { kind: "archive_copy_mended", actor: "system", data };
  const rpc = env.DOMAIN.getByName(metadata.domain) as unknown as DomainRpc;
  await within(rpc.report([{ kind: "event", event }]), PLAN_TIMEOUT, "report to the domain's object");
}
