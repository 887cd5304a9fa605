/** Whether this very message has been accepted before (design, rule 5): the sender did not hear our answer and comes again. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { messageIdOf } from "../../core/mime/header.ts";
import { onceKey } from "../../core/once.ts";
import type { Holder } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { findRepeat, type Repeated, wasPlaced } from "../store/messages.ts";
import { shardDb } from "../store/shard.ts";
import type { Content } from "./content.ts";
import type { Accepted } from "./recipients.ts";

/** A recipient's copy for one of the mailboxes that its address belongs to. */
export interface Copy {
  readonly recipient: Accepted;
  readonly holder: Holder;
  readonly once: string;
}

export interface Identity {
  /** Null where the message has no Message-ID: then it is never taken for a repeat. */
  readonly mid: string | null;
  readonly copies: readonly Copy[];
}

export async function identify(content: Content, from: string, accepted: readonly Accepted[]): Promise<Identity> {
  const digest = content.digest();
  const copies: Copy[] = [];
  for (const recipient of accepted) {
    const once = await onceKey({ from, to: recipient.to }, digest);
    for (const holder of recipient.plan.recipient.holders) copies.push({ recipient, holder, once });
  }
  return { mid: messageIdOf(content.header), copies };
}

/**
 * What there is of a message from an earlier try of its sender. `kept`: all of it. `part`: some of its mailboxes have it; the shard
 * of another one failed then, so that the sender heard 4xx. `earlier`: of each such envelope recipient, one of the rows.
 */
export type Repeat =
  | { readonly kind: "none" | "kept" }
  | { readonly kind: "part"; readonly earlier: ReadonlyMap<string, Earlier> };

export interface Earlier extends Repeated {
  /** It went to the portal; else the origin had it at once. */
  readonly placed: boolean;
}

/** Where a shard does not answer, what it has is not there: better twice than not at all (rule 2). */
export async function findRepeats(env: Env, { mid, copies }: Identity, now: number): Promise<Repeat> {
  if (mid === null || copies.length === 0) return { kind: "none" };
  const rows = await Promise.all(copies.map(({ holder, once }) => rowOf(env, holder, mid, once, now)));
  if (rows.every((row) => row !== null)) return { kind: "kept" };
  const earlier = new Map<string, Earlier>();
  for (const [index, { recipient, holder }] of copies.entries()) {
    const row = rows[index];
    const known = row ? await earlierOf(env, holder, row) : null;
    if (known) earlier.set(recipient.to, known);
  }
  return earlier.size > 0 ? { kind: "part", earlier } : { kind: "none" };
}

async function earlierOf(env: Env, { shard }: Holder, row: Repeated): Promise<Earlier | null> {
  try {
    return { ...row, placed: await wasPlaced(shardDb(env, shard), row.id) };
  } catch (error) {
    console.error("the index could not say where an earlier try went to", shard, String(error));
    return null;
  }
}

async function rowOf(
  env: Env,
  { account, shard }: Holder,
  mid: string,
  once: string,
  now: number,
): Promise<Repeated | null> {
  try {
    const row = findRepeat(shardDb(env, shard), account, mid, once, now);
    return await within(row, INDEX_TIMEOUT, "D1 look-up of a repeat");
  } catch (error) {
    console.error("the index could not say whether a message is a repeat", shard, String(error));
    return null;
  }
}
