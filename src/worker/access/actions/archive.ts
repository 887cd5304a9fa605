/** The archive: search it, open one message, deliver one again. A user sees their own mail, an administrator their domains'. */
import { parseAddress, parseDomain } from "../../../core/address.ts";
import type { Query } from "../../../core/query/query.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { redeliver } from "../../archive/redeliver.ts";
import { searchableSince } from "../../archive/renewal.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import { type Principal, scopeOf } from "../../identity/principal.ts";
import { type ArchiveItem, type SearchScope, searchArchive } from "../../search/archive.ts";
import { type Asked, queryOf } from "../../search/asked.ts";
import { directory } from "../../store/directory.ts";
import { findDomain, findDomainById } from "../../store/domains.ts";
import { findMailbox } from "../../store/mailboxes.ts";
import { findMessage, type MessageRow } from "../../store/messages.ts";
import { shards } from "../../store/shard.ts";
import { FORBIDDEN, invalid, notFound, type Problem, unsearchable } from "../problem.ts";

export interface ArchiveQuery extends Asked {
  readonly domain?: string | undefined;
  /** An address of the domain. */
  readonly mailbox?: string | undefined;
}

export interface ArchivePage {
  readonly items: readonly ArchiveItem[];
  readonly next: string | null;
  /** Unix milliseconds: older mail is not found yet (archive/renewal.ts). Null: all is. */
  readonly since: number | null;
  /** What was searched for, for whoever shows where it stands (search/snippets.ts). */
  readonly query: Query;
}

export async function searchMail(
  env: Env,
  principal: Principal,
  query: ArchiveQuery,
  cursor: string | null,
  limit: number,
): Promise<Result<ArchivePage, Problem>> {
  const { domain, mailbox, ...asked } = query;
  const scope = await scopeOfSearch(env, principal, domain, mailbox);
  if (!scope.ok) return scope;
  const wanted = queryOf(asked, Date.now());
  if (!wanted.ok) return err(unsearchable(wanted.error));
  const [found, since] = await Promise.all([
    searchArchive(env, scope.value, wanted.value, cursor, limit),
    searchableSince(env, scope.value.kind === "account" ? scope.value.shard : null),
  ]);
  return found ? ok({ ...found, since, query: wanted.value }) : err(invalid("cursor", "is not a cursor of this list"));
}

/** Whose mail is searched: decided here, and carried into the query. */
async function scopeOfSearch(
  env: Env,
  principal: Principal,
  domain: string | undefined,
  mailbox: string | undefined,
): Promise<Result<SearchScope, Problem>> {
  if (principal.kind === "user") {
    const own = { kind: "account" as const, account: principal.mailbox, shard: principal.shard };
    const asked = mailbox === undefined ? null : parseAddress(mailbox);
    const others = asked !== null && !(asked.ok && asked.value.address === principal.name);
    const elsewhere = domain !== undefined && !principal.name.endsWith(`@${domain.toLowerCase()}`);
    return others || elsewhere ? err({ ...FORBIDDEN, detail: "You can search your own mailbox only." }) : ok(own);
  }
  const name = domain ?? (mailbox === undefined ? undefined : mailbox.slice(mailbox.lastIndexOf("@") + 1));
  if (name === undefined) return err(invalid("domain", "is missing: name the domain to search"));
  const parsed = parseDomain(name);
  const row = parsed.ok ? await findDomain(directory(env), parsed.value, scopeOf(principal)) : null;
  if (!row) return err(notFound(`domain ${name}`));
  if (mailbox === undefined) return ok({ kind: "domain", domainId: row.id });
  const address = parseAddress(mailbox);
  const box = address.ok ? await findMailbox(directory(env), row.id, address.value.address) : null;
  return box
    ? ok({ kind: "account", account: box.id, shard: box.shard })
    : err(notFound(`mailbox ${mailbox} in ${row.name}`));
}

export interface ArchivedMessage extends MessageRow {
  readonly shard: number;
  /** The number of the domain that it belongs to. */
  readonly domain: number;
}

/** @param id `shard-number`, as a search answers it */
export async function archivedMessage(
  env: Env,
  principal: Principal,
  id: string,
): Promise<Result<ArchivedMessage, Problem>> {
  const none = err(notFound("such message in your archive"));
  const match = /^(\d{1,4})-([1-9]\d{0,15})$/.exec(id);
  const shard = match && shards(env).find(({ number }) => number === Number(match[1]));
  if (!match || !shard) return none;
  const row = await findMessage(shard.db, Number(match[2]));
  if (!row) return none;
  const mine =
    principal.kind === "user"
      ? principal.shard === shard.number && row.account === principal.mailbox
      : (await findDomainById(directory(env), row.domain, scopeOf(principal))) !== null;
  return mine ? ok({ ...row, shard: shard.number }) : none;
}

export interface Redelivery {
  readonly outcome: "delivered" | "refused" | "unavailable" | "portal";
  /** In words, for people. */
  readonly detail: string;
}

/**
 * To the server that is active now. A user has their own mail again; an administrator may name another mailbox of the
 * domain.
 * @param to absent: as it came
 */
export async function redeliverMessage(
  env: Env,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  principal: Principal,
  message: ArchivedMessage,
  to: string | undefined,
): Promise<Result<Redelivery, Problem>> {
  const db = directory(env);
  // An alias may lead to others too: a user asks for themselves alone.
  let address = principal.kind === "user" && message.direction === "in" ? principal.name : undefined;
  if (to !== undefined) {
    const parsed = parseAddress(to);
    const box = parsed.ok ? await findMailbox(db, message.domain, parsed.value.address) : null;
    if (!box) return err(invalid("to", "must be the address of a mailbox of the domain that the message belongs to"));
    if (principal.kind === "user" && box.id !== principal.mailbox) {
      return err({ ...FORBIDDEN, detail: "to: you can have a message delivered to your own mailbox only." });
    }
    address = box.address;
  }
  // Read before: what fails after the delivery would make a person ask for it again.
  const row = await findDomainById(db, message.domain, { kind: "all" });
  const { kind, detail, lineEndsChanged } = await redeliver(
    env,
    ctx,
    { shard: message.shard, id: message.id },
    address,
  );
  if (row) {
    const data = { message: idOf(message), outcome: kind, ...(address !== undefined && { to: address }) };
    await logEvent(env, row.name, { kind: "archive_redelivered", actor: principal.name, data });
    if (lineEndsChanged) {
      const data = { message: idOf(message), key: message.key };
      await logEvent(env, row.name, { kind: "line_ends_changed", actor: "delivery", data });
    }
  }
  return ok({ outcome: kind, detail });
}

export const idOf = ({ shard, id }: Pick<ArchivedMessage, "shard" | "id">): string => `${shard}-${id}`;
