/** The backlog: what is in portal inboxes and the origin has not had. Its SQL is here; failback decides. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { MessageMeta } from "../archive/meta.ts";
import { within } from "./deadline.ts";
import { DELETED } from "./flags.ts";
import { livesHere } from "./moved.ts";
import { STATE, type Written, written } from "./states.ts";

/** 2^32, see `placement.waiting` in shard.schema.ts. */
const DOMAIN_STRIDE = 4_294_967_296;

export interface WaitingMessage {
  /** Of the placement. */
  readonly id: number;
  readonly account: number;
  /** `domain * 2^32 + unix seconds of arrival`. */
  readonly waiting: number;
  readonly message: number;
  readonly key: string;
  /** Octets in R2. */
  readonly size: number;
  readonly flags: number;
  readonly meta: MessageMeta;
}

/** @param at unix milliseconds of arrival */
export function waitingSince(domain: number, at: number): number {
  return domain * DOMAIN_STRIDE + Math.floor(at / 1000);
}

/**
 * The domain's waiting messages on this shard, oldest first; what is flagged \Deleted is not among them.
 * @param after the last one of the page before; null begins with the oldest
 */
export async function backlogPage(
  db: D1Database,
  domainId: number,
  after: { readonly waiting: number; readonly id: number } | null,
  limit: number,
): Promise<WaitingMessage[]> {
  const from = after ?? { waiting: domainId * DOMAIN_STRIDE, id: 0 };
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id, p.account, p.waiting, p.message, m.key, m.size, p.flags, m.meta
         FROM placement p JOIN message m ON m.id = p.message
         WHERE p.waiting >= ?1 AND p.waiting < ?2 AND (p.waiting > ?1 OR p.id > ?3)
           AND p.gone IS NULL AND p.flags & ${DELETED} = 0 AND ${livesHere("p")}
         ORDER BY p.waiting, p.id LIMIT ?4`,
      )
      .bind(from.waiting, (domainId + 1) * DOMAIN_STRIDE, from.id, limit)
      .all<Omit<WaitingMessage, "meta"> & { meta: string }>(),
    INDEX_TIMEOUT,
    "D1 read of the backlog",
  );
  return results.map((row) => ({ ...row, meta: JSON.parse(row.meta) as MessageMeta }));
}

/**
 * The waiting placements of one message for these envelope recipients; one seek, since their arrival is known.
 * @param at unix milliseconds of arrival
 * @param object the name that its R2 key ends with
 */
export async function placementsWaiting(
  db: D1Database,
  domainId: number,
  at: number,
  object: string,
  recipients: readonly string[],
): Promise<number[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id FROM placement p JOIN message m ON m.id = p.message
         WHERE p.waiting = ?1 AND p.gone IS NULL AND ${livesHere("p")} AND (m.key = ?2 OR m.key GLOB '*/' || ?2)
           AND m.meta ->> '$.envelope.to' IN (SELECT value FROM json_each(?3))`,
      )
      .bind(waitingSince(domainId, at), object, JSON.stringify(recipients))
      .all<{ id: number }>(),
    INDEX_TIMEOUT,
    "D1 read of a waiting message",
  );
  return results.map((row) => row.id);
}

const GONE = "gone = n.modseq, waiting = NULL";

/**
 * The origin has them: they leave the inbox, their archive copies stay. Those that left it already are passed over, and those
 * whose mailbox has moved: the run meets them on the other shard, and knows that they were delivered.
 */
export async function removeDelivered(db: D1Database, placementIds: readonly number[]): Promise<Written<null>> {
  return leaveBacklog(db, placementIds, livesHere("p"), GONE, []);
}

/** A person does not want them delivered. @throws where the mailbox has moved meanwhile */
export async function discardWaiting(db: D1Database, placementIds: readonly number[]): Promise<Written<null>> {
  return leaveBacklog(db, placementIds, "true", GONE, []);
}

/**
 * The origin refused them: they stay in the inbox, marked, and are not offered to it again by themselves.
 * @param refusalJson the origin's reply, JSON of `Reply` (core/outcome.ts)
 */
export async function markRefused(
  db: D1Database,
  placementIds: readonly number[],
  refusalJson: string,
): Promise<Written<null>> {
  return leaveBacklog(db, placementIds, livesHere("p"), "waiting = -abs(waiting), refusal = ?2", [refusalJson]);
}

/**
 * One step of its account's counter and one change for each, in one batch; a repeat changes nothing.
 * @param which a condition on `p`
 * @returns the accounts as they are now; those of which nothing changed are not among them
 */
async function leaveBacklog(
  db: D1Database,
  ids: readonly number[],
  which: string,
  change: string,
  values: string[],
): Promise<Written<null>> {
  if (ids.length === 0) return written(null, undefined);
  const list = JSON.stringify(ids);
  const theirs = `json_each(?1) e CROSS JOIN placement p ON p.id = e.value WHERE p.waiting > 0 AND p.gone IS NULL AND ${which}`;
  const [step] = await within(
    db.batch([
      db
        .prepare(
          `UPDATE account SET seq = seq + n.changes FROM (SELECT p.account, count(*) AS changes FROM ${theirs} GROUP BY 1) n
           WHERE account.id = n.account ${STATE}`,
        )
        .bind(list),
      db
        .prepare(
          `UPDATE placement SET modseq = n.modseq, ${change} FROM (
             SELECT p.id, (SELECT seq FROM account WHERE id = p.account) + 1
               - row_number() OVER (PARTITION BY p.account ORDER BY p.id DESC) AS modseq FROM ${theirs}) n
           WHERE placement.id = n.id`,
        )
        .bind(list, ...values),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of the backlog",
  );
  return written(null, step);
}

/** How many wait for the origin, and how many it refused, on this shard. */
export async function backlogCounts(db: D1Database, domainId: number): Promise<{ waiting: number; refused: number }> {
  const count = db.prepare(
    `SELECT count(*) AS messages FROM placement
     WHERE waiting >= ?1 AND waiting < ?2 AND gone IS NULL AND flags & ${DELETED} = 0 AND ${livesHere("placement")}`,
  );
  const low = domainId * DOMAIN_STRIDE;
  const [waiting, refused] = await within(
    db.batch<{ messages: number }>([
      count.bind(low, low + DOMAIN_STRIDE),
      count.bind(-(low + DOMAIN_STRIDE) + 1, -low + 1),
    ]),
    INDEX_TIMEOUT,
    "D1 count of the backlog",
  );
  return { waiting: waiting?.results[0]?.messages ?? 0, refused: refused?.results[0]?.messages ?? 0 };
}

/** The numbers of the domains that have mail waiting on this shard; one seek each, whatever the size of the backlog. */
export async function domainsWaiting(db: D1Database): Promise<number[]> {
  const { results } = await within(
    db
      .prepare(
        `WITH RECURSIVE d(domain) AS (
           SELECT min(waiting) / ${DOMAIN_STRIDE} FROM placement WHERE waiting > 0
           UNION ALL
           SELECT (SELECT min(waiting) / ${DOMAIN_STRIDE} FROM placement WHERE waiting >= (d.domain + 1) * ${DOMAIN_STRIDE})
           FROM d WHERE d.domain IS NOT NULL)
         SELECT domain FROM d WHERE domain IS NOT NULL`,
      )
      .all<{ domain: number }>(),
    INDEX_TIMEOUT,
    "D1 read of the domains with a backlog",
  );
  return results.map((row) => row.domain);
}

/** What of one account waits, with the envelope recipient it came for. */
export async function waitingOf(db: D1Database, account: number): Promise<{ id: number; key: string; to: string }[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT p.id, m.key, m.meta ->> '$.envelope.to' AS "to" FROM placement p JOIN message m ON m.id = p.message
         WHERE p.account = ?1 AND p.waiting > 0 AND p.gone IS NULL AND p.flags & ${DELETED} = 0`,
      )
      .bind(account)
      .all<{ id: number; key: string; to: string }>(),
    INDEX_TIMEOUT,
    "D1 read of what waits for an account",
  );
  return results;
}

/** They stay in the inbox and are not to be redelivered any more. @throws where the mailbox has moved meanwhile */
export async function keepInPortal(db: D1Database, placementIds: readonly number[]): Promise<Written<null>> {
  return leaveBacklog(db, placementIds, "true", "waiting = NULL", []);
}

/** The placements of messages that wait. @param messages their own numbers */
export async function waitingPlacements(
  db: D1Database,
  messages: readonly number[],
): Promise<{ id: number; message: number }[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, message FROM placement WHERE message IN (SELECT value FROM json_each(?1)) AND waiting > 0 AND gone IS NULL`,
      )
      .bind(JSON.stringify(messages))
      .all<{ id: number; message: number }>(),
    INDEX_TIMEOUT,
    "D1 read of what waits",
  );
  return results;
}
