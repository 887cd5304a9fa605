/** What happened to a domain: each entry carries the hash of the one before, so that none can be changed or taken out unseen. */
import { createHash } from "node:crypto";
import { and, asc, desc, gt, lt, type SQL } from "drizzle-orm";
import { log } from "../store/domain.schema.ts";
import type { LoggedEvent, NewEvent } from "./contract.ts";
import type { DomainDatabase } from "./database.ts";

export class EventLog {
  readonly #db: DomainDatabase;

  constructor(db: DomainDatabase) {
    this.#db = db;
  }

  /** @param at unix milliseconds */
  append(event: NewEvent, at: number): void {
    const last = this.#db.select({ hash: log.hash }).from(log).orderBy(desc(log.seq)).limit(1).get();
    const prev = last?.hash ?? "";
    const { kind, actor } = event;
    const data = JSON.stringify(event.data);
    this.#db
      .insert(log)
      .values({ at, kind, actor, data, prev, hash: chain(prev, at, kind, actor, data) })
      .run();
  }

  /** Newest first. @param before a sequence number, or null for the newest */
  page(before: number | null, limit: number): LoggedEvent[] {
    const older: SQL | undefined = before === null ? undefined : and(lt(log.seq, before));
    const rows = this.#db.select().from(log).where(older).orderBy(desc(log.seq)).limit(limit).all();
    return rows.map(({ seq, at, kind, actor, data, hash }) => ({
      seq,
      at,
      kind,
      actor,
      hash,
      data: JSON.parse(data) as LoggedEvent["data"],
    }));
  }

  /** @returns the sequence number of the first entry that does not fit the one before it, or null where all do */
  firstBreak(): number | null {
    let prev = "";
    let after = 0;
    for (;;) {
      const rows = this.#db.select().from(log).where(gt(log.seq, after)).orderBy(asc(log.seq)).limit(1000).all();
      for (const row of rows) {
        if (row.prev !== prev || row.hash !== chain(prev, row.at, row.kind, row.actor, row.data)) return row.seq;
        prev = row.hash;
        after = row.seq;
      }
      if (rows.length === 0) return null;
    }
  }
}

/** As JSON, so that no field can pretend to be the beginning of the next. */
function chain(prev: string, at: number, kind: string, actor: string, data: string): string {
  return createHash("sha256")
    .update(JSON.stringify([prev, at, kind, actor, data]))
    .digest("hex");
}
