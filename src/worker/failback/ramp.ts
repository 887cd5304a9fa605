/** How many connections a recovering server gets: one at first, more while it answers well, fewer when it does not. Pure. */
import { MESSAGES_PER_RAMP } from "../../core/limits.ts";

export interface Ramp {
  readonly allowed: number;
  readonly most: number;
  /** Answered well since the last change. */
  readonly well: number;
  /** It has deferred something: from then on one connection more at a time. */
  readonly careful: boolean;
}

export function startRamp(most: number): Ramp {
  return { allowed: 1, most, well: 0, careful: false };
}

/**
 * It took or refused a message. As TCP's slow start does, the number doubles once as many messages went well as there are
 * connections (RFC 5681 §3.1); after the first deferral it grows one by one.
 */
export function answeredWell(ramp: Ramp): Ramp {
  const well = ramp.well + 1;
  if (well < Math.max(MESSAGES_PER_RAMP, ramp.allowed) || ramp.allowed >= ramp.most) return { ...ramp, well };
  const more = ramp.careful ? ramp.allowed + 1 : ramp.allowed * 2;
  return { ...ramp, allowed: Math.min(more, ramp.most), well: 0 };
}

/** It deferred a message. */
export function answeredBadly(ramp: Ramp): Ramp {
  return { ...ramp, allowed: Math.max(1, Math.floor(ramp.allowed / 2)), well: 0, careful: true };
}

/** It did not take one more connection: that was the most, for this run. @param open how many are open */
export function fullAt(ramp: Ramp, open: number): Ramp {
  const most = Math.max(1, open);
  return { ...ramp, allowed: Math.min(ramp.allowed, most), most, well: 0 };
}
