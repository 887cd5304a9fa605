/** The last probes of an origin: a ring. */
import { desc, lte } from "drizzle-orm";
import { PROBES_KEPT } from "../../core/limits.ts";
import type { ProbeResult } from "../decide/probe.ts";
import { probe } from "../store/domain.schema.ts";
import type { ProbeRecord } from "./contract.ts";
import type { DomainDatabase } from "./database.ts";

export class ProbeRing {
  readonly #db: DomainDatabase;

  constructor(db: DomainDatabase) {
    this.#db = db;
  }

  /** @param at unix milliseconds of its beginning */
  add(result: ProbeResult, at: number): void {
    const { seq } = this.#db
      .insert(probe)
      .values({ at, ok: result.ok, result: JSON.stringify(result) })
      .returning({ seq: probe.seq })
      .get();
    this.#db
      .delete(probe)
      .where(lte(probe.seq, seq - PROBES_KEPT))
      .run();
  }

  /** Newest first. */
  last(limit: number): ProbeRecord[] {
    const rows = this.#db.select().from(probe).orderBy(desc(probe.seq)).limit(limit).all();
    return rows.map(({ at, ok, result }) => {
      const { milliseconds, text } = JSON.parse(result) as ProbeResult;
      return { at, ok, milliseconds, text };
    });
  }
}
