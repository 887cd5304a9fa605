/**
 * A shard that was lost has no accounts and folders either: they are made for every mailbox of the directory. In one that was set
 * back, the marks of moves are those of that time.
 */
import { REINDEX_ACCOUNTS } from "../../../core/limits.ts";
import type { Env } from "../../env.ts";
import { mendMarks } from "../../move/marks.ts";
import { telling } from "../../push/tell.ts";
import { createAccounts, leapAccounts } from "../../store/accounts.ts";
import { directory } from "../../store/directory.ts";
import { findDomain, listDomains } from "../../store/domains.ts";
import { listMailboxes } from "../../store/mailboxes.ts";
import { shardDb, shardsInUse } from "../../store/shard.ts";

export interface MailboxesAfter {
  readonly domain: string;
  /** The last mailbox of it; empty: all of it is done. */
  readonly address: string;
}

const SHARD_OF_PANEL = 0;
/** Domains of one step: each costs a few statements, however few mailboxes it has. */
const DOMAINS = 50;

/**
 * @param after null begins
 * @param write false: they are only counted
 * @returns the next step's `after`, null at the end
 */
export async function makeAccounts(
  env: Env,
  after: MailboxesAfter | null,
  shard: number | null,
  write: boolean,
  now: number,
): Promise<{ readonly after: MailboxesAfter | null; readonly mailboxes: number }> {
  const db = directory(env);
  let mailboxes = 0;
  let at: MailboxesAfter | null = after;
  for (let domains = 0; domains < DOMAINS; domains++) {
    const begun = at !== null && at.address !== "" ? await findDomain(db, at.domain, { kind: "all" }) : null;
    const domain = begun ?? (await listDomains(db, { kind: "all" }, at?.domain ?? "", 1))[0];
    if (!domain) return { after: null, mailboxes };
    const boxes = await listMailboxes(db, domain.id, begun && at ? at.address : "", REINDEX_ACCOUNTS);
    const accounts = Map.groupBy(boxes, (box) => box.shard);
    const looked = (await shardsInUse(env)).filter(({ number }) => shard === null || number === shard);
    const ids = boxes.map(({ id }) => id);
    if (write) await mendMarks(env, ids, looked);
    const panel = shard === null || shard === SHARD_OF_PANEL;
    if (write && panel) await createAccounts(shardDb(env, SHARD_OF_PANEL), [-domain.id], domain.id, now);
    for (const [number, theirs] of accounts) {
      if (shard !== null && number !== shard) continue;
      mailboxes += theirs.length;
      const live = theirs.map(({ id }) => id);
      if (!write) continue;
      await createAccounts(shardDb(env, number), live, domain.id, now);
      await telling(env, domain.name, live, () => leapAccounts(shardDb(env, number), live));
    }
    const last = boxes.at(-1);
    const more = boxes.length === REINDEX_ACCOUNTS && last !== undefined;
    at = { domain: domain.name, address: more ? last.address : "" };
    if (more) return { after: at, mailboxes };
  }
  return { after: at, mailboxes };
}
