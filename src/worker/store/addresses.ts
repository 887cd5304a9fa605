/** The addresses that lead to mailboxes: primary ones and aliases. An alias may lead to several. */
import { and, eq, notInArray, sql } from "drizzle-orm";
import { address } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";

/** @param local in look-up form */
function insertAddress(db: Directory, domain: number, local: string, mailbox: number) {
  return db.insert(address).values({ domain, local, mailbox }).onConflictDoNothing();
}

/** Statements that leave a mailbox with exactly these addresses; what stays is not written. */
export function replaceAddresses(db: Directory, domain: number, mailbox: number, locals: readonly string[]) {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(locals)}))`;
  return [
    db.delete(address).where(and(eq(address.mailbox, mailbox), notInArray(address.local, wanted))),
    ...locals.map((local) => insertAddress(db, domain, local, mailbox)),
  ];
}
