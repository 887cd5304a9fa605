/**
 * Identities of a mailbox (RFC 8621 §6): under what name, and with which signature and reply address, its owner writes. Its own
 * address always has one, which cannot be deleted; others are for aliases, or for the same address in another role. An identity whose
 * alias was taken away is not shown and cannot be used; it is there again with the alias.
 */
import { ulid } from "ulidx";
import { parseAddress } from "../../core/address.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { MAX_IDENTITIES } from "../../core/send/limits.ts";
import type { Env } from "../env.ts";
import { sha256 } from "../identity/random-secret.ts";
import { type Author, notOwn } from "../send/person.ts";
import {
  type Correspondent,
  dropIdentity,
  type IdentityRow,
  identityRows,
  OWN_IDENTITY,
  saveIdentity,
} from "../store/identities.ts";
import { shardDb } from "../store/shard.ts";

export interface Identity extends Omit<IdentityRow, "chosen"> {
  /** What a message is written from where nothing else is said. One of a mailbox's. */
  readonly isDefault: boolean;
  readonly mayDelete: boolean;
}

/** What its owner can say of it; absent: as it was, or empty. */
export type IdentityChange = Partial<Omit<Identity, "id" | "mayDelete">>;

/** `field`: of the request, where it is about one. */
export interface IdentityRefusal {
  readonly reason: "no_identity" | "invalid" | "too_many" | "fixed";
  readonly field?: string;
  readonly detail: string;
}

const EMPTY = { name: "", replyTo: [], bcc: [], textSignature: "", htmlSignature: "", chosen: false } as const;

/** That of the mailbox's own address first. */
export async function identitiesOf(env: Env, author: Author): Promise<Identity[]> {
  const rows = (await identityRows(shardOf(env, author), author.writer.account)).filter(
    ({ id, email }) => id === OWN_IDENTITY || author.owns(email),
  );
  const own = { ...EMPTY, ...rows.find(({ id }) => id === OWN_IDENTITY), id: OWN_IDENTITY, email: author.address };
  const all = [own, ...rows.filter(({ id }) => id !== OWN_IDENTITY)];
  const chosen = all.find((row) => row.chosen) ?? own;
  return all.map(({ chosen: _, ...row }) => ({
    ...row,
    isDefault: row.id === chosen.id,
    mayDelete: row.id !== OWN_IDENTITY,
  }));
}

export async function findIdentity(env: Env, author: Author, id: string): Promise<Identity | null> {
  return (await identitiesOf(env, author)).find((one) => one.id === id) ?? null;
}

/** What a message is written from where nothing is said. */
export async function defaultIdentity(env: Env, author: Author): Promise<Identity | null> {
  return (await identitiesOf(env, author)).find(({ isDefault }) => isDefault) ?? null;
}

/** As what its owner is known to people at the mailbox's own address; empty where they have said nothing. */
export async function displayName(env: Env, author: Author): Promise<string> {
  const all = await identitiesOf(env, author);
  return all[0]?.name || (all.find(({ isDefault }) => isDefault)?.name ?? "");
}

/**
 * @param request what the caller calls it: its repeat finds what the first has made; null: it has no name
 * @param now unix milliseconds
 */
export async function makeIdentity(
  env: Env,
  author: Author,
  wanted: IdentityChange & { readonly email: string },
  request: string | null,
  now: number,
): Promise<Result<Identity, IdentityRefusal>> {
  const id = request === null ? ulid(now) : (await sha256(`identity ${request}`)).slice(0, 26);
  const made = await findIdentity(env, author, id);
  return made ? ok(made) : save(env, author, { ...EMPTY, id, email: wanted.email }, wanted);
}

export async function changeIdentity(
  env: Env,
  author: Author,
  id: string,
  change: IdentityChange,
): Promise<Result<Identity, IdentityRefusal>> {
  const found = await findIdentity(env, author, id);
  if (!found) return err(NONE);
  if (id === OWN_IDENTITY && change.email !== undefined && change.email !== found.email) {
    return err({ reason: "fixed", field: "email", detail: "This is the identity of the mailbox's own address." });
  }
  const { isDefault, mayDelete: _, ...row } = found;
  return save(env, author, { ...row, chosen: isDefault }, change);
}

/** Where it was the default, the one of the mailbox's own address is. */
export async function removeIdentity(env: Env, author: Author, id: string): Promise<IdentityRefusal | null> {
  if (id === OWN_IDENTITY) {
    return { reason: "fixed", detail: "The identity of the mailbox's own address is always there: change it instead." };
  }
  return (await dropIdentity(shardOf(env, author), author.writer.account, id)) ? null : NONE;
}

const NONE: IdentityRefusal = { reason: "no_identity", detail: "There is no such identity." };
const TOO_MANY: IdentityRefusal = {
  reason: "too_many",
  detail: `A mailbox has at most ${MAX_IDENTITIES} identities beside that of its own address: delete one first.`,
};

const shardOf = (env: Env, { writer }: Author): D1Database => shardDb(env, writer.shard);
const invalid = (field: string, detail: string): IdentityRefusal => ({ reason: "invalid", field, detail });

async function save(
  env: Env,
  author: Author,
  before: IdentityRow,
  { isDefault, ...change }: IdentityChange,
): Promise<Result<Identity, IdentityRefusal>> {
  const row = { ...before, ...change, chosen: isDefault ?? before.chosen };
  const wrong = whatIsWrong(row, author);
  if (wrong) return err(wrong);
  if (!(await saveIdentity(shardOf(env, author), author.writer.account, row))) return err(TOO_MANY);
  const saved = await findIdentity(env, author, row.id);
  return saved ? ok(saved) : err(NONE);
}

function whatIsWrong({ email, name, replyTo, bcc }: IdentityRow, author: Author): IdentityRefusal | null {
  if (!author.owns(email)) return invalid("email", notOwn(email));
  if (hasControls(name)) return invalid("name", "must be one line");
  for (const [field, people] of [["replyTo", replyTo] as const, ["bcc", bcc] as const]) {
    const odd = people.find((one: Correspondent) => !parseAddress(one.address).ok || hasControls(one.name));
    if (odd) return invalid(field, `${JSON.stringify(odd.address)} is not an address, or its name is not one line`);
  }
  return null;
}

const hasControls = (text: string): boolean => /\p{Cc}/u.test(text);
