/**
 * Cloudflare's list prices in US dollars, Workers Paid plan, beyond what the plan includes (which would only make it cheaper).
 * Beside each stands its page and the day on which somebody looked. Not in the list, for nothing is to be paid: mail that Email
 * Routing brings in (https://developers.cloudflare.com/email-service/platform/pricing/, unlimited; its invocations are requests),
 * R2's deletes and what leaves R2 or D1. KV and Queues are not used.
 */

export const PRICES_OF = "2026-11-24";

const MILLION = 1_000_000;

/** For one of each. All were looked up on 2026-11-24. */
export const PRICES = {
  /** https://developers.cloudflare.com/workers/platform/pricing/ ($0.30 a million) — requests, WebSockets as one, invocations by Email Routing. */
  request: 0.3 / MILLION,
  /** https://developers.cloudflare.com/workers/platform/pricing/ ($0.02 a million) — a millisecond of processor time. */
  cpuMs: 0.02 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ ($0.15 a million) — a call of an object, an alarm. */
  objectRequest: 0.15 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ ($12.50 a million) — a GB-second; an object counts as 128 MB. */
  objectGbSecond: 12.5 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ ($1.00 a million) — a row of an object's SQLite, written or deleted; setting an alarm is one. */
  objectRowWritten: 1 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ ($0.001 a million) — a row of an object's SQLite. */
  objectRowRead: 0.001 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ — a GB in an object's SQLite for a month, billed since January 2026. */
  objectStorage: 0.2,
  /** https://developers.cloudflare.com/d1/platform/pricing/ ($1.00 a million) — inserted, updated or deleted, an index entry as one more. */
  rowWritten: 1 / MILLION,
  /** https://developers.cloudflare.com/d1/platform/pricing/ ($0.001 a million) — looked at, whether it is in the answer or not. */
  rowRead: 0.001 / MILLION,
  /** https://developers.cloudflare.com/d1/platform/pricing/ — a GB for a month, indexes included. */
  d1Storage: 0.75,
  /** https://developers.cloudflare.com/r2/pricing/ ($4.50 a million) — put, list. */
  classA: 4.5 / MILLION,
  /** https://developers.cloudflare.com/r2/pricing/ ($0.36 a million) — get, head. */
  classB: 0.36 / MILLION,
  /** https://developers.cloudflare.com/r2/pricing/ — a GB for a month, standard storage. */
  r2Storage: 0.015,
} as const;
