/** A mailbox of its own for each test, with mail in it. */
import { env } from "cloudflare:test";
import type { Env } from "../../../src/worker/env.ts";
import type { Mailbox } from "../../../src/worker/mailbox/contract.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { arrive, entryOf, folderOf, NOON } from "../store/stored.ts";

let last = 7_000;

export interface TestMailbox extends Mailbox {
  readonly inbox: number;
  readonly trash: number;
  readonly junk: number;
  readonly archive: number;
}

/** @param over bindings in the stead of the real ones */
export async function newMailbox(over: Partial<Env> = {}): Promise<TestMailbox> {
  last += 1;
  const account = last;
  await createAccount(env.SHARD_0, account, 1, NOON);
  const merged = { ...(env as Env), ...over };
  return {
    env: merged,
    account,
    db: merged.SHARD_0,
    name: `user${account}@example.org`,
    domain: "example.org",
    inbox: await folderOf(account, "inbox"),
    trash: await folderOf(account, "trash"),
    junk: await folderOf(account, "junk"),
    archive: await folderOf(account, "archive"),
  };
}

/** Mail that came and waits for the origin. @returns the placements, oldest first */
export async function receive({ account }: Mailbox, count: number): Promise<number[]> {
  return arrive(...Array.from({ length: count }, () => entryOf(account, { size: 100 })));
}
