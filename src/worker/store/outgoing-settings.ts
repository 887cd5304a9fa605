/** How a domain's mail goes out, and the keys that sign it; read for each message, for an administrator may just have changed it. */
import { and, desc, eq } from "drizzle-orm";
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import type { OutgoingSettings } from "../send/contract.ts";
import { within } from "./deadline.ts";
import { dkimKey } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";
import { readOutgoing } from "./domains.ts";

export interface SendingDomain extends OutgoingSettings {
  readonly id: number;
  /** Lower case, A-labels. */
  readonly name: string;
  readonly continuity: boolean;
  readonly coverage: "all" | "selected";
  /** The key that signs; its private half AES-GCM encrypted. Null: none was made. */
  readonly key: { readonly selector: string; readonly encrypted: string; readonly keyId: string } | null;
}

interface Columns {
  readonly id: number;
  readonly name: string;
  readonly continuity: number;
  readonly coverage: "all" | "selected";
  readonly outgoing: string | null;
  readonly encrypted: string | null;
  readonly keyId: string | null;
  readonly selector: string | null;
  readonly key: string | null;
  readonly sealedBy: string | null;
}

/** @param name in normal form. @returns null where the directory has no such domain */
export async function sendingDomain(db: D1Database, name: string): Promise<SendingDomain | null> {
  const row = await within(
    db
      .prepare(
        `SELECT d.id, d.name, d.continuity, d.coverage, d.outgoing, d.outgoing_encrypted AS encrypted, d.outgoing_key_id AS keyId,
           k.selector, k.encrypted AS "key", k.key_id AS sealedBy
         FROM domain d LEFT JOIN dkim_key k ON k.domain = d.id AND k.active = 1 WHERE d.name = ?1`,
      )
      .bind(name)
      .first<Columns>(),
    INDEX_TIMEOUT,
    "D1 read of how a domain sends",
  );
  if (!row) return null;
  const { id, continuity, coverage, outgoing, encrypted, keyId, selector, key, sealedBy } = row;
  return {
    id,
    name: row.name,
    continuity: continuity !== 0,
    coverage,
    ...readOutgoing(outgoing, encrypted, keyId),
    key: selector !== null && key !== null && sealedBy !== null ? { selector, encrypted: key, keyId: sealedBy } : null,
  };
}

/** Which of these are domains of this service, whoever's. @param names in normal form */
export async function domainsAmong(db: D1Database, names: readonly string[]): Promise<Set<string>> {
  const { results } = await within(
    db
      .prepare("SELECT name FROM domain WHERE name IN (SELECT value FROM json_each(?1))")
      .bind(JSON.stringify(names))
      .all<{ name: string }>(),
    INDEX_TIMEOUT,
    "D1 read of domain names",
  );
  return new Set(results.map(({ name }) => name));
}

/** Those that there are. */
export async function domainsById(db: D1Database, ids: readonly number[]): Promise<{ id: number; name: string }[]> {
  if (ids.length === 0) return [];
  const { results } = await within(
    db
      .prepare("SELECT id, name FROM domain WHERE id IN (SELECT value FROM json_each(?1))")
      .bind(JSON.stringify(ids))
      .all<{ id: number; name: string }>(),
    INDEX_TIMEOUT,
    "D1 read of domain names",
  );
  return results;
}

export type DkimKeyRow = typeof dkimKey.$inferSelect;
/** What may be shown of it. */
export type PublicDkimKey = Pick<DkimKeyRow, "selector" | "publicKey" | "active" | "createdAt">;

/** The youngest first. */
export function dkimKeys(db: Directory, domain: number): Promise<PublicDkimKey[]> {
  const { selector, publicKey, active, createdAt } = dkimKey;
  return db
    .select({ selector, publicKey, active, createdAt })
    .from(dkimKey)
    .where(eq(dkimKey.domain, domain))
    .orderBy(desc(createdAt), desc(selector));
}

/** @returns false where the domain has a key of that selector */
export async function insertDkimKey(db: Directory, key: DkimKeyRow): Promise<boolean> {
  return (await db.insert(dkimKey).values(key).onConflictDoNothing()).meta.changes > 0;
}

/** It signs from now on, and no other does. @returns false where there is none of that selector */
export async function activateDkimKey(db: Directory, domain: number, selector: string): Promise<boolean> {
  const [there] = await db.select({ selector: dkimKey.selector }).from(dkimKey).where(isKey(domain, selector));
  if (!there) return false;
  await db.batch([
    db.update(dkimKey).set({ active: false }).where(eq(dkimKey.domain, domain)),
    db.update(dkimKey).set({ active: true }).where(isKey(domain, selector)),
  ]);
  return true;
}

export async function deleteDkimKey(db: Directory, domain: number, selector: string): Promise<boolean> {
  return (await db.delete(dkimKey).where(isKey(domain, selector))).meta.changes > 0;
}

const isKey = (domain: number, selector: string) => and(eq(dkimKey.domain, domain), eq(dkimKey.selector, selector));
