/** Names, signatures and reply addresses, on the shard of their account. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { MAX_IDENTITIES } from "../../core/send/limits.ts";
import { within } from "./deadline.ts";

/** That of the mailbox's own address. */
export const OWN_IDENTITY = "own";

export interface Correspondent {
  /** Empty where there is none. */
  readonly name: string;
  readonly address: string;
}

/** RFC 8621 §6. */
export interface IdentityRow {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly replyTo: readonly Correspondent[];
  readonly bcc: readonly Correspondent[];
  readonly textSignature: string;
  readonly htmlSignature: string;
  /** The default. */
  readonly chosen: boolean;
}

interface Columns extends Omit<IdentityRow, "replyTo" | "bcc" | "chosen"> {
  readonly replyTo: string;
  readonly bcc: string;
  readonly chosen: number;
}

/** In the order in which they were made. */
export async function identityRows(db: D1Database, account: number): Promise<IdentityRow[]> {
  const { results } = await within(
    db
      .prepare(
        `SELECT id, email, name, reply_to AS replyTo, bcc, text_signature AS textSignature, html_signature AS htmlSignature,
           chosen FROM identity WHERE account = ?1 ORDER BY rowid`,
      )
      .bind(account)
      .all<Columns>(),
    INDEX_TIMEOUT,
    "D1 read of identities",
  );
  return results.map(({ replyTo, bcc, chosen, ...row }) => ({
    ...row,
    replyTo: JSON.parse(replyTo) as Correspondent[],
    bcc: JSON.parse(bcc) as Correspondent[],
    chosen: chosen !== 0,
  }));
}

/**
 * As it is now to be, whether it was there or not. One that is chosen takes the place of the one that was.
 * @returns false where the account has MAX_IDENTITIES others, beside its own
 */
export async function saveIdentity(db: D1Database, account: number, row: IdentityRow): Promise<boolean> {
  const { id, email, name, replyTo, bcc, textSignature, htmlSignature, chosen } = row;
  const results = await within(
    db.batch([
      db
        .prepare(
          `INSERT INTO identity (account, id, email, name, reply_to, bcc, text_signature, html_signature, chosen)
           SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
           WHERE ?2 = '${OWN_IDENTITY}'
             OR (SELECT count(*) FROM identity WHERE account = ?1 AND id NOT IN (?2, '${OWN_IDENTITY}')) < ${MAX_IDENTITIES}
           ON CONFLICT (account, id) DO UPDATE SET email = excluded.email, name = excluded.name, reply_to = excluded.reply_to,
             bcc = excluded.bcc, text_signature = excluded.text_signature, html_signature = excluded.html_signature,
             chosen = excluded.chosen`,
        )
        .bind(
          account,
          id,
          email,
          name,
          JSON.stringify(replyTo),
          JSON.stringify(bcc),
          textSignature,
          htmlSignature,
          Number(chosen),
        ),
      db
        .prepare(
          `UPDATE identity SET chosen = 0 WHERE account = ?1 AND id <> ?2 AND chosen <> 0
             AND EXISTS (SELECT 1 FROM identity WHERE account = ?1 AND id = ?2 AND chosen <> 0)`,
        )
        .bind(account, id),
    ]),
    INDEX_TIMEOUT,
    "D1 write of an identity",
  );
  return (results[0]?.meta.changes ?? 0) > 0;
}

/** @returns false where there was none */
export async function dropIdentity(db: D1Database, account: number, id: string): Promise<boolean> {
  const gone = await within(
    db.prepare("DELETE FROM identity WHERE account = ?1 AND id = ?2").bind(account, id).run(),
    INDEX_TIMEOUT,
    "D1 removal of an identity",
  );
  return gone.meta.changes > 0;
}
