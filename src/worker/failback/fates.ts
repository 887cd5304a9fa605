/**
 * What became of messages, in the SQLite of the domain's object, for as long as their octets can be there: what was delivered,
 * refused or taken out must not be queued again when an index that was lost is made anew (docs/decisions/010).
 */

import { eq, inArray, lt, sql } from "drizzle-orm";
import { decodeTime, isValid } from "ulidx";
import { FATE_DAYS, KEEP_DAYS } from "../../core/limits.ts";
import type { FateState } from "../../core/verdict.ts";
import type { DomainDatabase } from "../domain/database.ts";
import { fate, flight } from "../store/domain.schema.ts";

export interface Fate {
  readonly state: FateState;
  /** JSON of the origin's reply. */
  readonly reply: string | null;
}

/** What a person did with one mailbox's copy of a waiting message; `waiting`: took back that it was removed. */
export interface Taken {
  /** The flight's key. */
  readonly flight: string;
  readonly account: number;
  readonly how: "kept" | "removed" | "waiting";
}

const DAY = 24 * 3600_000;

/** The name under which the fate of one mailbox's copy stands. */
export const copyKey = (flight: string, account: number): string => `${flight}\n${account}`;

export class Fates {
  readonly #db: DomainDatabase;
  /** Unix milliseconds. */
  #cleaned = 0;

  readonly #state;

  constructor(db: DomainDatabase) {
    this.#db = db;
    this.#state = db
      .select({ state: fate.state })
      .from(fate)
      .where(eq(fate.key, sql.placeholder("key")))
      .prepare();
  }

  /** What comes later counts. @param keys of flights, or of single copies */
  note(keys: readonly string[], state: FateState, now: number, reply: string | null = null): void {
    for (const key of keys) {
      const row = { state, at: now, until: untilOf(key, now), reply };
      this.#db
        .insert(fate)
        .values({ key, ...row })
        .onConflictDoUpdate({ target: fate.key, set: row })
        .run();
    }
  }

  taken(taken: readonly Taken[], now: number): void {
    for (const { flight, account, how } of taken) this.note([copyKey(flight, account)], how, now);
  }

  /** Longer ago than flights remember. */
  isDelivered(flight: string): boolean {
    return this.#state.get({ key: flight })?.state === "delivered";
  }

  /**
   * What is known of flights, and of single copies of them, by key. What redelivery has in hand is known too.
   * @param flights keys of flights, some hundreds
   */
  of(flights: readonly string[]): Record<string, Fate> {
    const found: Record<string, Fate> = {};
    const list = JSON.stringify(flights);
    const asked = sql`(SELECT value FROM json_each(${list}))`;
    for (const row of this.#db.select().from(flight).where(inArray(flight.key, asked)).all()) {
      const state = row.state === "delivered" || row.state === "refused" ? row.state : "waiting";
      found[row.key] = { state, reply: row.reply };
    }
    // A copy's key is its flight's and a line feed: all lie between the flight's own and the next character.
    const rows = this.#db.all<{ key: string; state: FateState; reply: string | null }>(
      sql`SELECT f.key, f.state, f.reply FROM json_each(${list}) e
          CROSS JOIN ${fate} f ON f.key >= e.value AND f.key < e.value || char(11)`,
    );
    for (const { key, state, reply } of rows) {
      // Where redelivery has settled it since, that is the news.
      const now = found[key];
      if (now?.state !== "delivered" && now?.state !== "refused") found[key] = { state, reply };
    }
    return found;
  }

  /** Once a day. */
  clean(now: number): void {
    if (now - this.#cleaned < DAY) return;
    this.#cleaned = now;
    this.#db.delete(fate).where(lt(fate.until, now)).run();
  }
}

/**
 * Octets under the archive's rule are gone by then. A copy that retention made for the portal says whether it waited at that
 * time, so that of it only what happened later is to be remembered for good; there is next to nothing of that kind.
 */
function untilOf(key: string, now: number): number | null {
  const name = key.slice(0, key.indexOf("\n"));
  const late = isValid(name) && now - decodeTime(name) >= (KEEP_DAYS - 1) * DAY;
  return late ? null : now + FATE_DAYS * DAY;
}
