/**
 * The index made anew from R2 and the domains' objects, in bounded steps: the accounts of all mailboxes, then every object under
 * `archive/` in the order of its arrival, then the copies under `mail/`, then the full text of rows that have none. A step may be
 * made twice, and mail flows meanwhile.
 */
import { encodeTime } from "ulidx";
import {
  ARCHIVE_DAYS,
  REINDEX_COPIES,
  REINDEX_GRACE,
  REINDEX_GROUP,
  REINDEX_PAGE,
  REINDEX_PROBLEMS,
  REINDEX_TIME,
  STORE_TIMEOUT,
} from "../../../core/limits.ts";
import type { Env } from "../../env.ts";
import { within } from "../../store/deadline.ts";
import { ARCHIVE, hourPrefix, KEPT } from "../raw.ts";
import {
  type Copy,
  noCounts,
  type ReindexCounts,
  type ReindexOptions,
  type ReindexProblem,
  type ReindexStep,
} from "./contract.ts";
import { type Expected, expectedOf } from "./copies.ts";
import { cursorOf, type Position, positionOf } from "./cursor.ts";
import { indexGroup } from "./group.ts";
import { makeAccounts } from "./mailboxes.ts";
import { presentCopies, settlePresent } from "./present.ts";
import { type RowsAfter, renewRows } from "./renew.ts";

const DAY = 24 * 3600_000;

/** @returns null where the cursor is none of a reindex. @throws where a store does not answer: the step can be made again */
export async function reindexStep(env: Env, options: ReindexOptions, now: number): Promise<ReindexStep | null> {
  const position = options.cursor === null ? { startedAt: now, at: null } : positionOf(options.cursor);
  return position && new Step(env, options, position.startedAt, now).run(position.at);
}

class Step {
  readonly #env: Env;
  readonly #options: ReindexOptions;
  readonly #startedAt: number;
  readonly #now: number;
  readonly #counts: ReindexCounts = noCounts();
  readonly #problems: ReindexProblem[] = [];
  #problemCount = 0;
  #at: number | null = null;
  #wait = 0;

  constructor(env: Env, options: ReindexOptions, startedAt: number, now: number) {
    this.#env = env;
    this.#options = options;
    this.#startedAt = startedAt;
    this.#now = now;
  }

  async run(at: Position["at"]): Promise<ReindexStep> {
    const next = await this.#advance(at);
    const cursor = next && cursorOf({ startedAt: this.#startedAt, at: next });
    const told = { problems: this.#problems, problemCount: this.#problemCount };
    return { cursor, counts: this.#counts, at: this.#at, wait: this.#wait, ...told };
  }

  async #advance(at: Position["at"]): Promise<Position["at"]> {
    if (at === null || at.phase === "mailboxes") {
      const { shard, dryRun } = this.#options;
      const done = await makeAccounts(this.#env, at, shard, !dryRun, this.#now);
      this.#counts.mailboxes += done.mailboxes;
      return done.after ? { phase: "mailboxes", ...done.after } : { phase: "objects", after: this.#before(ARCHIVE) };
    }
    if (at.phase === "rows") return this.#renew(at.after);
    const prefix = at.after.startsWith(KEPT) ? KEPT : ARCHIVE;
    const { after, ended } = await this.#objects(prefix, at.after);
    if (!ended) return { phase: "objects", after };
    return prefix === ARCHIVE ? { phase: "objects", after: this.#before(KEPT) } : { phase: "rows", after: null };
  }

  async #renew(from: RowsAfter | null): Promise<Position["at"]> {
    const { after, renewed, at } = await renewRows(this.#env, from, this.#options, this.#now, (problem) =>
      this.#problem(problem),
    );
    this.#counts.renewed += renewed;
    this.#at = at;
    return after && { phase: "rows", after };
  }

  /** What is just before the first key that counts. */
  #before(prefix: string): string {
    const { since } = this.#options;
    if (since === null) return prefix;
    return prefix === ARCHIVE ? hourPrefix(since).slice(0, -1) : `${KEPT}${encodeTime(since, 10)}`;
  }

  async #objects(prefix: string, after: string): Promise<{ after: string; ended: boolean }> {
    const { MAIL } = this.#env;
    const options: R2ListOptions = { prefix, startAfter: after, limit: REINDEX_PAGE, include: ["customMetadata"] };
    const page = await within(MAIL.list(options), STORE_TIMEOUT, "R2 list");
    const problems: ReindexProblem[] = [];
    const expected = await expectedOf(this.#env, page.objects, (problem) => problems.push(problem));
    const wanted = expected.map((one) => this.#onShard(one));
    const present = await presentCopies(this.#env, wanted);
    if (!this.#options.dryRun) this.#counts.settled += await settlePresent(this.#env, present);
    const objects = new Map(wanted.map((one) => [one.object.key, one]));

    let last = after;
    let room = REINDEX_COPIES;
    for (let from = 0; from < page.objects.length; ) {
      const group: Expected[] = [];
      let to = from;
      for (; to < page.objects.length && group.length < REINDEX_GROUP; to++) {
        const object = page.objects[to];
        const one = object && objects.get(object.key);
        if (!object || this.#isLater(one)) break;
        if (one && this.#isUnderWay(one, present)) break;
        room -= one?.copies.length ?? 0;
        if (room < 0 && to > 0) break;
        if (one) group.push(one);
      }
      await this.#index(group, present);
      for (const { key } of page.objects.slice(from, to)) {
        last = key;
        this.#counts.seen++;
        for (const problem of problems) if (problem.key === key) this.#problem(problem);
      }
      const next = page.objects[to];
      if (next && this.#isLater(objects.get(next.key))) return { after: last, ended: true };
      if (room < 0 || this.#wait > 0 || Date.now() - this.#now > REINDEX_TIME) return { after: last, ended: false };
      from = to;
    }
    return { after: last, ended: !page.truncated };
  }

  #onShard({ object, copies }: Expected): Expected {
    const { shard } = this.#options;
    return { object, copies: shard === null ? copies : copies.filter((copy) => copy.shard === shard) };
  }

  /** Came while the run went on: it has its row without it. */
  #isLater(one: Expected | undefined): boolean {
    return (one?.copies[0]?.receipt.at ?? 0) > this.#startedAt;
  }

  /** The origin may not have answered yet: then nobody knows where it goes. */
  #isUnderWay({ copies }: Expected, present: ReadonlyMap<Copy, number>): boolean {
    const first = copies.find((copy) => {
      const { place, by } = copy.verdict(true);
      return !present.has(copy) && place === "archive" && by === "guess";
    });
    const rest = first ? first.receipt.at + REINDEX_GRACE - this.#now : 0;
    if (rest > 0) this.#wait = rest;
    return rest > 0;
  }

  async #index(group: readonly Expected[], present: ReadonlyMap<Copy, number>): Promise<void> {
    for (const { copies } of group) this.#at = copies[0]?.receipt.at ?? this.#at;
    const due = group.map(({ object, copies }) => ({
      object,
      copies: copies.filter((copy) => {
        if (present.has(copy)) this.#counts.present++;
        else if (this.#isOver(copy)) this.#counts.skipped++;
        else return true;
        return false;
      }),
    }));
    const missing = due.filter(({ copies }) => copies.length > 0);
    await indexGroup(this.#env, missing, {
      counts: this.#counts,
      write: !this.#options.dryRun,
      problem: (problem) => this.#problem(problem),
    });
  }

  /** Its octets are the lifecycle rule's by now, and the index would let go of it at once. */
  #isOver(copy: Copy): boolean {
    const expired = copy.key.startsWith(ARCHIVE) && copy.receipt.at < this.#now - ARCHIVE_DAYS * DAY;
    return expired && copy.verdict(true).place === "archive";
  }

  #problem(problem: ReindexProblem): void {
    this.#problemCount++;
    if (this.#problems.length < REINDEX_PROBLEMS) this.#problems.push(problem);
  }
}
