/** The account of a mailbox on its shard, with its folders. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { STANDARD_FOLDERS } from "./folders.ts";
import { STATE, type Written, written } from "./states.ts";

/**
 * Makes the account and its standard folders; what is there already stays as it is.
 * @param account the mailbox's number; negative (`-domain`) for the panel's own account of a domain
 * @param now unix milliseconds
 */
export async function createAccount(db: D1Database, account: number, domain: number, now: number): Promise<void> {
  await createAccounts(db, [account], domain, now);
}

/** The same for many, in two statements: D1 counts them, and takes 100 parameters a statement. */
export async function createAccounts(
  db: D1Database,
  accounts: readonly number[],
  domain: number,
  now: number,
): Promise<void> {
  const list = JSON.stringify(accounts);
  // RFC 9051 §2.3.1.1: UIDVALIDITY is above zero and fits 32 bits; the second of creation is what is usual.
  const uidvalidity = Math.floor(now / 1000);
  await within(
    db.batch([
      db
        .prepare(
          "INSERT INTO account (id, domain) SELECT value, ?2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(list, domain),
      db
        .prepare(
          `INSERT INTO folder (account, name, role, uidvalidity)
           SELECT a.value, f.value ->> 'name', f.value ->> 'role', ?3 FROM json_each(?1) a, json_each(?2) f WHERE true
           ON CONFLICT DO NOTHING`,
        )
        .bind(list, JSON.stringify(STANDARD_FOLDERS), uidvalidity),
    ]),
    INDEX_TIMEOUT,
    "D1 batch of new accounts",
  );
}

/** Numbers that an account's counter and its archive skip: more changes than that are not lost with a database set back. */
const LEAP = 100_000;

/**
 * After a database was lost or set back to an earlier time: what clients have seen since is forgotten here, and none of its numbers
 * must come again. Whoever has a state from before hears that changes since then are not known. Mailboxes that move are left alone:
 * they have a counter that was not set back.
 */
export async function leapAccounts(db: D1Database, accounts: readonly number[]): Promise<Written<null>> {
  const stepped = await within(
    db
      .prepare(
        `UPDATE account SET seq = seq + ${LEAP}, purged = seq + ${LEAP}, marked = seq + ${LEAP},
           archive_last = ${LEAP} + max(archive_last,
             coalesce((SELECT max(number) FROM message WHERE message.account = account.id), 0))
         WHERE id IN (SELECT value FROM json_each(?1)) AND move IS NULL ${STATE}`,
      )
      .bind(JSON.stringify(accounts))
      .run(),
    INDEX_TIMEOUT,
    "D1 batch of accounts",
  );
  return written(null, stepped);
}
