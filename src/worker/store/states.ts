/** Accounts' states: the counter that each change steps on. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { shownHere } from "./moved.ts";

export interface AccountState {
  readonly account: number;
  readonly seq: number;
}

/** What a write of mailboxes gave. Whoever makes it tells those who watch them (`telling`, push/tell.ts). */
export interface Written<T> {
  readonly value: T;
  /** Of the accounts that it changed, as its commit left them. */
  readonly states: readonly AccountState[];
}

/** @param stepped what the statement gave that ends with `STATE` */
export function written<T>(value: T, stepped: D1Result | undefined): Written<T> {
  return { value, states: (stepped?.results ?? []) as unknown as AccountState[] };
}

/** Ends the statement that steps the counter: it gives the account's `AccountState`, where there was something to be changed. */
export const STATE = "RETURNING id AS account, seq";

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
