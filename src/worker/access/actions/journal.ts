/** Addresses to which customers' servers send copies of their mail: made, listed, taken back. */
import { parseRange } from "../../../core/ip-range.ts";
import { journalAddress } from "../../../core/journal/address.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { MAX_JOURNAL_ADDRESSES, WIDEST_JOURNAL_SOURCE } from "../../../core/send/limits.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import { randomSecret, sha256 } from "../../identity/random-secret.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import {
  countJournals,
  deleteJournal,
  insertJournal,
  type JournalRow,
  listJournals,
} from "../../store/journal-addresses.ts";
import { invalid, notFound, type Problem } from "../problem.ts";
import { ownDomains } from "./own-domains.ts";

export interface NewJournal {
  readonly format: JournalRow["format"];
  /** Further domains whose mail is kept. */
  readonly domains: readonly string[];
  readonly sources: readonly string[];
  readonly label: string;
}

export interface MadeJournal extends JournalRow {
  /** Shown this once: at our own name, and at the domain's, for a domain whose mail comes to us. */
  readonly addresses: readonly [string, string];
}

export function journalsOf(env: Env, domain: DomainRow): Promise<JournalRow[]> {
  return listJournals(directory(env), domain.id);
}

export async function addJournal(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  wanted: NewJournal,
  now: number,
): Promise<Result<MadeJournal, Problem>> {
  const db = directory(env);
  const domains = await ownDomains(env, principal, domain, "domains", wanted.domains);
  if (!domains.ok) return domains;
  const sources: string[] = [];
  for (const [at, given] of wanted.sources.entries()) {
    const range = parseRange(given, WIDEST_JOURNAL_SOURCE);
    if (!range.ok) return err(invalid(`sources.${at}`, range.error));
    sources.push(range.value);
  }
  if ((await countJournals(db, domain.id)) >= MAX_JOURNAL_ADDRESSES) {
    const detail = `A domain has at most ${MAX_JOURNAL_ADDRESSES} journal addresses: take one away that is not used any more.`;
    return err({ status: 409, code: "too_many_journal_addresses", detail });
  }
  const secret = randomSecret();
  const { format, label } = wanted;
  const row = {
    domain: domain.id,
    format,
    domains: domains.value,
    sources,
    label,
    actor: principal.name,
    createdAt: now,
  };
  const id = await insertJournal(db, await sha256(secret), row);
  await logEvent(env, domain.name, {
    kind: "journal_address_added",
    actor: principal.name,
    data: { id, format, domains: domains.value, sources },
  });
  const addresses = [journalAddress(secret, env.HOSTNAME), journalAddress(secret, domain.name)] as const;
  return ok({ ...row, id, addresses });
}

export async function removeJournal(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  id: number,
): Promise<Problem | null> {
  if (!(await deleteJournal(directory(env), domain.id, id))) return notFound(`journal address ${id} of ${domain.name}`);
  await logEvent(env, domain.name, { kind: "journal_address_removed", actor: principal.name, data: { id } });
  return null;
}
