/** Which copies have a row already: found without reading their octets, where that is cheap. */
import type { Env } from "../../env.ts";
import { firstSince, keptRows } from "../../store/expiry.ts";
import { rowsNear } from "../../store/messages.ts";
import { shards } from "../../store/shard.ts";
import { KEPT, objectName } from "../raw.ts";
import type { Copy } from "./contract.ts";
import type { Expected } from "./copies.ts";

/** Rows are numbered in the order in which they were written, which is this much out of the order of arrival. */
const DISORDER = 10 * 60_000;

/** What it does not find may be there all the same: then the row is met when the copy is written. */
export async function presentCopies(env: Env, expected: readonly Expected[]): Promise<Set<Copy>> {
  const present = new Set<Copy>();
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
    const rows = new Set([
      ...(await rowsNear(db, range, names)).map(({ account, name }) => `${account} ${name}`),
      ...(await keptRows(db, kept)).map(({ account, key }) => `${account} ${objectName(key)}`),
    ]);
    for (const copy of theirs) if (rows.has(`${copy.account} ${objectName(copy.key)}`)) present.add(copy);
  }
  return present;
}
