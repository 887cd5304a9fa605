/** Domains: create, change, show. The API and the panel both call these. */
import { parseAddress, parseDomain } from "../../../core/address.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { askDomain, logEvent, tellDomain } from "../../domain/ask.ts";
import type { DomainStatus } from "../../domain/contract.ts";
import type { Env } from "../../env.ts";
import { type Principal, scopeOf } from "../../identity/principal.ts";
import { createAccount } from "../../store/accounts.ts";
import { backlogOf } from "../../store/backlog-totals.ts";
import { directory } from "../../store/directory.ts";
import {
  type DomainChange,
  type DomainRow,
  findDomain,
  forwardedTo,
  insertDomain,
  nextDomainId,
  updateDomain,
} from "../../store/domains.ts";
import { findMailbox, listMailboxes, unchosenMailboxes } from "../../store/mailboxes.ts";
import { shardDb } from "../../store/shard.ts";
import { FORBIDDEN, invalid, notFound, type Problem, unavailable } from "../problem.ts";
import { changeOrigin, type OriginChange } from "./origin.ts";
import { changeOutgoing, type OutgoingChange } from "./outgoing.ts";
import { type Affected, settleWaiting, type WaitingChoice } from "./waiting.ts";

/** Absent: as it was, or the default. */
export interface DomainInput {
  readonly continuity?: boolean | undefined;
  readonly coverage?: DomainRow["coverage"] | undefined;
  readonly switching?: DomainRow["switching"] | undefined;
  readonly origin?: OriginChange | undefined;
  readonly outgoing?: OutgoingChange | undefined;
  /** The mailbox that takes postmaster@ and abuse@ in emergency mode; null: the panel does. */
  readonly postmaster?: string | null | undefined;
}

export interface SavedDomain {
  readonly row: DomainRow;
  readonly created: boolean;
}

/** Two people at once: the second reads again. More than this is no coincidence. */
const ATTEMPTS = 5;
const SHARD_OF_PANEL = 0;

const NEW: DomainChange = {
  continuity: false,
  coverage: "all",
  switching: "manual",
  settings: {},
  route: null,
  outgoing: { route: null, limits: {} },
};

export async function saveDomain(
  env: Env,
  principal: Principal,
  given: string,
  input: DomainInput,
  waiting: WaitingChoice | undefined,
  now: number,
): Promise<Result<SavedDomain, Problem>> {
  const parsed = parseDomain(given.trim());
  if (!parsed.ok || (!parsed.value.includes(".") && parsed.value !== "localhost")) {
    return err(invalid("domain", `${JSON.stringify(given)} is not a domain name`));
  }
  const name = parsed.value;
  const db = directory(env);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const current = await findDomain(db, name, scopeOf(principal));
    // Only an operator adds domains; whether somebody else has this one is nobody's business.
    if (!current && principal.kind !== "operator") return err(notFound(`domain ${name}`));
    const source = current ? null : await forwardedTo(db, name);
    if (source) {
      const why = `the mail of ${source} is forwarded to it, which would go in a circle`;
      return err(invalid("domain", `${name} cannot be added: ${why}. Forward that mail elsewhere first`));
    }
    const change = await changed(env, principal, name, current, input);
    if (!change.ok) return change;
    if (current) {
      const problem = await uncover(env, current, change.value, waiting, principal.name);
      if (problem) return err(problem);
    }
    const row = current ? await update(env, current, change.value) : await create(env, name, change.value, now);
    if (!row) continue;
    await tellDomain(env, name);
    await logEvent(env, name, {
      kind: current ? "domain_changed" : "domain_created",
      actor: principal.name,
      data: told(input),
    });
    return ok({ row, created: !current });
  }
  return err(unavailable(`Others are changing ${name} at the same time. Nothing was changed; try again.`));
}

/** The domain as it is to be, or what is wrong with it. */
async function changed(
  env: Env,
  principal: Principal,
  name: string,
  current: DomainRow | null,
  input: DomainInput,
): Promise<Result<DomainChange, Problem>> {
  const before = current ?? NEW;
  const operator = principal.kind === "operator";
  if (input.switching === "automatic" && before.switching !== "automatic" && !operator) {
    return err({ ...FORBIDDEN, detail: "switching: only an operator may set it to automatic." });
  }
  let route = before.route;
  if (input.origin) {
    const result = await changeOrigin(env, name, before.route, input.origin, operator);
    if (!result.ok) return result;
    route = result.value;
  }
  let outgoing = before.outgoing;
  if (input.outgoing) {
    const result = await changeOutgoing(env, before.outgoing, input.outgoing, operator);
    if (!result.ok) return result;
    outgoing = result.value;
  }
  const continuity = input.continuity ?? before.continuity;
  if (continuity && !route) {
    return err(
      invalid("origin", "is missing: continuity needs the mail server that it stands in for (host, port, tls)"),
    );
  }
  const { postmaster: _, ...others } = before.settings;
  let settings = before.settings;
  if (input.postmaster === null) settings = others;
  if (typeof input.postmaster === "string") {
    const address = parseAddress(input.postmaster);
    const box = current && address.ok ? await findMailbox(directory(env), current.id, address.value.address) : null;
    if (!box) return err(invalid("postmaster", "must be the address of a mailbox of this domain"));
    settings = { ...others, postmaster: box.address };
  }
  return ok({
    continuity,
    coverage: input.coverage ?? before.coverage,
    switching: input.switching ?? before.switching,
    settings,
    route,
    outgoing,
  });
}

/** Where mailboxes lose coverage, what waits for them has to be settled first. */
async function uncover(
  env: Env,
  current: DomainRow,
  change: DomainChange,
  waiting: WaitingChoice | undefined,
  actor: string,
): Promise<Problem | null> {
  const db = directory(env);
  const affected: Affected[] = [];
  if (current.continuity && !change.continuity) {
    let after = "";
    for (;;) {
      const page = await listMailboxes(db, current.id, after, 500);
      affected.push(...page.map(({ id, shard }) => ({ account: id, shard })));
      const last = page.at(-1);
      if (!last) break;
      after = last.address;
    }
    affected.push({ account: -current.id, shard: SHARD_OF_PANEL });
  } else if (current.continuity && current.coverage === "all" && change.coverage === "selected") {
    for (const { id, shard } of await unchosenMailboxes(db, current.id)) affected.push({ account: id, shard });
  }
  return settleWaiting(env, current.name, affected, waiting, actor, `mailboxes of ${current.name}`);
}

async function update(env: Env, current: DomainRow, change: DomainChange): Promise<DomainRow | null> {
  const stored = await updateDomain(directory(env), current, change);
  return stored ? { ...current, ...change, version: current.version + 1 } : null;
}

/** The panel's account comes first: without its domain it is nothing, and it is made once however often this is tried. */
async function create(env: Env, name: string, change: DomainChange, now: number): Promise<DomainRow | null> {
  const db = directory(env);
  const id = await nextDomainId(db);
  await createAccount(shardDb(env, SHARD_OF_PANEL), -id, id, now);
  if (!(await insertDomain(db, id, name, change, now))) return null;
  return { ...change, id, name, mode: "normal", modeSince: now, version: 1, createdAt: now };
}

/** What the log says of a change: everything but the passwords. */
function told({ origin, outgoing, ...input }: DomainInput): Record<string, unknown> {
  return {
    ...input,
    ...(origin && { origin: withoutPassword(origin) }),
    ...(outgoing && { outgoing: withoutPassword(outgoing) }),
  };
}

function withoutPassword<T extends { readonly password?: string | null | undefined }>({ password, ...rest }: T) {
  return { ...rest, ...(password !== undefined && { passwordChanged: true }) };
}

export interface DomainPicture {
  readonly row: DomainRow;
  /** Null where the domain's object does not answer: then the mode in the directory holds. */
  readonly status: DomainStatus | null;
  readonly backlog: { readonly waiting: number; readonly refused: number };
}

export async function pictureOf(env: Env, row: DomainRow): Promise<DomainPicture> {
  const [status, backlog] = await Promise.all([statusOf(env, row.name), backlogOf(env, row.id)]);
  return { row, status, backlog };
}

async function statusOf(env: Env, name: string): Promise<DomainStatus | null> {
  try {
    const status = await askDomain(env, name, (object) => object.status());
    if (status) return status;
    // It has never heard of its domain: whoever created it could not tell it.
    await askDomain(env, name, (object) => object.reload(name));
    return await askDomain(env, name, (object) => object.status());
  } catch (error) {
    console.error(`the object of ${name} does not tell its status:`, error);
    return null;
  }
}
