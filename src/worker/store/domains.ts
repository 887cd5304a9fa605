/** The domains of the directory. */
import { and, asc, eq, gt, max, sql } from "drizzle-orm";
import type { DomainSettings, Route } from "../domain/contract.ts";
import type { OutgoingSettings } from "../send/contract.ts";
import { domain } from "./directory.schema.ts";
import { type Directory, inScope, type Scope } from "./directory.ts";

export interface DomainRow {
  readonly id: number;
  /** Lower case, A-labels. */
  readonly name: string;
  readonly continuity: boolean;
  readonly coverage: "all" | "selected";
  readonly switching: "manual" | "automatic";
  /** As of the last change that the domain's object told. */
  readonly mode: "normal" | "emergency";
  /** Unix milliseconds. */
  readonly modeSince: number;
  readonly settings: DomainSettings;
  readonly route: Route | null;
  readonly outgoing: OutgoingSettings;
  readonly version: number;
  readonly createdAt: number;
}

/** What a change of a domain writes. */
export type DomainChange = Pick<DomainRow, "continuity" | "coverage" | "switching" | "settings" | "route" | "outgoing">;

export async function findDomain(db: Directory, name: string, scope: Scope): Promise<DomainRow | null> {
  const [row] = await db
    .select()
    .from(domain)
    .where(inScope(scope, eq(domain.name, name)));
  return row ? fromRow(row) : null;
}

export async function findDomainById(db: Directory, id: number, scope: Scope): Promise<DomainRow | null> {
  const [row] = await db
    .select()
    .from(domain)
    .where(inScope(scope, eq(domain.id, id)));
  return row ? fromRow(row) : null;
}

/** By name. @param after the last name of the page before, or empty */
export async function listDomains(db: Directory, scope: Scope, after: string, limit: number): Promise<DomainRow[]> {
  const rows = await db
    .select()
    .from(domain)
    .where(inScope(scope, gt(domain.name, after)))
    .orderBy(asc(domain.name))
    .limit(limit);
  return rows.map(fromRow);
}

/** The number that the next domain may take. Domains are never deleted, so that no number comes twice. */
export async function nextDomainId(db: Directory): Promise<number> {
  const [row] = await db.select({ last: max(domain.id) }).from(domain);
  return (row?.last ?? 0) + 1;
}

/** @returns false where the name or the number is taken: read again and repeat */
export async function insertDomain(
  db: Directory,
  id: number,
  name: string,
  change: DomainChange,
  now: number,
): Promise<boolean> {
  const { meta } = await db
    .insert(domain)
    .values({ id, name, ...toColumns(change), modeSince: now, createdAt: now })
    .onConflictDoNothing();
  return meta.changes > 0;
}

/** @returns false where somebody changed it since `row` was read */
export async function updateDomain(db: Directory, row: DomainRow, change: DomainChange): Promise<boolean> {
  const { meta } = await db
    .update(domain)
    .set({ ...toColumns(change), version: row.version + 1 })
    .where(and(eq(domain.id, row.id), eq(domain.version, row.version)));
  return meta.changes > 0;
}

/** Part of the batch that changes a mailbox or an address: the domain's object sees that its copy is old. */
export function bumpVersion(db: Directory, domainId: number) {
  return db
    .update(domain)
    .set({ version: sql`${domain.version} + 1` })
    .where(eq(domain.id, domainId));
}

/** Whether the service has this domain, whoever's it is. */
export async function isDomain(db: Directory, name: string): Promise<boolean> {
  return (await db.$count(domain, eq(domain.name, name))) > 0;
}

/** A domain whose mail is forwarded to `name`; null where there is none. */
export async function forwardedTo(db: Directory, name: string): Promise<string | null> {
  const [row] = await db
    .select({ name: domain.name })
    .from(domain)
    .where(eq(sql`json_extract(${domain.route}, '$.forwardDomain')`, name))
    .limit(1);
  return row?.name ?? null;
}

function toColumns(change: DomainChange) {
  const { passwordEncrypted, keyId, ...route } = change.route ?? {};
  const { open, sealed } = withoutPassword(change.outgoing);
  return {
    continuity: change.continuity,
    coverage: change.coverage,
    switching: change.switching,
    settings: JSON.stringify(change.settings),
    route: change.route ? JSON.stringify(route) : null,
    routeEncrypted: passwordEncrypted ?? null,
    keyId: keyId ?? null,
    outgoing: open,
    outgoingEncrypted: sealed?.passwordEncrypted ?? null,
    outgoingKeyId: sealed?.keyId ?? null,
  };
}

/** Passwords have columns of their own, so that keys can be rotated without reading the rest. */
function withoutPassword({ route, limits }: OutgoingSettings) {
  if (route?.transport !== "smarthost") return { open: JSON.stringify({ route, limits }), sealed: null };
  const { passwordEncrypted, keyId, ...open } = route;
  return { open: JSON.stringify({ route: open, limits }), sealed: { passwordEncrypted, keyId } };
}

/** @param text the column `outgoing` */
export function readOutgoing(text: string | null, encrypted: string | null, keyId: string | null): OutgoingSettings {
  if (text === null) return { route: null, limits: {} };
  const { route, limits } = JSON.parse(text) as OutgoingSettings;
  const sealed = route?.transport === "smarthost" && encrypted !== null && keyId !== null;
  return { route: sealed ? { ...route, passwordEncrypted: encrypted, keyId } : route, limits };
}

/** @throws SyntaxError where a column holds no JSON: only this file writes it */
function fromRow(row: typeof domain.$inferSelect): DomainRow {
  const {
    customer: _,
    settings,
    route,
    routeEncrypted,
    keyId,
    outgoing,
    outgoingEncrypted,
    outgoingKeyId,
    ...rest
  } = row;
  const open = route === null ? null : (JSON.parse(route) as Route);
  return {
    ...rest,
    settings: JSON.parse(settings) as DomainSettings,
    outgoing: readOutgoing(outgoing, outgoingEncrypted, outgoingKeyId),
    route: open && routeEncrypted && keyId ? { ...open, passwordEncrypted: routeEncrypted, keyId } : open,
  };
}

/** Domains by mode, for the metrics. */
export async function domainModes(db: Directory): Promise<Pick<DomainRow, "id" | "name" | "mode" | "continuity">[]> {
  return db
    .select({ id: domain.id, name: domain.name, mode: domain.mode, continuity: domain.continuity })
    .from(domain)
    .orderBy(asc(domain.name));
}
