/**
 * Archive copies whose octets were kept and whose row was not: the origin had the message, the index failed (design, rule 2).
 * An hourly sweep finds objects without a row. Most of those are nothing to mend: refused mail, spare octets of a repeat, mail
 * whose sender heard 451. So only what the domain's log says was accepted is indexed.
 */
import { parseAddress } from "../../core/address.ts";
import { MEND_HOURS, PLAN_TIMEOUT, STORE_TIMEOUT } from "../../core/limits.ts";
import { planFor } from "../decide/plan.ts";
import type { DomainRpc, LoggedEvent } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { firstSince } from "../store/expiry.ts";
import { keysFrom } from "../store/messages.ts";
import { shardDb, shards } from "../store/shard.ts";
import { extract } from "./extract.ts";
import { type IndexEntry, indexMessage } from "./index.ts";
import { getRaw, hourPrefix, metadataOf, type RawMetadata } from "./raw.ts";

const HOUR = 3600_000;
/** Of one run, and the events looked through for each domain's: an index that was down for hours is made anew by other means. */
const MAX_MENDED = 200;
const MAX_EVENTS = 2_000;
const EVENT_PAGE = 200;

export interface Mended {
  /** Objects that have a row now. */
  readonly mended: number;
  /** Objects whose row could not be written this time either. */
  readonly failed: number;
}

/**
 * Looks at the last MEND_HOURS whole hours; that of `now` may have mail under way.
 * @param now unix milliseconds
 */
export async function mendArchive(env: Env, ctx: Pick<ExecutionContext, "waitUntil">, now: number): Promise<Mended> {
  const missing = new MissingCopies(env, now - (MEND_HOURS + 1) * HOUR);
  let mended = 0;
  let failed = 0;
  for (let back = MEND_HOURS; back >= 1; back--) {
    for (const object of await withoutRow(env, now - back * HOUR)) {
      if (mended + failed >= MAX_MENDED) return { mended, failed };
      try {
        const metadata = metadataOf(object);
        if (!(await missing.has(metadata.domain, object.key))) continue;
        await mend(env, ctx, object, metadata);
        mended++;
      } catch (error) {
        console.error("an archive copy could not be mended", object.key, String(error));
        failed++;
      }
    }
  }
  return { mended, failed };
}

/** The objects of one hour that no shard has a row of. @param at any time of that hour */
async function withoutRow(env: Env, at: number): Promise<R2Object[]> {
  const prefix = hourPrefix(at);
  const indexed = new Set<string>();
  for (const { db } of shards(env)) {
    // Rows of the hour lie behind the first of it, whenever they were written.
    const first = await firstSince(db, Math.floor(at / HOUR) * HOUR);
    for (const key of await keysFrom(db, first, prefix)) indexed.add(key);
  }
  const found: R2Object[] = [];
  let cursor: string | undefined;
  do {
    const options: R2ListOptions = { prefix, include: ["customMetadata"], ...(cursor === undefined ? {} : { cursor }) };
    const page = await within(env.MAIL.list(options), STORE_TIMEOUT, "R2 list");
    found.push(...page.objects.filter(({ key }) => !indexed.has(key)));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined && found.length < MAX_MENDED);
  return found;
}

/** What the domains' logs say is missing; each is read once. */
class MissingCopies {
  readonly #env: Env;
  readonly #since: number;
  readonly #keys = new Map<string, Set<unknown>>();

  constructor(env: Env, since: number) {
    this.#env = env;
    this.#since = since;
  }

  async has(domain: string, key: string): Promise<boolean> {
    const known = this.#keys.get(domain);
    if (known) return known.has(key);
    const keys = new Set<unknown>();
    const object = this.#env.DOMAIN.getByName(domain) as unknown as DomainRpc;
    let before: number | null = null;
    for (let read = 0; read < MAX_EVENTS; read += EVENT_PAGE) {
      const page: LoggedEvent[] = await within(
        object.events(before, EVENT_PAGE),
        PLAN_TIMEOUT,
        "log of the domain's object",
      );
      for (const { kind, data } of page) if (kind === "archive_copy_missing") keys.add(data.key);
      const last = page.at(-1);
      if (!last || last.at < this.#since) break;
      before = last.seq;
    }
    this.#keys.set(domain, keys);
    return keys.has(key);
  }
}

/** Rows for the covered recipients as they are now; never in an inbox: the origin has the message. */
async function mend(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  { key, size }: R2Object,
  metadata: RawMetadata,
): Promise<void> {
  const { receipt, direction, from, recipients, body, smtputf8 } = metadata;
  const raw = await getRaw(env.MAIL, key);
  if (!raw) throw new Error("its octets are not in the store");
  const extracted = await within(extract(raw.body, size), STORE_TIMEOUT, "reading a message");
  const byShard = new Map<number, IndexEntry[]>();
  for (const to of recipients) {
    const address = parseAddress(to);
    const plan = address.ok ? await planFor(env, ctx, address.value.address) : "bad address";
    if (typeof plan === "string") throw new Error(`there is no plan for a recipient: ${plan}`);
    if (plan.recipient.status !== "covered") continue;
    for (const { account, shard } of plan.recipient.holders) {
      // A name of its own for each recipient: to mend twice makes no second row.
      const once = `mended ${receipt.id} ${to}`;
      const mid = extracted.messageId ?? receipt.id;
      const facts = { account, domain: plan.domain.id, direction, key, size, at: receipt.at, mid, once };
      const entry = { ...facts, extracted, receipt, envelope: { from, to, body, smtputf8 } };
      byShard.set(shard, [...(byShard.get(shard) ?? []), entry]);
    }
  }
  for (const [shard, entries] of byShard) await indexMessage(shardDb(env, shard), entries, { portal: false });
  const event = { kind: "archive_copy_mended", actor: "system", data: { id: receipt.id, key, to: recipients } };
  const object = env.DOMAIN.getByName(metadata.domain) as unknown as DomainRpc;
  await within(object.report([{ kind: "event", event }]), PLAN_TIMEOUT, "report to the domain's object");
}
