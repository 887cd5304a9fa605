/** A mailbox that has just moved to another shard, as whoever planned before hears of it: from the old shard's triggers. */
import { INDEX_TIMEOUT, MOVE_PATIENCE, MOVE_POLL } from "../../core/limits.ts";
import type { Env } from "../env.ts";
import { within } from "./deadline.ts";

/** In the words of the triggers (migrations/shard, `moves_triggers`). */
const WORDS = "the mailbox has moved";

/** Nothing of the batch was written. */
export function hasMoved(error: unknown): boolean {
  return error instanceof Error && (error.message.includes(WORDS) || hasMoved(error.cause));
}

/**
 * Where these accounts live now, once one of them lives elsewhere than on `shard`. Between the fence and the directory's change
 * lie a second or two.
 * @returns by account; those that the directory does not know, such as the panel's own, stay on `shard`
 * @throws where that takes longer than MOVE_PATIENCE
 */
export async function whereNow(env: Env, accounts: readonly number[], shard: number): Promise<Map<number, number>> {
  const until = Date.now() + MOVE_PATIENCE;
  for (;;) {
    const { results } = await within(
      env.DIRECTORY.prepare("SELECT id, shard FROM mailbox WHERE id IN (SELECT value FROM json_each(?1))")
        .bind(JSON.stringify(accounts))
        .all<{ id: number; shard: number }>(),
      INDEX_TIMEOUT,
      "D1 read of where mailboxes live",
    );
    const known = new Map(results.map((row) => [row.id, row.shard]));
    if (results.some((row) => row.shard !== shard)) return new Map(accounts.map((id) => [id, known.get(id) ?? shard]));
    if (Date.now() >= until) throw new Error(`a mailbox has left shard ${shard} and is not on another one yet`);
    await new Promise((resolve) => setTimeout(resolve, MOVE_POLL));
  }
}

/** SQL: the account of this row lives on this shard, and what is changed here counts. @param alias of a row with `account` */
export function livesHere(alias: string): string {
  return `NOT EXISTS (SELECT 1 FROM account moved
    WHERE moved.id = ${alias}.account AND moved.move IN ('fenced', 'left', 'arriving'))`;
}

/** SQL: the account is shown from here, and not from another shard as well. @param account alias of the account's row */
export function shownHere(account: string): string {
  return `coalesce(${account}.move, '') NOT IN ('left', 'arriving')`;
}
