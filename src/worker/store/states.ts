/** Accounts' states: the counter that each change steps on. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { shownHere } from "./moved.ts";

export interface AccountState {
  readonly account: number;
  readonly seq: number;
}

/** Those of these accounts that are shown from this shard. */
export async function statesOf(db: D1Database, accounts: readonly number[]): Promise<AccountState[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT a.id AS account, a.seq FROM account a
         WHERE a.id IN (SELECT value FROM json_each(?1)) AND ${shownHere("a")}`,
      )
      .bind(JSON.stringify(accounts))
      .all<AccountState>(),
    INDEX_TIMEOUT,
    "D1 read of accounts' states",
  );
  return results;
}
