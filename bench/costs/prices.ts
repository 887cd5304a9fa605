/**
 * Cloudflare's list prices in US dollars, Workers Paid plan, beyond what the plan includes (which would only make it cheaper), as
 * published on 2026-11-24. Everything that costs says where its price stands.
 */

export const PRICES_OF = "2026-11-24";

const MILLION = 1_000_000;

/** For one of each. */
export const PRICES = {
  /** https://developers.cloudflare.com/workers/platform/pricing/ — requests, also invocations by Email Routing. */
  request: 0.3 / MILLION,
  /** The same page — a millisecond of processor time. */
  cpuMs: 0.02 / MILLION,
  /** https://developers.cloudflare.com/durable-objects/platform/pricing/ — a call of an object, an alarm. */
  objectRequest: 0.15 / MILLION,
  /** The same page — a GB-second; an object counts as 128 MB. */
  objectGbSecond: 12.5 / MILLION,
  /** The same page — rows of an object's SQLite, as D1's. */
  objectRowWritten: 1 / MILLION,
  /** https://developers.cloudflare.com/d1/platform/pricing/ */
  rowWritten: 1 / MILLION,
  rowRead: 0.001 / MILLION,
  /** A GB for a month. */
  d1Storage: 0.75,
  /** https://developers.cloudflare.com/r2/pricing/ — put, list; get, head. */
  classA: 4.5 / MILLION,
  classB: 0.36 / MILLION,
  /** A GB for a month, standard storage. */
  r2Storage: 0.015,
} as const;
