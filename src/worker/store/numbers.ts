/**
 * The numbers of messages. They grow with the time of arrival, not with that of the row: a message that is brought from another
 * shard, mended or copied long after it came takes its place among those of its time, so that search gives the newest first
 * and retention finds an age by halving (expiry.ts).
 */

/** Unix seconds at which the numbers begin: 2024. */
const EPOCH = 1_704_067_200;
/** Numbers of each second. Beyond them the next free ones are taken: no limit, a matter of order within seconds. */
const SECOND = 1_024;

/** The first number of that second; a safe integer for some 270,000 years. @param at unix milliseconds */
export function firstNumberOf(at: number): number {
  return Math.max(1, (Math.floor(at / 1000) - EPOCH) * SECOND);
}

/** About when a message of that number came, unix milliseconds. */
export function timeOfNumber(id: number): number {
  return (Math.floor(id / SECOND) + EPOCH) * 1000;
}

/** `message.number` of what its owner put into a folder: it is none of the archive's. */
export const OWN = -1;

/**
 * SQL for the next number in an account's archive folder (`message.number`). A message's own number would not do for a UID: it
 * is longer than 32 bits (RFC 9051 §2.3.1.1), and one that is indexed late has a lower one than those that are seen already.
 * @param account a parameter such as `?1`
 */
export function nextArchiveNumber(account: string): string {
  return `1 + max(coalesce((SELECT max(number) FROM message WHERE account = ${account}), 0),
    coalesce((SELECT archive_last FROM account WHERE id = ${account}), 0))`;
}

/**
 * SQL for the number of a new row: behind the others of its second, else the first free one after it.
 * @param first a parameter such as `?1`, bound to `firstNumberOf(at)`
 */
export function nextNumber(first: string): string {
  const last = `${first} + ${SECOND - 1}`;
  return `(SELECT CASE
      WHEN max(n.id) IS NULL THEN ${first}
      WHEN max(n.id) < ${last} THEN max(n.id) + 1
      ELSE (SELECT g.id + 1 FROM message g
            WHERE g.id >= ${first} AND NOT EXISTS (SELECT 1 FROM message h WHERE h.id = g.id + 1) ORDER BY g.id LIMIT 1)
    END FROM message n WHERE n.id BETWEEN ${first} AND ${last})`;
}
