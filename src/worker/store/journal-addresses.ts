/** The addresses to which customers' servers send copies of their mail. */
import { and, asc, count, eq } from "drizzle-orm";
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { within } from "./deadline.ts";
import { domain, journalAddress } from "./directory.schema.ts";
import type { Directory } from "./directory.ts";

export interface JournalRow {
  readonly id: number;
  /** The domain's number. */
  readonly domain: number;
  readonly format: "reports" | "copies";
  /** Names of domains in normal form, whose mail is kept. */
  readonly domains: readonly string[];
  /** Ranges as core/ip-range.ts writes them; empty: from anywhere. */
  readonly sources: readonly string[];
  readonly label: string;
  readonly actor: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** With the name of its domain. */
export interface KnownJournal extends JournalRow {
  readonly domainName: string;
}

export async function listJournals(db: Directory, domainId: number): Promise<JournalRow[]> {
  const rows = await db
    .select()
    .from(journalAddress)
    .where(eq(journalAddress.domain, domainId))
    .orderBy(asc(journalAddress.id));
  return rows.map(fromRow);
}

export async function countJournals(db: Directory, domainId: number): Promise<number> {
  const [row] = await db.select({ all: count() }).from(journalAddress).where(eq(journalAddress.domain, domainId));
  return row?.all ?? 0;
}

/** @param hash SHA-256 of its secret, hexadecimal. @returns its number */
export async function insertJournal(db: Directory, hash: string, row: Omit<JournalRow, "id">): Promise<number> {
  const { domains, sources, ...rest } = row;
  const lists = { domains: JSON.stringify(domains), sources: JSON.stringify(sources) };
  const [made] = await db
    .insert(journalAddress)
    .values({ ...rest, ...lists, hash })
    .returning({ id: journalAddress.id });
  if (!made) throw new Error("the directory did not keep the journal address");
  return made.id;
}

/** @returns false where the domain has none of that number */
export async function deleteJournal(db: Directory, domainId: number, id: number): Promise<boolean> {
  const { meta } = await db
    .delete(journalAddress)
    .where(and(eq(journalAddress.domain, domainId), eq(journalAddress.id, id)));
  return meta.changes > 0;
}

/** @param hash SHA-256 of the secret, hexadecimal. @throws where D1 does not answer */
export async function findJournal(db: Directory, hash: string): Promise<KnownJournal | null> {
  const read = db
    .select({ row: journalAddress, domainName: domain.name })
    .from(journalAddress)
    .innerJoin(domain, eq(domain.id, journalAddress.domain))
    .where(eq(journalAddress.hash, hash));
  const [found] = await within(read, INDEX_TIMEOUT, "D1 read of a journal address");
  return found ? { ...fromRow(found.row), domainName: found.domainName } : null;
}

function fromRow({ hash: _, domains, sources, ...row }: typeof journalAddress.$inferSelect): JournalRow {
  return { ...row, domains: JSON.parse(domains) as string[], sources: JSON.parse(sources) as string[] };
}
