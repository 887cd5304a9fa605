/** What somebody wants done with mail that arrives in emergency mode, and whom they have told; on the shard of their account. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { CONFIRMATION_LIFE, CONFIRMATION_TRIES, NOTICE_AGAIN } from "../../core/send/limits.ts";
import { within } from "./deadline.ts";

/** RFC 8621 §8. Times in unix milliseconds. */
export interface Vacation {
  readonly isEnabled: boolean;
  readonly fromDate: number | null;
  /** The first moment at which it is over. */
  readonly toDate: number | null;
  readonly subject: string | null;
  readonly textBody: string | null;
  readonly htmlBody: string | null;
}

export interface Forwarding {
  /** Confirmed; null: none. */
  readonly address: string | null;
  /** One that is to be confirmed yet. */
  readonly asked: { readonly address: string; readonly at: number } | null;
}

export interface OnArrival {
  readonly vacation: Vacation;
  readonly forwarding: Forwarding;
}

export const NO_VACATION: Vacation = {
  isEnabled: false,
  fromDate: null,
  toDate: null,
  subject: null,
  textBody: null,
  htmlBody: null,
};
const NOTHING: OnArrival = { vacation: NO_VACATION, forwarding: { address: null, asked: null } };

interface Columns {
  readonly answers: number;
  readonly from_at: number | null;
  readonly to_at: number | null;
  readonly subject: string | null;
  readonly text: string | null;
  readonly html: string | null;
  readonly forward_to: string | null;
  readonly asked_address: string | null;
  readonly asked_at: number | null;
}

export async function onArrivalOf(db: D1Database, account: number): Promise<OnArrival> {
  const row = await within(
    db.prepare("SELECT * FROM on_arrival WHERE account = ?1").bind(account).first<Columns>(),
    INDEX_TIMEOUT,
    "D1 read of what is to be done on arrival",
  );
  if (!row) return NOTHING;
  const { asked_address: address, asked_at: at } = row;
  return {
    vacation: {
      isEnabled: row.answers !== 0,
      fromDate: row.from_at,
      toDate: row.to_at,
      subject: row.subject,
      textBody: row.text,
      htmlBody: row.html,
    },
    forwarding: {
      address: row.forward_to,
      asked: address === null || at === null || address === row.forward_to ? null : { address, at },
    },
  };
}

/** Who was told something else before is told anew (RFC 5230 §4.3). */
export async function saveVacation(db: D1Database, account: number, vacation: Vacation): Promise<void> {
  const { isEnabled, fromDate, toDate, subject, textBody, htmlBody } = vacation;
  const words = [account, subject, textBody, htmlBody] as const;
  await write(db, [
    db
      .prepare(
        `DELETE FROM told WHERE account = ?1 AND NOT EXISTS
           (SELECT 1 FROM on_arrival WHERE account = ?1 AND subject IS ?2 AND text IS ?3 AND html IS ?4)`,
      )
      .bind(...words),
    db
      .prepare(
        `INSERT INTO on_arrival (account, subject, text, html, answers, from_at, to_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (account) DO UPDATE SET subject = excluded.subject, text = excluded.text, html = excluded.html,
           answers = excluded.answers, from_at = excluded.from_at, to_at = excluded.to_at`,
      )
      .bind(...words, Number(isEnabled), fromDate, toDate),
  ]);
}

/** An address that its owner has to confirm; what is in force stays so until then. @param code the SHA-256 of its code */
export async function askForwarding(
  db: D1Database,
  account: number,
  address: string,
  code: string,
  now: number,
): Promise<void> {
  await write(db, [
    db
      .prepare(
        `INSERT INTO on_arrival (account, asked_address, asked_code, asked_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (account) DO UPDATE SET asked_address = excluded.asked_address, asked_code = excluded.asked_code,
           asked_at = excluded.asked_at, asked_wrong = 0`,
      )
      .bind(account, address, code, now),
  ]);
}

/** It may be said twice. @returns the address that is in force now; null: the code is wrong, too old, or was guessed at too often */
export async function confirmForwarding(
  db: D1Database,
  account: number,
  code: string,
  now: number,
): Promise<string | null> {
  const results = await within(
    db.batch<{ forward_to: string | null }>([
      db
        .prepare("UPDATE on_arrival SET asked_wrong = asked_wrong + 1 WHERE account = ?1 AND asked_code <> ?2")
        .bind(account, code),
      db
        .prepare(
          `UPDATE on_arrival SET forward_to = asked_address
           WHERE account = ?1 AND asked_code = ?2 AND asked_at > ?3 AND asked_wrong < ${CONFIRMATION_TRIES}
           RETURNING forward_to`,
        )
        .bind(account, code, now - CONFIRMATION_LIFE),
    ]),
    INDEX_TIMEOUT,
    "D1 write of what is to be done on arrival",
  );
  return results[1]?.results[0]?.forward_to ?? null;
}

/** @returns the address that was in force */
export async function stopForwarding(db: D1Database, account: number): Promise<string | null> {
  const results = await within(
    db.batch<{ forward_to: string | null }>([
      db.prepare("SELECT forward_to FROM on_arrival WHERE account = ?1").bind(account),
      db
        .prepare(
          `UPDATE on_arrival SET forward_to = NULL, asked_address = NULL, asked_code = NULL, asked_at = NULL, asked_wrong = 0
           WHERE account = ?1`,
        )
        .bind(account),
    ]),
    INDEX_TIMEOUT,
    "D1 write of what is to be done on arrival",
  );
  return results[0]?.results[0]?.forward_to ?? null;
}

/** @param sender in normal form @param now unix milliseconds */
export async function wasTold(db: D1Database, account: number, sender: string, now: number): Promise<boolean> {
  const at = db
    .prepare("SELECT at FROM told WHERE account = ?1 AND sender = ?2")
    .bind(account, sender)
    .first<number>("at");
  const last = await within(at, INDEX_TIMEOUT, "D1 read of who was told");
  return last !== null && last > now - NOTICE_AGAIN;
}

export async function rememberTold(db: D1Database, account: number, sender: string, now: number): Promise<void> {
  await write(db, [
    db
      .prepare(
        `INSERT INTO told (account, sender, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, sender) DO UPDATE SET at = excluded.at`,
      )
      .bind(account, sender, now),
  ]);
}

export async function purgeTold(db: D1Database, now: number): Promise<void> {
  await write(db, [db.prepare("DELETE FROM told WHERE at <= ?1").bind(now - NOTICE_AGAIN)]);
}

/** The mailbox goes: nothing of what its owner has set stays. */
export async function forgetPerson(db: D1Database, account: number): Promise<void> {
  await write(
    db,
    ["identity", "on_arrival", "told", "follow_up"].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE account = ?1`).bind(account),
    ),
  );
}

async function write(db: D1Database, statements: D1PreparedStatement[]): Promise<void> {
  await within(db.batch(statements), INDEX_TIMEOUT, "D1 write of what is to be done on arrival");
}
