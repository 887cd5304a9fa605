/** Messages of the archive index, one row an account. */
import { REPEAT_WINDOW } from "../../core/limits.ts";

/**
 * Whether the account has this very message already (core/once.ts), from the last five days.
 * @param now unix milliseconds
 */
export async function findRepeat(
  db: D1Database,
  account: number,
  mid: string,
  once: string,
  now: number,
): Promise<boolean> {
  const row = await db
    .prepare("SELECT id FROM message WHERE account = ?1 AND mid = ?2 AND once = ?3 AND at >= ?4")
    .bind(account, mid, once, now - REPEAT_WINDOW)
    .first<number>("id");
  return row !== null;
}
