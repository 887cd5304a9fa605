/** Sessions and what a login name may stand for. */
import { and, eq, gt, lte, sql } from "drizzle-orm";
import { credential, mailbox, role, session } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";

export type NewSession = typeof session.$inferInsert;

/** A live session with the facts that it still rests on; what is gone by now is null. */
export interface SessionRow {
  readonly kind: "operator" | "administrator" | "user";
  readonly name: string;
  readonly expiresAt: number;
  readonly mailbox: {
    readonly id: number;
    readonly domain: number;
    readonly shard: number;
    readonly address: string;
    readonly disabled: boolean;
  } | null;
  readonly role: { readonly kind: "operator" | "administrator"; readonly customer: number | null } | null;
}

/** One way in for a login name. */
export type Login =
  | {
      readonly kind: "role";
      readonly email: string;
      readonly role: "operator" | "administrator";
      readonly customer: number | null;
      readonly password: string;
    }
  | { readonly kind: "mailbox"; readonly mailbox: number; readonly address: string; readonly password: string };

/** @param name a normal form of the address */
export async function findLogins(db: Directory, name: string): Promise<Login[]> {
  const [roles, boxes] = await db.batch([
    db
      .select({ email: role.email, role: role.kind, customer: role.customer, password: credential.hash })
      .from(role)
      .innerJoin(credential, and(eq(credential.role, role.id), eq(credential.kind, "password")))
      .where(eq(role.email, name)),
    db
      .select({ mailbox: mailbox.id, address: mailbox.address, password: mailbox.password })
      .from(mailbox)
      .where(and(eq(mailbox.address, name), eq(mailbox.disabled, false))),
  ]);
  return [
    ...roles.map((row) => ({ kind: "role" as const, ...row })),
    ...boxes.flatMap(({ password, ...row }) =>
      password === null ? [] : [{ kind: "mailbox" as const, ...row, password }],
    ),
  ];
}

/** Also drops what has expired, a few at a time, so that the table stays small without a job of its own. */
export async function insertSession(db: Directory, row: NewSession, now: number): Promise<void> {
  await db.batch([
    db.insert(session).values(row),
    db
      .delete(session)
      .where(
        sql`${session.hash} IN (SELECT ${session.hash} FROM ${session} WHERE ${lte(session.expiresAt, now)} LIMIT 20)`,
      ),
  ]);
}

/** @param hash SHA-256 of the token, hexadecimal */
export async function findSession(db: Directory, hash: string, now: number): Promise<SessionRow | null> {
  const [row] = await db
    .select({
      kind: session.kind,
      name: session.name,
      expiresAt: session.expiresAt,
      mailbox: {
        id: mailbox.id,
        domain: mailbox.domain,
        shard: mailbox.shard,
        address: mailbox.address,
        disabled: mailbox.disabled,
      },
      role: { kind: role.kind, customer: role.customer },
    })
    .from(session)
    .leftJoin(mailbox, eq(mailbox.id, session.mailbox))
    .leftJoin(role, eq(role.email, session.name))
    .where(and(eq(session.hash, hash), gt(session.expiresAt, now)));
  return row ?? null;
}

export async function deleteSession(db: Directory, hash: string): Promise<void> {
  await db.delete(session).where(eq(session.hash, hash));
}
