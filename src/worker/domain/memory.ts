/** What a domain's object remembers of its domain: one row, read once, and the addresses. */
import { eq } from "drizzle-orm";
import type { ModeState } from "../../core/mode.ts";
import { address, facts } from "../store/domain.schema.ts";
import type { DomainFacts, FailbackRun, Holder } from "./contract.ts";
import type { DomainDatabase } from "./database.ts";

export interface FailbackState {
  /** The run that is under way. */
  readonly run: FailbackRun | null;
  /** Runs in a row that ended early and delivered nothing. */
  readonly failures: number;
}

/** Times in unix milliseconds. */
export interface Remembered {
  readonly domain: DomainFacts;
  readonly mode: ModeState;
  /** The next probe. */
  readonly probeAt: number;
  /** The next failback, null where nothing is known to wait. */
  readonly failbackAt: number | null;
  readonly failback: FailbackState;
  /** Until then the origin counts as slow at the final dot; 0: it does not. */
  readonly slowUntil: number;
  /** D1 has not been told of the mode yet. */
  readonly unsaved: boolean;
}

const ONLY = 1;

export class DomainMemory {
  readonly #db: DomainDatabase;
  #held: Remembered | null;

  constructor(db: DomainDatabase, migrated: boolean) {
    this.#db = db;
    this.#held = migrated ? this.#read() : null;
  }

  /** null: this object knows no domain. */
  get held(): Remembered | null {
    return this.#held;
  }

  /** @throws Error where nothing is held: a defect */
  update(change: Partial<Remembered>): Remembered {
    if (!this.#held) throw new Error("the object knows no domain");
    this.#held = { ...this.#held, ...change };
    this.#db.update(facts).set(toRow(this.#held)).where(eq(facts.id, ONLY)).run();
    return this.#held;
  }

  /** Changes what is at hand without a write: for what may be forgotten when the object ends. */
  note(mode: ModeState): void {
    if (this.#held) this.#held = { ...this.#held, mode };
  }

  /** Takes the directory's copy: all or nothing. Addresses that are the same are not written: rows written cost the most. */
  replace(held: Remembered, addresses: ReadonlyMap<string, readonly Holder[]>): void {
    this.#db.transaction((tx) => {
      tx.insert(facts)
        .values({ id: ONLY, ...toRow(held) })
        .onConflictDoUpdate({ target: facts.id, set: toRow(held) })
        .run();
      const wanted = new Map([...addresses].map(([local, holders]) => [local, JSON.stringify(holders)]));
      for (const { local, holders } of tx.select().from(address).all()) {
        if (wanted.get(local) === holders) wanted.delete(local);
        else tx.delete(address).where(eq(address.local, local)).run();
      }
      for (const [local, holders] of wanted) tx.insert(address).values({ local, holders }).run();
    });
    this.#held = held;
  }

  forget(): void {
    this.#db.transaction((tx) => {
      tx.delete(facts).run();
      tx.delete(address).run();
    });
    this.#held = null;
  }

  /** @param local in look-up form */
  holdersOf(local: string): readonly Holder[] {
    const row = this.#db.select({ holders: address.holders }).from(address).where(eq(address.local, local)).get();
    return row ? (JSON.parse(row.holders) as Holder[]) : [];
  }

  /** The shard of each mailbox, by its number; null where no domain is held. */
  places(): ReadonlyMap<number, number> | null {
    if (!this.#held) return null;
    const places = new Map<number, number>();
    for (const { holders } of this.#db.select({ holders: address.holders }).from(address).all()) {
      for (const { account, shard } of JSON.parse(holders) as Holder[]) places.set(account, shard);
    }
    return places;
  }

  /** A few registered local parts with their holders. */
  someAddresses(limit: number): { readonly local: string; readonly holders: readonly Holder[] }[] {
    const rows = this.#db.select().from(address).orderBy(address.local).limit(limit).all();
    return rows.map((row) => ({ local: row.local, holders: JSON.parse(row.holders) as Holder[] }));
  }

  #read(): Remembered | null {
    const row = this.#db.select().from(facts).where(eq(facts.id, ONLY)).get();
    if (!row) return null;
    const { probeAt, failbackAt, slowUntil, unsaved } = row;
    return {
      domain: JSON.parse(row.domain) as DomainFacts,
      mode: JSON.parse(row.mode) as ModeState,
      failback: row.run === null ? { run: null, failures: 0 } : (JSON.parse(row.run) as FailbackState),
      probeAt,
      failbackAt,
      slowUntil,
      unsaved,
    };
  }
}

function toRow(held: Remembered) {
  const { domain, mode, failback, probeAt, failbackAt, slowUntil, unsaved } = held;
  return {
    domain: JSON.stringify(domain),
    version: domain.version,
    mode: JSON.stringify(mode),
    run: failback.run === null && failback.failures === 0 ? null : JSON.stringify(failback),
    probeAt,
    failbackAt,
    slowUntil,
    unsaved,
  };
}
