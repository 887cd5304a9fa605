/** The account of a mailbox on its shard, with its folders. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { STANDARD_FOLDERS } from "./folders.ts";

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
