/** The SQLite of a domain's Durable Object: what decides about its mail must be at hand when D1 does not answer. */
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { FATES } from "../../core/verdict.ts";

/** One row: the copy of the directory's facts and the state of the mode machine. */
export const facts = sqliteTable("facts", {
  id: integer("id").primaryKey(),
  /** JSON of `DomainFacts` (domain/contract.ts). */
  domain: text("domain").notNull(),
  /** The directory's version that this copy has; 0 asks for a reload. */
  version: integer("version").notNull(),
  /** JSON of `ModeState` (core/mode.ts). */
  mode: text("mode").notNull(),
  /** Unix milliseconds of the next probe. */
  probeAt: integer("probe_at").notNull().default(0),
  /** Unix milliseconds of the next failback run, null when nothing is known to wait. */
  failbackAt: integer("failback_at"),
  /** JSON of the failback run that is under way, null when none is. */
  run: text("run"),
  /** Until then the origin counts as slow at the final dot, unix milliseconds. */
  slowUntil: integer("slow_until").notNull().default(0),
  /** The mode change that D1 has not been told of yet. */
  unsaved: integer("unsaved", { mode: "boolean" }).notNull().default(false),
});

/** The domain's addresses. */
export const address = sqliteTable("address", {
  local: text("local").primaryKey(),
  /** JSON of `Holder[]` (domain/contract.ts). */
  holders: text("holders").notNull(),
});

/** The last probes, a ring (domain/probes.ts). */
export const probe = sqliteTable("probe", {
  seq: integer("seq").primaryKey(),
  at: integer("at").notNull(),
  ok: integer("ok", { mode: "boolean" }).notNull(),
  /** JSON of `ProbeResult` (decide/probe.ts). */
  result: text("result").notNull(),
});

/** Redelivery's own record: written before the final dot and after the 250; D1 follows in batches. */
export const flight = sqliteTable("flight", {
  /** See `flightKey`: what is sent once. */
  key: text("key").primaryKey(),
  state: text("state", { enum: ["sending", "delivered", "refused", "deferred", "withdrawn", "awaiting"] }).notNull(),
  /** The connection that sends it. */
  slot: integer("slot").notNull().default(0),
  at: integer("at").notNull(),
  attempts: integer("attempts").notNull().default(0),
  dueAt: integer("due_at").notNull().default(0),
  reply: text("reply"),
});

/**
 * What became of a message, as far as what lies beside its octets cannot say: with it an index that was lost is made anew
 * (failback/fates.ts). WITHOUT ROWID, by the migration's own hand: one row written for each, not two.
 */
export const fate = sqliteTable("fate", {
  /** The flight's key; of what became of one mailbox's copy alone, a line feed and the account behind it. */
  key: text("key").primaryKey(),
  state: text("state", { enum: FATES }).notNull(),
  /** Unix milliseconds. */
  at: integer("at").notNull(),
  /** Unix milliseconds from which on it may be forgotten; null: never. */
  until: integer("until"),
  /** JSON of the origin's reply. */
  reply: text("reply"),
});

/** Addresses that the origin has accepted and that nobody registered. */
export const seenAddress = sqliteTable("seen_address", {
  local: text("local").primaryKey(),
  firstAt: integer("first_at").notNull(),
  lastAt: integer("last_at").notNull(),
  messages: integer("messages").notNull().default(1),
});

/** What happened, chained by hash from the first event on: hash = SHA-256(prev, at, kind, actor, data). */
export const log = sqliteTable("log", {
  seq: integer("seq").primaryKey(),
  at: integer("at").notNull(),
  kind: text("kind").notNull(),
  actor: text("actor").notNull(),
  /** JSON. */
  data: text("data").notNull(),
  prev: text("prev").notNull(),
  hash: text("hash").notNull(),
});
