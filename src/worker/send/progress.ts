/**
 * The sender's own record, in the SQLite of the outbound object: written before a final dot and after its reply, so that a crash
 * repeats at most the one message in flight on each connection. D1 follows.
 */
import { and, eq, sql } from "drizzle-orm";
import { progress } from "../store/outbound.schema.ts";
import type { Change } from "../store/outgoing.ts";
import type { OutboundDatabase } from "./database.ts";

export interface Settled {
  readonly shard: number;
  readonly change: Change;
}

export class Progress {
  readonly #db: OutboundDatabase;

  constructor(db: OutboundDatabase) {
    this.#db = db;
  }

  /** When the object starts: what it was sending has no outcome, and is sent again. */
  recover(): void {
    this.#db.delete(progress).where(eq(progress.state, "sending")).run();
  }

  /** Before the final dot. */
  sending(shard: number, recipients: readonly number[], now: number): void {
    this.#db.transaction(() => {
      for (const recipient of recipients) {
        const row = { shard, recipient, state: "sending", at: now } as const;
        this.#db
          .insert(progress)
          .values(row)
          .onConflictDoUpdate({ target: [progress.shard, progress.recipient], set: row })
          .run();
      }
    });
  }

  /** After the reply, whatever it was. */
  done(shard: number, changes: readonly Change[], now: number): void {
    this.#db.transaction(() => {
      for (const change of changes) {
        const row = { shard, recipient: change.id, state: "done", change: JSON.stringify(change), at: now } as const;
        this.#db
          .insert(progress)
          .values(row)
          .onConflictDoUpdate({ target: [progress.shard, progress.recipient], set: row })
          .run();
      }
    });
  }

  /** It is being sent, or its outcome is known here and not in D1 yet. */
  has(shard: number, recipient: number): boolean {
    const known = this.#db
      .select({ state: progress.state })
      .from(progress)
      .where(and(eq(progress.shard, shard), eq(progress.recipient, recipient)))
      .get();
    return known !== undefined;
  }

  /** What D1 has to hear. */
  unsettled(): Settled[] {
    const rows = this.#db.select().from(progress).where(eq(progress.state, "done")).all();
    return rows.flatMap(({ shard, change }) =>
      change === null ? [] : [{ shard, change: JSON.parse(change) as Change }],
    );
  }

  /** D1 has heard. */
  forget(shard: number, recipients: readonly number[]): void {
    // In one value: a statement has at most 100 of them.
    const those = sql`${progress.recipient} IN (SELECT value FROM json_each(${JSON.stringify(recipients)}))`;
    this.#db
      .delete(progress)
      .where(and(eq(progress.shard, shard), eq(progress.state, "done"), those))
      .run();
  }
}
