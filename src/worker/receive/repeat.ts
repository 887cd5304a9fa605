/** Whether this very message has been accepted before (design, rule 5): the sender did not hear our answer and comes again. */
import { INDEX_TIMEOUT } from "../../core/limits.ts";
import { messageIdOf } from "../../core/mime/header.ts";
import { onceKey } from "../../core/once.ts";
import type { Holder } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { findRepeat } from "../store/messages.ts";
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

/** All of it is there already. Where the index does not answer, it is not: better twice than not at all (rule 2). */
export async function isRepeat(env: Env, { mid, copies }: Identity, now: number): Promise<boolean> {
  if (mid === null || copies.length === 0) return false;
  try {
    const found = copies.map(async ({ holder, once }) =>
      findRepeat(shardDb(env, holder.shard), holder.account, mid, once, now),
    );
    return (await within(Promise.all(found), INDEX_TIMEOUT, "D1 look-up of a repeat")).every(Boolean);
  } catch (error) {
    console.error("the index could not say whether a message is a repeat", String(error));
    return false;
  }
}
