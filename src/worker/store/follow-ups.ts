/** What is to be done about messages that arrived in emergency mode, on the shard that took them; send/follow-ups.ts does it. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { FOLLOW_UP_PAGE } from "../../core/send/limits.ts";
import { within } from "./deadline.ts";
import { dueColumn, type NewOutgoing, queueStatements } from "./outgoing.ts";

export interface FollowUp {
  /** The number of the message's row. */
  readonly message: number;
  readonly account: number;
  readonly attempts: number;
}

interface Arrived {
  readonly account: number;
  readonly domain: number;
  readonly mid: string;
  readonly once: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/**
 * To follow the statement that writes a message's full text: nothing is noted where that wrote nothing, since the message is a repeat,
 * nor for an account whose owner wants nothing done. A row comes back where something was noted; D1's count of changes has some of
 * the full text's in it.
 */
export function noteFollowUp(db: D1Database, { account, domain, mid, once, at }: Arrived): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO follow_up (message, account, due)
       SELECT (SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3), ?1, ?4 FROM on_arrival
       WHERE account = ?1 AND (answers <> 0 OR forward_to IS NOT NULL) AND changes() > 0
       RETURNING message`,
    )
    .bind(account, mid, once, dueColumn(domain, at));
}

/** The longest due first. @param until unix milliseconds */
export async function dueFollowUps(db: D1Database, domain: number, until: number): Promise<FollowUp[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT message, account, attempts FROM follow_up WHERE due >= ?1 AND due <= ?2 ORDER BY due, message
         LIMIT ${FOLLOW_UP_PAGE}`,
      )
      .bind(dueColumn(domain, 0), dueColumn(domain, until))
      .all<FollowUp>(),
    INDEX_TIMEOUT,
    "D1 read of what follows arrivals",
  );
  return results;
}

/** Later. @param at unix milliseconds */
export async function postponeFollowUp(
  db: D1Database,
  domain: number,
  { message, attempts }: FollowUp,
  at: number,
): Promise<void> {
  const put = db
    .prepare("UPDATE follow_up SET due = ?2, attempts = ?3 WHERE message = ?1")
    .bind(message, dueColumn(domain, at), attempts + 1);
  await within(put.run(), INDEX_TIMEOUT, "D1 update of what follows arrivals");
}

export async function dropFollowUp(db: D1Database, { message }: FollowUp): Promise<void> {
  await within(drop(db, message).run(), INDEX_TIMEOUT, "D1 update of what follows arrivals");
}

/** The copy is queued, and nothing is left to be done: at once, so that it is never queued twice. */
export async function queueCopy(db: D1Database, { message }: FollowUp, copy: NewOutgoing): Promise<void> {
  const batch = db.batch([...queueStatements(db, copy), drop(db, message)]);
  await within(batch, INDEX_TIMEOUT, "D1 batch of a message that is sent on");
}

const drop = (db: D1Database, message: number): D1PreparedStatement =>
  db.prepare("DELETE FROM follow_up WHERE message = ?1").bind(message);
