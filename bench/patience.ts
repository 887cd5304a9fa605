/** Waiting for something in a benchmark: every step has a limit, and says what it waits for. */
import { setTimeout as pause } from "node:timers/promises";

export interface Patience {
  /** Of the error, such as `the backlog to empty`. */
  readonly what: string;
  /** Milliseconds. */
  readonly limit: number;
  readonly step: number;
}

/** @throws where it is not so within the limit */
export async function until({ what, limit, step }: Patience, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + limit;
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s in vain for ${what}`);
    await pause(step);
  }
}
