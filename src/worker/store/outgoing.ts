/** The queue of mail on its way out, on the shard of whoever sends it. Its SQL is here; send/ decides. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Outcome } from "../../core/outcome.ts";
import { MAX_OUTGOING_PURGED, OUTGOING_DAYS } from "../../core/send/limits.ts";
import type { RecipientState, Tried } from "../../core/send/tries.ts";
import type { OutgoingFacts } from "../send/contract.ts";
import { within } from "./deadline.ts";

/** 2^32, see `outgoing_recipient.due`. */
export const DOMAIN_STRIDE = 4_294_967_296;

export interface OutgoingMessage {
  readonly id: number;
  readonly domain: number;
  readonly account: number;
  readonly request: string;
  readonly mid: string;
  /** R2 key. */
  readonly key: string;
  /** Octets in R2. */
  readonly size: number;
  /** Envelope sender, empty for `<>`. */
  readonly sender: string;
  readonly subject: string;
  readonly facts: OutgoingFacts;
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly warnedAt: number;
}

export interface OutgoingRecipient {
  readonly id: number;
  readonly recipient: string;
  readonly state: RecipientState;
  readonly attempts: number;
  /** Unix milliseconds, whole seconds; null: nothing is to be done any more. */
  readonly dueAt: number | null;
  readonly at: number;
  /** The last one. */
  readonly outcome: Outcome | null;
}

export interface Queued extends OutgoingRecipient {
  readonly message: OutgoingMessage;
}

/** The name of the message's row in the archive and in Sent (core/once.ts has the others'). */
export const onceOf = (request: string): string => `out ${request}`;

export type NewOutgoing = Omit<OutgoingMessage, "id" | "warnedAt"> & { readonly recipients: readonly string[] };

/**
 * To be the first of a batch. A request that is known already adds nothing; one whose row in the archive has come along with its
 * mailbox from another shard neither.
 */
export function queueStatements(db: D1Database, message: NewOutgoing): D1PreparedStatement[] {
  const { domain, account, request, mid, key, size, sender, subject, facts, createdAt, recipients } = message;
  return [
    db
      .prepare(
        `INSERT INTO outgoing (domain, account, request, mid, "key", size, sender, subject, facts, created_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
         WHERE NOT EXISTS (SELECT 1 FROM message WHERE account = ?2 AND mid = ?4 AND once = ?11)
         ON CONFLICT DO NOTHING`,
      )
      .bind(
        domain,
        account,
        request,
        mid,
        key,
        size,
        sender,
        subject,
        JSON.stringify(facts),
        createdAt,
        onceOf(request),
      ),
    db
      .prepare(
        `INSERT INTO outgoing_recipient (outgoing, recipient, state, due, at)
         SELECT (SELECT id FROM outgoing WHERE account = ?1 AND request = ?2), value, 'waiting', ?3, ?4
         FROM json_each(?5) WHERE changes() > 0`,
      )
      .bind(account, request, dueColumn(domain, createdAt), createdAt, JSON.stringify(recipients)),
  ];
}

const MESSAGE = `o.id AS message, o.domain, o.account, o.request, o.mid, o."key", o.size, o.sender, o.subject, o.facts,
  o.created_at AS createdAt, o.warned_at AS warnedAt`;
const RECIPIENT = "r.id, r.recipient, r.state, r.attempts, r.due, r.at, r.outcome";

type MessageColumns = Omit<OutgoingMessage, "id" | "facts"> & { readonly message: number; readonly facts: string };
type RecipientColumns = Omit<OutgoingRecipient, "dueAt" | "outcome"> & {
  readonly due: number | null;
  readonly outcome: string | null;
};

function messageOf({ message, facts, ...row }: MessageColumns): OutgoingMessage {
  const { domain, account, request, mid, key, size, sender, subject, createdAt, warnedAt } = row;
  const columns = { domain, account, request, mid, key, size, sender, subject, createdAt, warnedAt };
  return { id: message, ...columns, facts: JSON.parse(facts) as OutgoingFacts };
}

function recipientOf({ id, recipient, state, attempts, due, at, outcome }: RecipientColumns): OutgoingRecipient {
  const last = outcome === null ? null : (JSON.parse(outcome) as Outcome);
  return {
    id,
    recipient,
    state,
    attempts,
    at,
    dueAt: due === null ? null : (due % DOMAIN_STRIDE) * 1000,
    outcome: last,
  };
}

const queued = (row: MessageColumns & RecipientColumns): Queued => ({ ...recipientOf(row), message: messageOf(row) });

/** @param at unix milliseconds */
export function dueColumn(domain: number, at: number): number {
  return domain * DOMAIN_STRIDE + Math.floor(at / 1000);
}

/** What an earlier request of that name has queued; null where there was none. */
export async function findOutgoing(db: D1Database, account: number, request: string): Promise<OutgoingMessage | null> {
  const row = await within(
    db
      .prepare(`SELECT ${MESSAGE} FROM outgoing o WHERE account = ?1 AND request = ?2`)
      .bind(account, request)
      .first<MessageColumns>(),
    INDEX_TIMEOUT,
    "D1 read of an outgoing message",
  );
  return row && messageOf(row);
}

/** By which request a message of the account's was sent; null where it was not sent from here. */
export async function requestOfMessage(db: D1Database, account: number, message: number): Promise<string | null> {
  const once = await within(
    db.prepare("SELECT once FROM message WHERE account = ?1 AND id = ?2").bind(account, message).first<string>("once"),
    INDEX_TIMEOUT,
    "D1 read of a message",
  );
  return once?.startsWith(onceOf("")) ? once.slice(onceOf("").length) : null;
}

/** All of a message's recipients. */
export async function recipientsOf(db: D1Database, outgoing: number): Promise<OutgoingRecipient[]> {
  const { results } = await within(
    db
      .prepare(`SELECT ${RECIPIENT} FROM outgoing_recipient r WHERE r.outgoing = ?1 ORDER BY r.id`)
      .bind(outgoing)
      .all<RecipientColumns>(),
    INDEX_TIMEOUT,
    "D1 read of recipients",
  );
  return results.map(recipientOf);
}

export interface QueueCursor {
  /** Unix milliseconds. */
  readonly dueAt: number;
  readonly id: number;
}

/**
 * What is due, the longest first; with `until` at the end of time all that is not finished.
 * @param until unix milliseconds
 */
export async function queuePage(
  db: D1Database,
  domain: number,
  until: number,
  after: QueueCursor | null,
  limit: number,
): Promise<Queued[]> {
  const from = after ? dueColumn(domain, after.dueAt) : dueColumn(domain, 0);
  const to = Math.min(dueColumn(domain, until), dueColumn(domain + 1, 0) - 1);
  const { results } = await within(
    db
      .prepare(
        `SELECT ${RECIPIENT}, ${MESSAGE} FROM outgoing_recipient r INDEXED BY outgoing_due
         CROSS JOIN outgoing o ON o.id = r.outgoing
         WHERE r.due >= ?1 AND r.due <= ?2 AND (r.due > ?1 OR r.id > ?3) ORDER BY r.due, r.id LIMIT ?4`,
      )
      .bind(from, to, after?.id ?? 0, limit)
      .all<MessageColumns & RecipientColumns>(),
    INDEX_TIMEOUT,
    "D1 read of the queue",
  );
  return results.map(queued);
}

/** What has `due`: copies to recipients, and what follows arrivals (follow-ups.ts). */
export type Queue = "outgoing_recipient" | "follow_up";

/** When the next thing is due, unix milliseconds; null: the queue of the domain is empty here. */
export async function nextDue(
  db: D1Database,
  domain: number,
  queue: Queue = "outgoing_recipient",
): Promise<number | null> {
  const due = await within(
    db
      .prepare(`SELECT min(due) AS due FROM ${queue} WHERE due >= ?1 AND due < ?2`)
      .bind(dueColumn(domain, 0), dueColumn(domain + 1, 0))
      .first<number | null>("due"),
    INDEX_TIMEOUT,
    "D1 read of the queue",
  );
  return due === null ? null : (due % DOMAIN_STRIDE) * 1000;
}

/** The numbers of the domains that have something in either queue. A few seeks each, however long it is. */
export async function domainsSending(db: D1Database): Promise<number[]> {
  const domains = (queue: Queue) =>
    db.prepare(
      `WITH RECURSIVE d(domain) AS (
         SELECT min(due) / ${DOMAIN_STRIDE} FROM ${queue} WHERE due IS NOT NULL
         UNION ALL
         SELECT (SELECT min(due) / ${DOMAIN_STRIDE} FROM ${queue} WHERE due >= (d.domain + 1) * ${DOMAIN_STRIDE})
         FROM d WHERE d.domain IS NOT NULL)
       SELECT domain FROM d WHERE domain IS NOT NULL`,
    );
  const results = await within(
    db.batch<{ domain: number }>([domains("outgoing_recipient"), domains("follow_up")]),
    INDEX_TIMEOUT,
    "D1 read of the domains that send",
  );
  return [...new Set(results.flatMap((each) => each.results.map((row) => row.domain)))];
}

/** What became of a recipient. */
export interface Change extends Tried {
  readonly id: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly outcome: Outcome | null;
}

/**
 * What is finished stays as it is, so that it may be said twice; and where only a pause changes the time of the last try stays: a report
 * that is handed over again says the same, and is known by it.
 * @returns how many were not finished before
 */
export async function settleRecipients(db: D1Database, domain: number, changes: readonly Change[]): Promise<number> {
  if (changes.length === 0) return 0;
  const rows = changes.map(({ id, state, attempts, dueAt, at, outcome }) => ({
    id,
    state,
    attempts,
    due: dueAt === null ? null : dueColumn(domain, dueAt),
    at,
    outcome: outcome && JSON.stringify(outcome),
  }));
  const { meta } = await within(
    db
      .prepare(
        `UPDATE outgoing_recipient SET state = e.value ->> 'state', attempts = e.value ->> 'attempts', due = e.value ->> 'due',
           at = iif(e.value ->> 'outcome' IS NULL AND state = e.value ->> 'state', at, e.value ->> 'at'),
           outcome = coalesce(e.value ->> 'outcome', outcome)
         FROM json_each(?1) e WHERE outgoing_recipient.id = e.value ->> 'id' AND outgoing_recipient.due IS NOT NULL`,
      )
      .bind(JSON.stringify(rows))
      .run(),
    INDEX_TIMEOUT,
    "D1 update of the queue",
  );
  return meta.changes;
}

/** @param at unix milliseconds */
export async function markWarned(db: D1Database, outgoing: number, at: number): Promise<void> {
  await within(
    db.prepare("UPDATE outgoing SET warned_at = ?2 WHERE id = ?1 AND warned_at = 0").bind(outgoing, at).run(),
    INDEX_TIMEOUT,
    "D1 update of an outgoing message",
  );
}

/**
 * Those that wait are tried now. @param which a recipient's number, or an account whose mail it is; null: all of the domain
 * @returns how many
 */
export async function bringForward(
  db: D1Database,
  domain: number,
  which: { readonly id: number } | { readonly account: number } | null,
  now: number,
): Promise<number> {
  const own =
    which && "account" in which
      ? "outgoing IN (SELECT id FROM outgoing WHERE account = ?4)"
      : "(?4 IS NULL OR id = ?4)";
  const { meta } = await within(
    db
      .prepare(
        `UPDATE outgoing_recipient SET due = ?1 WHERE due > ?1 AND due < ?2 AND state = 'waiting' AND due >= ?3 AND ${own}`,
      )
      .bind(
        dueColumn(domain, now),
        dueColumn(domain + 1, 0),
        dueColumn(domain, 0),
        which === null ? null : "id" in which ? which.id : which.account,
      )
      .run(),
    INDEX_TIMEOUT,
    "D1 update of the queue",
  );
  return meta.changes;
}

/** One recipient of a domain's queue; null where it is not there, finished, or another domain's. */
export async function findQueued(db: D1Database, domain: number, id: number): Promise<Queued | null> {
  const row = await within(
    db
      .prepare(
        `SELECT ${RECIPIENT}, ${MESSAGE} FROM outgoing_recipient r JOIN outgoing o ON o.id = r.outgoing
         WHERE r.id = ?1 AND o.domain = ?2 AND r.due IS NOT NULL`,
      )
      .bind(id, domain)
      .first<MessageColumns & RecipientColumns>(),
    INDEX_TIMEOUT,
    "D1 read of the queue",
  );
  return row && queued(row);
}

/** Whether anything of an account is on its way, or is to be sent for it yet: then its rows must stay where they are. */
export async function hasOutgoing(db: D1Database, account: number): Promise<boolean> {
  const row = db
    .prepare(
      `SELECT 1 AS there FROM outgoing o JOIN outgoing_recipient r ON r.outgoing = o.id
       WHERE o.account = ?1 AND r.due IS NOT NULL
       UNION ALL SELECT 1 FROM follow_up WHERE account = ?1 LIMIT 1`,
    )
    .bind(account)
    .first<number>("there");
  return (await within(row, INDEX_TIMEOUT, "D1 read of outgoing mail")) !== null;
}

/** Finished messages, the oldest first. @returns how many went */
export async function purgeOutgoing(db: D1Database, now: number): Promise<number> {
  const old = `SELECT o.id FROM (SELECT id, created_at FROM outgoing ORDER BY id LIMIT ${MAX_OUTGOING_PURGED}) o
    WHERE o.created_at < ?1 AND NOT EXISTS (SELECT 1 FROM outgoing_recipient r WHERE r.outgoing = o.id AND r.due IS NOT NULL)`;
  const before = now - OUTGOING_DAYS * 24 * 3600_000;
  const results = await within(
    db.batch([
      db.prepare(`DELETE FROM outgoing_recipient WHERE outgoing IN (${old})`).bind(before),
      db.prepare(`DELETE FROM outgoing WHERE id IN (${old})`).bind(before),
    ]),
    INDEX_TIMEOUT,
    "D1 purge of outgoing mail",
  );
  return results[1]?.meta.changes ?? 0;
}
