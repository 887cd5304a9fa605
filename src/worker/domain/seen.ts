/** Addresses that the origin has accepted and that nobody registered: who would be rejected in an outage. */
import { asc, count, desc, eq, sql } from "drizzle-orm";
import { MAX_SEEN_ADDRESSES, SEEN_AGAIN } from "../../core/limits.ts";
import { seenAddress } from "../store/domain.schema.ts";
import type { DomainDatabase } from "./database.ts";

export class SeenAddresses {
  readonly #db: DomainDatabase;

  constructor(db: DomainDatabase) {
    this.#db = db;
  }

  /** Whether a message to it is worth a report: it is new, or was not reported for some time. @param local in look-up form */
  isNews(local: string, now: number): boolean {
    const row = this.#db
      .select({ lastAt: seenAddress.lastAt })
      .from(seenAddress)
      .where(eq(seenAddress.local, local))
      .get();
    return !row || row.lastAt < now - SEEN_AGAIN;
  }

  /** An origin that accepts every address cannot fill the object: the one that was seen longest ago makes room. */
  add(local: string, now: number): void {
    this.#db
      .insert(seenAddress)
      .values({ local, firstAt: now, lastAt: now })
      .onConflictDoUpdate({
        target: seenAddress.local,
        set: { lastAt: now, messages: sql`${seenAddress.messages} + 1` },
      })
      .run();
    const all = this.#db.select({ rows: count() }).from(seenAddress).get()?.rows ?? 0;
    if (all <= MAX_SEEN_ADDRESSES) return;
    const oldest = this.#db
      .select({ local: seenAddress.local })
      .from(seenAddress)
      .orderBy(asc(seenAddress.lastAt))
      .limit(all - MAX_SEEN_ADDRESSES)
      .all();
    this.forget(oldest.map((row) => row.local));
  }

  forget(locals: readonly string[]): void {
    for (const local of locals) this.#db.delete(seenAddress).where(eq(seenAddress.local, local)).run();
  }

  /** Most used first. */
  list(limit: number): { local: string; firstAt: number; lastAt: number; messages: number }[] {
    return this.#db
      .select()
      .from(seenAddress)
      .orderBy(desc(seenAddress.messages), seenAddress.local)
      .limit(limit)
      .all();
  }
}
