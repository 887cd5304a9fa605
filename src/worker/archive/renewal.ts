/**
 * The full text of what is stored already, after an upgrade that gave it a new form: made anew in the background, newest first, a
 * bounded part each minute, until every message has it. Once that is done each hour looks at what came since, which costs two rows
 * read a message: while a new version is rolled out, or was gone back from, the one before still writes messages that lack it.
 */
import { REINDEX_GROUP, RENEWAL_ROWS, RENEWAL_TIME } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { firstNumberOf, timeOfNumber } from "../store/numbers.ts";
import { type Shard, shardsInUse } from "../store/shard.ts";
import { readTask, writeTask } from "../store/tasks.ts";
import { lacking, renew } from "./reindex/renew.ts";

/** How far a shard is. Numbers of messages; a pass goes from the newest down to `floor`. */
interface Pass {
  /** Where the next pass ends: what came before this one began is done with it. */
  readonly next: number;
  readonly floor: number;
  /** From here on everything is done; null: all of the pass is. */
  readonly below: number | null;
}

/** By the shard's number. */
type Passes = Readonly<Record<string, Pass>>;

/** Milliseconds before a pass began: what came then may have got its row after it, or could not be read. */
const OVERLAP = 24 * 3600_000;

export interface RenewalOptions {
  /** Shards that are done begin a new pass. */
  readonly again: boolean;
  /** Messages to be made anew at most. */
  readonly rows?: number;
}

/**
 * @param now unix milliseconds
 * @returns messages that have their full text now
 * @throws where a store does not answer: what was written stays, and the next run goes on there. The others are done before
 */
export async function renewFullText(
  env: Env,
  now: number,
  { again, rows = RENEWAL_ROWS }: RenewalOptions,
): Promise<number> {
  const known = (await readTask<Passes>(env.DIRECTORY, "renewal")) ?? {};
  const due = (await shardsInUse(env)).filter(({ number }) => again || known[number]?.below !== null);
  if (due.length === 0) return 0;
  const errors: unknown[] = [];
  let passes = known;
  let renewed = 0;
  for (const shard of due) {
    const course = new Course(env, shard, pass(known[shard.number], now));
    try {
      await course.run(Math.ceil(rows / due.length), Date.now() + RENEWAL_TIME / due.length);
    } catch (error) {
      errors.push(error);
    }
    renewed += course.renewed;
    passes = { ...passes, [shard.number]: course.pass };
  }
  // Dying before this, the next run looks at the same rows again and finds nothing to do there.
  await writeTask<Passes>(env.DIRECTORY, "renewal", passes);
  if (errors.length > 0)
    throw errors.length === 1 ? errors[0] : new AggregateError(errors, "full text was not renewed");
  return renewed;
}

/** The one under way, or a new one. */
function pass(known: Pass | undefined, now: number): Pass {
  if (known && known.below !== null) return known;
  return { next: firstNumberOf(now - OVERLAP), floor: known?.next ?? 0, below: Number.MAX_SAFE_INTEGER };
}

class Course {
  readonly #env: Env;
  readonly #shard: Shard;
  pass: Pass;
  renewed = 0;

  constructor(env: Env, shard: Shard, begun: Pass) {
    this.#env = env;
    this.#shard = shard;
    this.pass = begun;
  }

  /** @param rows to be made anew at most. @param until unix milliseconds: no further group is begun then */
  async run(rows: number, until: number): Promise<void> {
    for (let tried = 0; tried < rows && Date.now() < until; ) {
      const { floor, below } = this.pass;
      if (below === null) return;
      const found = await lacking(this.#shard, { from: floor, below }, "newest");
      if (found.last === null) {
        this.pass = { ...this.pass, below: null };
        return;
      }
      this.renewed += await renew(this.#env, this.#shard, found.rows, ({ key, detail }) =>
        console.error("a message is not found by its words", key, detail),
      );
      tried += found.rows.length;
      // There may be more of them among the rows that were looked at.
      const whole = found.rows.length === REINDEX_GROUP;
      this.pass = { ...this.pass, below: whole ? (found.rows.at(-1)?.id ?? found.last) : found.last };
    }
  }
}

/**
 * Since when a search finds everything, where it does not find older mail yet; else null. For whoever is shown what was found.
 * @param shard null: on all of them
 * @returns unix milliseconds, about
 */
export async function searchableSince(env: Env, shard: number | null): Promise<number | null> {
  const since = await renewedTo(env);
  const late = [...since].filter(([number, at]) => at !== null && (shard === null || number === shard));
  return late.length === 0 ? null : Math.max(...late.map(([, at]) => at ?? 0));
}

/** By the shard's number, unix milliseconds: from then on all have their full text. Null: all of it has. */
export async function renewedTo(env: Env): Promise<ReadonlyMap<number, number | null>> {
  const passes = (await readTask<Passes>(env.DIRECTORY, "renewal")) ?? {};
  return new Map(
    Object.entries(passes).map(([shard, { below, next }]) => {
      // Where nothing could be done yet: when the pass began.
      const reached = below === Number.MAX_SAFE_INTEGER ? timeOfNumber(next) + OVERLAP : timeOfNumber(below ?? 0);
      return [Number(shard), below === null ? null : reached];
    }),
  );
}
