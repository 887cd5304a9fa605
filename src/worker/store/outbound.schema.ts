/** The SQLite of the object that sends a domain's mail: what it has done and D1 does not know yet, and how much who has sent. */
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** One row. */
export const self = sqliteTable("self", {
  id: integer("id").primaryKey(),
  /** The domain's name and number: the alarm has to know them. */
  name: text("name").notNull(),
  domain: integer("domain").notNull(),
});

/** Written before a final dot and after its reply; D1 follows in batches, then it goes. */
export const progress = sqliteTable(
  "progress",
  {
    shard: integer("shard").notNull(),
    /** The number of the row in `outgoing_recipient`. */
    recipient: integer("recipient").notNull(),
    state: text("state", { enum: ["sending", "done"] }).notNull(),
    /** JSON of `Change` (store/outgoing.ts), once it is done. */
    change: text("change"),
    /** Unix milliseconds. */
    at: integer("at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.shard, t.recipient] })],
);

/** Recipients that somebody has sent to in an hour (unix hours); `domain` counts all of them. */
export const rate = sqliteTable(
  "rate",
  {
    who: text("who").notNull(),
    hour: integer("hour").notNull(),
    recipients: integer("recipients").notNull(),
  },
  (t) => [primaryKey({ columns: [t.who, t.hour] })],
);

/** Who may send no more until an administrator says so. */
export const stop = sqliteTable("stop", {
  who: text("who").primaryKey(),
  /** Unix milliseconds. */
  at: integer("at").notNull(),
  /** A login name, or `system`. */
  actor: text("actor").notNull(),
  why: text("why").notNull(),
});
