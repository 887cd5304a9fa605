/** Mailboxes: register, change, remove. The API and the panel both call these. */
import { describeAddressError, parseAddress } from "../../../core/address.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { logEvent, tellDomain } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import { hashPassword, MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH } from "../../identity/password.ts";
import type { Principal } from "../../identity/principal.ts";
import { tellLoginChanged } from "../../push/tell.ts";
import { createAccounts } from "../../store/accounts.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import {
  deleteMailbox,
  findMailbox,
  insertMailboxes,
  type MailboxChange,
  type MailboxRow,
  type NewMailbox,
  updateMailbox,
} from "../../store/mailboxes.ts";
import { forgetPerson } from "../../store/on-arrival.ts";
import { shardOfNew } from "../../store/settings.ts";
import { shardDb } from "../../store/shard.ts";
import { type FieldError, invalidFields, notFound, type Problem } from "../problem.ts";
import { type Affected, settleWaiting, type WaitingChoice } from "./waiting.ts";

/** Absent: as it was, or the default. */
export interface MailboxInput {
  readonly covered?: boolean | undefined;
  /** null takes the login away. */
  readonly password?: string | null | undefined;
  /** Full addresses, or local parts alone. */
  readonly aliases?: readonly string[] | undefined;
  readonly alternateAddress?: string | null | undefined;
}

/** A mailbox's input, every part checked and in look-up form. */
export interface CheckedMailbox {
  readonly address: string;
  readonly local: string;
  readonly aliases: readonly string[] | undefined;
  readonly alternate: string | null | undefined;
  readonly covered: boolean | undefined;
  /** As typed. */
  readonly password: string | null | undefined;
}

/** Random numbers of 40 bits: a number is never used again, so that no mailbox comes to the mail of a removed one. */
const ID_BITS = 40;

export function checkMailbox(
  domain: DomainRow,
  address: string,
  input: MailboxInput,
): Result<CheckedMailbox, FieldError[]> {
  const errors: FieldError[] = [];
  const parsed = parseAddress(address);
  if (!parsed.ok) errors.push({ field: "address", message: describeAddressError(parsed.error) });
  else if (parsed.value.domain !== domain.name) {
    errors.push({ field: "address", message: `must be an address of ${domain.name}` });
  }
  const local = parsed.ok ? parsed.value.local : "";
  const aliases = new Set<string>();
  for (const [index, alias] of (input.aliases ?? []).entries()) {
    const read = parseAddress(alias.includes("@") ? alias : `${alias}@${domain.name}`);
    const field = `aliases.${index}`;
    if (!read.ok) errors.push({ field, message: describeAddressError(read.error) });
    else if (read.value.domain !== domain.name) errors.push({ field, message: `must be an address of ${domain.name}` });
    else if (read.value.local !== local) aliases.add(read.value.local);
  }
  let alternate = input.alternateAddress;
  if (typeof alternate === "string") {
    const read = parseAddress(alternate);
    if (!read.ok) errors.push({ field: "alternateAddress", message: describeAddressError(read.error) });
    else if (read.value.domain === domain.name) {
      errors.push({
        field: "alternateAddress",
        message: `must be outside ${domain.name}: it is for when that is down`,
      });
    } else alternate = read.value.address;
  }
  if (typeof input.password === "string") {
    const length = [...input.password].length;
    if (length < MIN_PASSWORD_LENGTH) {
      errors.push({ field: "password", message: `must have at least ${MIN_PASSWORD_LENGTH} characters` });
    }
    if (input.password.length > MAX_PASSWORD_LENGTH) {
      errors.push({ field: "password", message: `must have at most ${MAX_PASSWORD_LENGTH} characters` });
    }
  }
  if (errors.length > 0 || !parsed.ok) return err(errors);
  return ok({
    address: parsed.value.address,
    local,
    aliases: input.aliases && [...aliases].sort(),
    alternate,
    covered: input.covered,
    password: input.password,
  });
}

export async function saveMailbox(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  address: string,
  input: MailboxInput,
  waiting: WaitingChoice | undefined,
  now: number,
): Promise<Result<{ box: MailboxRow; created: boolean }, Problem>> {
  const checked = checkMailbox(domain, address, input);
  if (!checked.ok) return err(invalidFields(checked.error));
  const db = directory(env);
  const current = await findMailbox(db, domain.id, checked.value.address);
  if (!current) {
    const registered = await register(env, domain, [checked.value], now);
    if (!registered.ok) return registered;
    const [box] = registered.value;
    if (!box) throw new Error("a registered mailbox is not there");
    await logEvent(env, domain.name, {
      kind: "mailbox_registered",
      actor: principal.name,
      data: { mailbox: box.address },
    });
    return ok({ box, created: true });
  }
  const problem = await uncover(env, domain, current, checked.value, waiting, principal.name);
  if (problem) return err(problem);
  const { password, aliases, alternate, covered, local } = checked.value;
  const change: MailboxChange = {
    ...(covered !== undefined && { covered }),
    ...(alternate !== undefined && { alternate }),
    ...(aliases !== undefined && { aliases }),
    ...(password !== undefined && { password: password === null ? null : await hashPassword(password) }),
  };
  await updateMailbox(db, current, local, change);
  await tellDomain(env, domain.name);
  if (password !== undefined) tellLoginChanged(env, domain.name, current.id);
  await logEvent(env, domain.name, {
    kind: "mailbox_changed",
    actor: principal.name,
    data: { mailbox: current.address, changed: Object.keys(change) },
  });
  const box = await findMailbox(db, domain.id, current.address);
  return box ? ok({ box, created: false }) : err(notFound(`mailbox ${current.address}`));
}

/**
 * All of them or none. Accounts on the shard come first: one without a mailbox is nothing, a mailbox without one could not
 * take mail.
 */
export async function register(
  env: Env,
  domain: DomainRow,
  boxes: readonly CheckedMailbox[],
  now: number,
): Promise<Result<MailboxRow[], Problem>> {
  const shard = await shardOfNew(env);
  const rows: NewMailbox[] = [];
  for (const { address, local, aliases, alternate, covered, password } of boxes) {
    rows.push({
      id: randomId(),
      address,
      local,
      aliases: aliases ?? [],
      covered: covered ?? true,
      alternate: alternate ?? null,
      shard,
      password: typeof password === "string" ? await hashPassword(password) : null,
    });
  }
  await createAccounts(
    shardDb(env, shard),
    rows.map(({ id }) => id),
    domain.id,
    now,
  );
  if (!(await insertMailboxes(directory(env), domain.id, rows, now))) {
    const detail = "An address was registered by somebody else meanwhile. Nothing was changed; look, and try again.";
    return err({ status: 409, code: "taken", detail });
  }
  await tellDomain(env, domain.name);
  return ok(
    rows.map(({ local: _, password, ...row }) => ({
      ...row,
      domain: domain.id,
      createdAt: now,
      login: password !== null,
    })),
  );
}

export async function removeMailbox(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  address: string,
  waiting: WaitingChoice | undefined,
): Promise<Problem | null> {
  const box = await mailboxOf(env, domain, address);
  if (!box.ok) return box.error;
  const { id, shard } = box.value;
  const what = `the mailbox ${box.value.address}`;
  const problem = await settleWaiting(env, domain.name, [{ account: id, shard }], waiting, principal.name, what);
  if (problem) return problem;
  // First: what fails here leaves a mailbox that can be removed again, not somebody's letters without a mailbox.
  await forgetPerson(shardDb(env, shard), id);
  await deleteMailbox(directory(env), box.value);
  await tellDomain(env, domain.name);
  const event = { kind: "mailbox_removed", actor: principal.name, data: { mailbox: box.value.address } };
  await logEvent(env, domain.name, event);
  return null;
}

export async function mailboxOf(env: Env, domain: DomainRow, address: string): Promise<Result<MailboxRow, Problem>> {
  const parsed = parseAddress(address);
  const box = parsed.ok ? await findMailbox(directory(env), domain.id, parsed.value.address) : null;
  return box ? ok(box) : err(notFound(`mailbox ${parsed.ok ? parsed.value.address : JSON.stringify(address)}`));
}

/** Mail that waits for what the change takes away: all of the mailbox, or that of some aliases. */
async function uncover(
  env: Env,
  domain: DomainRow,
  current: MailboxRow,
  next: CheckedMailbox,
  waiting: WaitingChoice | undefined,
  actor: string,
): Promise<Problem | null> {
  const account = { account: current.id, shard: current.shard };
  const loses = domain.coverage === "selected" && current.covered && next.covered === false;
  const taken = next.aliases ? current.aliases.filter((alias) => !next.aliases?.includes(alias)) : [];
  const affected: Affected[] = loses ? [account] : taken.length > 0 ? [{ ...account, locals: taken }] : [];
  const what = loses ? `the mailbox ${current.address}` : `the alias ${taken.join(", ")} of ${current.address}`;
  return settleWaiting(env, domain.name, affected, waiting, actor, what);
}

/** A whole number from 1 to 2^40. */
function randomId(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 2 ** (ID_BITS - 32)) * 2 ** 32 + low + 1;
}
