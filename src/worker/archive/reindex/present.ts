/** Which copies have a row already: found without reading their octets, where that is cheap. */
import type { Verdict } from "../../../core/verdict.ts";
import type { Env } from "../../env.ts";
import { tellChanged } from "../../push/tell.ts";
import { keepInPortal, markRefused, removeDelivered, waitingPlacements } from "../../store/backlog.ts";
import { firstSince, keptRows } from "../../store/expiry.ts";
import { rowsNear } from "../../store/messages.ts";
import { shardDb, shards } from "../../store/shard.ts";
import { KEPT, objectName } from "../raw.ts";
import type { Copy } from "./contract.ts";
import type { Expected } from "./copies.ts";

/** Rows are numbered in the order in which they were written, which is this much out of the order of arrival. */
const DISORDER = 10 * 60_000;

/**
 * What it does not find may be there all the same: then the row is met when the copy is written.
 * @returns the numbers of the rows
 */
export async function presentCopies(env: Env, expected: readonly Expected[]): Promise<Map<Copy, number>> {
  const present = new Map<Copy, number>();
  const copies = expected.flatMap((one) => one.copies);
  const byShard = Map.groupBy(copies, (copy) => copy.shard);
  for (const { number, db } of shards(env)) {
    const theirs = byShard.get(number) ?? [];
    if (theirs.length === 0) continue;
    const times = theirs.map((copy) => copy.receipt.at);
    const range = {
      from: await firstSince(db, Math.min(...times) - DISORDER),
      to: await firstSince(db, Math.max(...times) + DISORDER),
    };
    const names = [...new Set(theirs.map((copy) => objectName(copy.key)))];
    const kept = [...new Set(theirs.map(({ key }) => key).filter((key) => key.startsWith(KEPT)))];
    const rows = new Map([
      ...(await rowsNear(db, range, names)).map(({ id, account, name }) => [`${account} ${name}`, id] as const),
      ...(await keptRows(db, kept)).map(({ id, account, key }) => [`${account} ${objectName(key)}`, id] as const),
    ]);
    for (const copy of theirs) {
      const id = rows.get(`${copy.account} ${objectName(copy.key)}`);
      if (id !== undefined) present.set(copy, id);
    }
  }
  return present;
}

/**
 * Rows that say that a message waits which is known to be settled: an index that was set back to an earlier time has them.
 * @param present the copies and the numbers of their rows
 * @returns how many were set right
 */
export async function settlePresent(env: Env, present: ReadonlyMap<Copy, number>): Promise<number> {
  const settled = [...present].filter(([copy]) => {
    const { place, by } = copy.verdict(true);
    return by === "known" && place !== "waiting" && copy.metadata.direction === "in";
  });
  const changed: Copy[] = [];
  for (const [shard, theirs] of Map.groupBy(settled, ([copy]) => copy.shard)) {
    const db = shardDb(env, shard);
    const copies = new Map(theirs.map(([copy, id]) => [id, copy]));
    for (const { id, message } of await waitingPlacements(db, [...copies.keys()])) {
      const copy = copies.get(message);
      if (!copy) continue;
      await settleAs(db, copy.verdict(true).place, [id], copy.reply);
      changed.push(copy);
    }
  }
  tellOfCopies(env, changed);
  return changed.length;
}

/** Whoever watches the mailboxes of these copies. */
export function tellOfCopies(env: Env, copies: readonly Copy[]): void {
  for (const [domain, theirs] of Map.groupBy(copies, ({ metadata }) => metadata.domain)) {
    const accounts = new Set(theirs.map(({ account }) => account));
    tellChanged(
      env,
      domain,
      [...accounts].map((account) => ({ account })),
    );
  }
}

/** What waits, waits no more. @param reply JSON of the origin's reply */
export async function settleAs(
  db: D1Database,
  place: Verdict["place"],
  placements: readonly number[],
  reply: string | null,
): Promise<void> {
  if (place === "archive" || place === "nowhere") await removeDelivered(db, placements);
  else if (place === "refused") await markRefused(db, placements, reply ?? "null");
  else if (place === "inbox") await keepInPortal(db, placements);
}
