/** When a deferred message is tried again (RFC 5321 §4.5.4.1). */
import { FIRST_RETRY, LAST_RETRY, RETRY_JITTER } from "./limits.ts";

/**
 * Doubles from FIRST_RETRY on up to LAST_RETRY, spread by RETRY_JITTER so that what failed together does not come back
 * together. The first pause is always under 60 s, the last never above LAST_RETRY.
 *
 * @param attempt how often it was tried, 1 after the first
 * @param random 0 to 1
 * @param pauses in the stead of those two
 * @returns milliseconds until the next try
 */
export function nextDelay(
  attempt: number,
  random: number,
  pauses: { readonly first: number; readonly last: number } = { first: FIRST_RETRY, last: LAST_RETRY },
): number {
  const doublings = Math.min(Math.max(Math.floor(attempt) - 1, 0), 20);
  const spread = 1 + RETRY_JITTER * (2 * random - 1);
  return Math.min(pauses.last, Math.round(pauses.first * 2 ** doublings * spread));
}
