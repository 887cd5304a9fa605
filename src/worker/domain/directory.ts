/** What a domain's object, and the plan in its stead, read from the directory and write to it. */
import { ADDRESS_PAGE, INDEX_TIMEOUT } from "../../core/limits.ts";
import type { Mode } from "../../core/mode.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { directory } from "../store/directory.ts";
import { type DomainRow, findDomain } from "../store/domains.ts";
import type { DomainFacts, Holder } from "./contract.ts";

/** A domain with the mode that was last written to D1. `modeSince` in unix milliseconds. */
export interface DirectoryFacts {
  readonly facts: DomainFacts;
  readonly mode: Mode;
  readonly modeSince: number;
}

export interface DirectoryEntry extends DirectoryFacts {
  /** By local part in look-up form; only those that were asked for, and the named postmaster's. */
  readonly holders: ReadonlyMap<string, readonly Holder[]>;
}

export interface DirectoryCopy extends DirectoryFacts {
  readonly addresses: ReadonlyMap<string, readonly Holder[]>;
}

interface AddressRow extends Omit<Holder, "chosen"> {
  readonly local: string;
  readonly id: number;
  readonly chosen: number;
}

const ADDRESSES = `SELECT a.local, a.mailbox AS id, m.id AS account, m.shard, m.address AS mailbox, m.covered AS chosen
  FROM address a JOIN mailbox m ON m.id = a.mailbox`;

/** @returns null where the directory has no such domain */
export async function factsOf(env: Env, name: string): Promise<DirectoryFacts | null> {
  const row = await within(findDomain(directory(env), name, { kind: "all" }), INDEX_TIMEOUT, "D1 read of a domain");
  return row ? toFacts(row) : null;
}

/**
 * One domain and the holders of a few local parts.
 * @returns null where the directory has no such domain
 * @throws where D1 does not answer
 */
export async function entryFor(env: Env, name: string, locals: readonly string[]): Promise<DirectoryEntry | null> {
  const found = env.DIRECTORY.prepare(
    `${ADDRESSES} JOIN domain d ON d.id = a.domain
     WHERE d.name = ?1 AND (a.local IN (SELECT value FROM json_each(?2)) OR m.address = d.settings ->> '$.postmaster')`,
  ).bind(name, JSON.stringify(locals));
  const addresses = within(found.all<AddressRow>(), INDEX_TIMEOUT, "D1 read of a domain's addresses");
  const [facts, rows] = await Promise.all([factsOf(env, name), addresses]);
  return facts && { ...facts, holders: byLocal(rows.results) };
}

/**
 * A whole domain with all its addresses, as of one version of the directory.
 * @throws where D1 does not answer, or the domain changes faster than it can be read
 */
export async function copyOf(env: Env, name: string): Promise<DirectoryCopy | null> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = await factsOf(env, name);
    if (!before) return null;
    const addresses = byLocal(await allAddresses(env, before.facts.id));
    const after = await factsOf(env, name);
    if (after?.facts.version === before.facts.version) return { ...after, addresses };
  }
  throw new Error("the directory changed three times while it was read");
}

async function allAddresses(env: Env, domain: number): Promise<AddressRow[]> {
  const rows: AddressRow[] = [];
  const page = env.DIRECTORY.prepare(
    `${ADDRESSES} WHERE a.domain = ?1 AND (a.local, a.mailbox) > (?2, ?3) ORDER BY a.local, a.mailbox LIMIT ${ADDRESS_PAGE}`,
  );
  for (;;) {
    const last = rows.at(-1);
    const { results } = await within(
      page.bind(domain, last?.local ?? "", last?.id ?? 0).all<AddressRow>(),
      INDEX_TIMEOUT,
      "D1 read of addresses",
    );
    rows.push(...results);
    if (results.length < ADDRESS_PAGE) return rows;
  }
}

/** The mode as it holds where the object does not answer. A later change that D1 has already is not undone. */
export async function saveMode(env: Env, domain: number, mode: Mode, since: number): Promise<void> {
  await within(
    env.DIRECTORY.prepare("UPDATE domain SET mode = ?2, mode_since = ?3 WHERE id = ?1 AND mode_since <= ?3")
      .bind(domain, mode, since)
      .run(),
    INDEX_TIMEOUT,
    "D1 write of a mode",
  );
}

function toFacts(row: DomainRow): DirectoryFacts {
  const { id, name, continuity, coverage, switching, settings, route, version, mode, modeSince } = row;
  return { facts: { id, name, continuity, coverage, switching, settings, route, version }, mode, modeSince };
}

function byLocal(rows: readonly AddressRow[]): Map<string, Holder[]> {
  const map = new Map<string, Holder[]>();
  for (const { local, account, shard, mailbox, chosen } of rows) {
    const holders = map.get(local) ?? [];
    holders.push({ account, shard, mailbox, chosen: chosen !== 0 });
    map.set(local, holders);
  }
  return map;
}

/** Names of domains. @param ids null: all with continuity */
export async function domainNames(env: Env, ids: readonly number[] | null): Promise<string[]> {
  if (ids?.length === 0) return [];
  const query = ids
    ? env.DIRECTORY.prepare("SELECT name FROM domain WHERE id IN (SELECT value FROM json_each(?1))").bind(
        JSON.stringify(ids),
      )
    : env.DIRECTORY.prepare("SELECT name FROM domain WHERE continuity = 1");
  const { results } = await within(query.all<{ name: string }>(), INDEX_TIMEOUT, "D1 read of domain names");
  return results.map((row) => row.name);
}
