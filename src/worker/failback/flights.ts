/**
 * Redelivery's own record, in the SQLite of the domain's object: written before a message is sent and after the 250, so
 * that a crash repeats at most the one message in flight on each connection, and no two runs send the same message.
 */
import { and, count, eq, gt, gte, inArray, lt, or, sql } from "drizzle-orm";
import { CONNECTIONS_PER_INVOCATION, FLIGHT_LEASE, FLIGHT_MEMORY, WITHDRAWAL_TIME } from "../../core/limits.ts";
import type { DomainDatabase } from "../domain/database.ts";
import { flight } from "../store/domain.schema.ts";
import type { Report } from "./exchange.ts";
import { Fates } from "./fates.ts";

export type FlightState = (typeof flight.$inferSelect)["state"];

export interface FlightRecord {
  readonly state: FlightState;
  /** Unix milliseconds of the last change. */
  readonly at: number;
  /** How often the origin has deferred it. */
  readonly attempts: number;
  /** Deferred: unix milliseconds of the next try. Withdrawn: until when it is blocked. Awaiting: until when the reply can come. */
  readonly dueAt: number;
  /** JSON of the origin's reply. */
  readonly reply: string | null;
}

type Prepared = ReturnType<typeof prepare>;

/** Building a statement takes longer than running it. */
function prepare(db: DomainDatabase) {
  const { placeholder } = sql;
  return {
    get: db
      .select()
      .from(flight)
      .where(eq(flight.key, placeholder("key")))
      .prepare(),
    claim: db
      .insert(flight)
      .values({ key: placeholder("key"), state: "sending", slot: placeholder("slot"), at: placeholder("now") })
      .onConflictDoUpdate({
        target: flight.key,
        set: { state: "sending", slot: sql`excluded.slot`, at: sql`excluded.at` },
        setWhere: sql`(${flight.state} = 'deferred' AND (${flight.dueAt} <= ${placeholder("now")} OR ${placeholder("early")}))
          OR (${flight.state} = 'sending' AND ${flight.at} < ${placeholder("ended")})
          OR (${flight.state} = 'withdrawn' AND ${flight.dueAt} < ${placeholder("readAt")})
          OR (${flight.state} = 'awaiting' AND ${flight.dueAt} <= ${placeholder("now")})`,
      })
      .returning({ attempts: flight.attempts })
      .prepare(),
    delivered: db
      .update(flight)
      .set({ state: "delivered", at: sql`${placeholder("now")}` })
      .where(eq(flight.key, placeholder("key")))
      .prepare(),
  };
}

export class Flights {
  readonly #db: DomainDatabase;
  readonly fates: Fates;
  /** Until when each action blocks a message, of those that are not settled; what an object forgets as it ends, ends by itself. */
  readonly #acts = new Map<string, readonly number[]>();
  /** What each message of a run needs. */
  readonly #prepared: Prepared;

  constructor(db: DomainDatabase) {
    this.#db = db;
    this.fates = new Fates(db);
    this.#prepared = prepare(db);
  }

  get(key: string): FlightRecord | null {
    return this.#prepared.get.get({ key }) ?? null;
  }

  /**
   * Takes a message to send it: one conditional write. What was withdrawn may be taken again only if it was read from the
   * backlog after the withdrawal ended: then it is known to wait still. A claim ends after FLIGHT_LEASE, should whoever made
   * it have ended without a word.
   *
   * @param readAt unix milliseconds, when the backlog was read
   * @param early also where its pause is not over
   * @returns how often it was deferred before, or null where it is not to be sent now
   */
  claim(key: string, slot: number, now: number, readAt: number, early: boolean): number | null {
    const at = { key, slot, now, readAt, early: early ? 1 : 0, ended: now - FLIGHT_LEASE };
    const row = this.#prepared.claim.get(at);
    return row?.attempts ?? null;
  }

  /**
   * The final dot of these was sent and the reply is awaited elsewhere, before they are shown in any inbox: no run sends them
   * until `dueAt`, however often the object starts anew meanwhile.
   */
  hold(keys: readonly string[], dueAt: number, now: number): void {
    for (const key of keys) {
      this.#db.insert(flight).values({ key, state: "awaiting", at: now, dueAt }).onConflictDoNothing().run();
    }
  }

  /** Those of them that are in one of these states. */
  among(keys: readonly string[], states: readonly FlightState[]): string[] {
    return keys.filter((key) => {
      const state = this.get(key)?.state;
      return state !== undefined && states.includes(state);
    });
  }

  /** After the 250. Kept for FLIGHT_MEMORY: it is never sent again, however late D1 shows another placement of it. */
  delivered(key: string, now: number): void {
    this.#prepared.delivered.run({ key, now });
  }

  /** @param reply JSON of the origin's reply */
  refused(key: string, reply: string, now: number): void {
    this.#db.update(flight).set({ state: "refused", reply, at: now }).where(eq(flight.key, key)).run();
  }

  deferred(key: string, attempts: number, dueAt: number, now: number): void {
    this.#db.update(flight).set({ state: "deferred", attempts, dueAt, at: now }).where(eq(flight.key, key)).run();
  }

  /** D1 has them as refused: a person may have them sent again. The refusal itself is remembered (fates.ts). */
  forgetRefused(keys: readonly string[], now: number): void {
    this.#db.transaction(() => {
      for (const key of keys) {
        const reply = this.get(key)?.reply ?? null;
        this.fates.note([key], "refused", now, reply);
        this.#db.delete(flight).where(eq(flight.key, key)).run();
      }
    });
  }

  /** It was claimed and not sent: its turn is now. The row stays, should a reply come late that is awaited for it. */
  giveBack(key: string, attempts: number, now: number): void {
    this.deferred(key, attempts, now, now);
  }

  /**
   * When the object starts: what it was sending itself has no outcome, and is sent again. What other invocations were sending
   * stays claimed until they have been asked.
   */
  recover(): void {
    this.#db
      .update(flight)
      .set({ state: "deferred", dueAt: 0 })
      .where(and(eq(flight.state, "sending"), lt(flight.slot, CONNECTIONS_PER_INVOCATION)))
      .run();
  }

  /** The connections of other invocations that hold a claim. */
  heldElsewhere(): number[] {
    const rows = this.#db
      .selectDistinct({ slot: flight.slot })
      .from(flight)
      .where(and(eq(flight.state, "sending"), gte(flight.slot, CONNECTIONS_PER_INVOCATION)))
      .all();
    return rows.map((row) => row.slot);
  }

  /** An invocation that was called back has said what it knows of a message. */
  settleClaim(slot: number, report: Report, now: number): void {
    if (report.kind !== "sent") return;
    const known = this.#db.select().from(flight).where(eq(flight.key, report.key)).get();
    if (known?.state !== "sending" || known.slot !== slot) return;
    const { outcome } = report;
    if (outcome.kind === "delivered") this.delivered(report.key, now);
    else if (outcome.kind === "refused") this.refused(report.key, JSON.stringify(outcome.reply), now);
  }

  /** What this connection holds, and of which nothing was sent, goes out again at once. */
  release(slot: number): void {
    this.#db
      .update(flight)
      .set({ state: "deferred", dueAt: 0 })
      .where(and(eq(flight.state, "sending"), eq(flight.slot, slot)))
      .run();
  }

  /** All or none. @returns the keys that are being sent, or are with the origin already */
  withdraw(keys: readonly string[], now: number): string[] {
    const gone = keys.filter((key) => {
      const known = this.get(key);
      if (known?.state === "awaiting") return known.dueAt > now;
      return known?.state === "sending" || known?.state === "delivered";
    });
    if (gone.length > 0) return gone;
    const block = { state: "withdrawn", dueAt: now + WITHDRAWAL_TIME, at: now } as const;
    for (const key of keys) {
      this.#db
        .insert(flight)
        .values({ key, ...block })
        .onConflictDoUpdate({ target: flight.key, set: block })
        .run();
      this.#acts.set(key, [...this.#actsOn(key, now), block.dueAt]);
    }
    return [];
  }

  /**
   * The person's action is done, or has failed. The mark stays, but no longer blocks what is read from the backlog from
   * now on: pages that were read before may still show the message. While others act on their copies of it, it goes on blocking.
   */
  settle(keys: readonly string[], now: number): void {
    for (const key of keys) {
      const others = this.#actsOn(key, now).slice(1);
      if (others.length > 0) {
        this.#acts.set(key, others);
        continue;
      }
      this.#acts.delete(key);
      this.#db
        .update(flight)
        .set({ dueAt: now })
        .where(and(eq(flight.key, key), eq(flight.state, "withdrawn")))
        .run();
    }
  }

  #actsOn(key: string, now: number): number[] {
    return (this.#acts.get(key) ?? []).filter((until) => until > now);
  }

  /** Unix milliseconds; null where nothing is deferred or held. */
  nextDue(): number | null {
    const row = this.#db
      // In the last millisecond of a withdrawal what is read is still blocked: a run at that very time would be in vain.
      .select({ at: sql<number | null>`min(${flight.dueAt} + (${flight.state} = 'withdrawn'))` })
      .from(flight)
      .where(inArray(flight.state, ["deferred", "withdrawn", "awaiting"]))
      .get();
    return row?.at ?? null;
  }

  /** By the origin. */
  countDeferred(): number {
    const byOrigin = and(eq(flight.state, "deferred"), gt(flight.attempts, 0));
    return this.#db.select({ rows: count() }).from(flight).where(byOrigin).get()?.rows ?? 0;
  }

  /**
   * After the whole backlog was read, from `began` on, and D1 has all that was settled: what was not met there, does not
   * wait any more. What the origin has decided is remembered for longer, as its fate.
   */
  sweep(began: number): void {
    for (const key of [...this.#acts.keys()]) if (this.#actsOn(key, began).length === 0) this.#acts.delete(key);
    const decided = or(
      and(eq(flight.state, "delivered"), lt(flight.at, began - FLIGHT_MEMORY)),
      and(eq(flight.state, "refused"), lt(flight.at, began)),
    );
    this.#db.transaction(() => {
      for (const { key, state, at, reply } of this.#db.select().from(flight).where(decided).all()) {
        this.fates.note([key], state === "refused" ? "refused" : "delivered", at, reply);
      }
      this.#db
        .delete(flight)
        .where(
          or(
            decided,
            and(
              inArray(flight.state, ["deferred", "withdrawn", "awaiting"]),
              lt(flight.dueAt, began),
              lt(flight.at, began),
            ),
          ),
        )
        .run();
    });
  }
}
