/** Whose a journalled message is: outgoing for those who sent it, incoming for colleagues who have it. */
import { parseAddress } from "../../core/address.ts";
import { JOURNAL_PLANS } from "../../core/limits.ts";
import { planFor } from "../decide/plan.ts";
import type { Env } from "../env.ts";
import type { Journalled } from "./read.ts";

export interface Share {
  readonly account: number;
  readonly shard: number;
  /** The domain's number. */
  readonly domain: number;
  /** As it was written. */
  readonly address: string;
}

/** `out` empty: it came from outside, so it was archived on its way in, or is nobody's here. */
export interface Shares {
  readonly out: readonly Share[];
  readonly in: readonly Share[];
}

/**
 * @param domains whose mail the journal address keeps, in normal form
 * @returns null where nobody can say now
 */
export async function sharesOf(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  { authors, recipients }: Pick<Journalled, "authors" | "recipients">,
  domains: readonly string[],
): Promise<Shares | null> {
  if (!authors.some((author) => isAmong(author, domains))) return { out: [], in: [] };
  const sent = await holdersOf(env, ctx, authors, domains);
  const had = await holdersOf(env, ctx, recipients, domains);
  return sent && had && { out: sent, in: had };
}

async function holdersOf(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  addresses: readonly string[],
  domains: readonly string[],
): Promise<Share[] | null> {
  const shares = new Map<number, Share>();
  const theirs = addresses.filter((address) => isAmong(address, domains));
  for (let at = 0; at < theirs.length; at += JOURNAL_PLANS) {
    const some = theirs.slice(at, at + JOURNAL_PLANS);
    const plans = await Promise.all(some.map((address) => planFor(env, ctx, normal(address))));
    for (const [index, plan] of plans.entries()) {
      if (plan === "unavailable") return null;
      if (plan === "unknown_domain" || plan.recipient.status !== "covered") continue;
      const domain = plan.domain.id;
      for (const { account, shard } of plan.recipient.holders) {
        // postmaster@ without a mailbox, in an outage: the panel's own is no mailbox of anybody's mail.
        if (account > 0 && !shares.has(account))
          shares.set(account, { account, shard, domain, address: some[index] ?? "" });
      }
    }
  }
  return [...shares.values()];
}

function isAmong(address: string, domains: readonly string[]): boolean {
  const parsed = parseAddress(address);
  return parsed.ok && domains.includes(parsed.value.domain);
}

function normal(address: string): string {
  const parsed = parseAddress(address);
  return parsed.ok ? parsed.value.address : address;
}
