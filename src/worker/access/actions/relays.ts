/** Customers' own servers that send through us: made, listed, taken back. */
import { parseRange } from "../../../core/ip-range.ts";
import { classifyHost } from "../../../core/origin-host.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { MAX_RELAYS, WIDEST_RELAY_RANGE } from "../../../core/send/limits.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import { randomSecret, sha256 } from "../../identity/random-secret.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import { countRelays, deleteRelay, insertRelay, listRelays, type RelayRow } from "../../store/relays.ts";
import { invalid, notFound, type Problem } from "../problem.ts";
import { ownDomains } from "./own-domains.ts";

/** Exactly one of `login`, `address`, `certificate`. */
export interface NewRelay {
  readonly login?: true | undefined;
  readonly address?: string | undefined;
  readonly certificate?: string | undefined;
  /** Further domains that it sends for. */
  readonly senders: readonly string[];
  readonly label: string;
}

export interface MadeRelay extends RelayRow {
  /** Of a login: shown this once. */
  readonly password?: string;
}

const LOGIN_LETTERS = 8;

export function relaysOf(env: Env, domain: DomainRow): Promise<RelayRow[]> {
  return listRelays(directory(env), domain.id);
}

export async function addRelay(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  wanted: NewRelay,
  now: number,
): Promise<Result<MadeRelay, Problem>> {
  const db = directory(env);
  const senders = await ownDomains(env, principal, domain, "senders", wanted.senders);
  if (!senders.ok) return senders;
  const known = await knownBy(wanted, domain, principal);
  if (!known.ok) return known;
  if ((await countRelays(db, domain.id)) >= MAX_RELAYS) {
    const detail = `A domain has at most ${MAX_RELAYS} relays: take one away that is not used any more.`;
    return err({ status: 409, code: "too_many_relays", detail });
  }
  const { password, ...how } = known.value;
  const facts = {
    domain: domain.id,
    senders: senders.value,
    label: wanted.label,
    actor: principal.name,
    createdAt: now,
  };
  const row = { ...facts, ...how };
  const id = await insertRelay(db, row);
  await logEvent(env, domain.name, {
    kind: "relay_added",
    actor: principal.name,
    data: { id, by: how.kind, value: how.value, senders: senders.value },
  });
  return ok({ ...row, id, ...(password === undefined ? {} : { password }) });
}

export async function removeRelay(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  id: number,
): Promise<Problem | null> {
  if (!(await deleteRelay(directory(env), domain.id, id))) return notFound(`relay ${id} of ${domain.name}`);
  await logEvent(env, domain.name, { kind: "relay_removed", actor: principal.name, data: { id } });
  return null;
}

type KnownBy = Pick<RelayRow, "kind" | "value" | "hash"> & { readonly password?: string };

async function knownBy(
  { login, address, certificate }: NewRelay,
  { name }: DomainRow,
  principal: Principal,
): Promise<Result<KnownBy, Problem>> {
  if ([login, address, certificate].filter((one) => one !== undefined).length !== 1) {
    return err(invalid("", "Say how the server is known: by one of login, address and certificate."));
  }
  if (address !== undefined) {
    const range = parseRange(address, WIDEST_RELAY_RANGE);
    if (!range.ok) return err(invalid("address", range.error));
    const [first = ""] = range.value.split("/");
    // A gateway behind a load balancer sees its address for everybody's: only who runs it knows.
    if (principal.kind !== "operator" && classifyHost(first).kind !== "public") {
      return err(invalid("address", "is loopback or private, which only an operator may set"));
    }
    return ok({ kind: "address", value: range.value, hash: null });
  }
  if (certificate !== undefined) {
    const digits = certificate.replace(/[:\s]/g, "").toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(digits)) {
      return err(invalid("certificate", "must be the certificate's SHA-256 fingerprint: 64 hexadecimal digits"));
    }
    return ok({ kind: "certificate", value: digits, hash: null });
  }
  const password = randomSecret();
  return ok({
    kind: "login",
    value: `relay-${randomSecret(LOGIN_LETTERS)}@${name}`,
    hash: await sha256(password),
    password,
  });
}
