/**
 * Copies into the index of one shard. A message may have been stored twice, because its sender heard 4xx and came again: it
 * has one row, which says what is known best. What somebody noted goes before what is likely.
 */
import { INDEX_TIMEOUT, MAX_INDEX_TEXT, PLAN_TIMEOUT, REPEAT_WINDOW } from "../../../core/limits.ts";
import { guessName, sentName } from "../../../core/once.ts";
import type { Verdict } from "../../../core/verdict.ts";
import type { DomainRpc } from "../../domain/contract.ts";
import type { Env } from "../../env.ts";
import { copyKey } from "../../failback/fates.ts";
import { flightKey } from "../../failback/ports.ts";
import { waitingPlacements } from "../../store/backlog.ts";
import { within } from "../../store/deadline.ts";
import { rekey } from "../../store/expiry.ts";
import { findSame, renameMessage, type SameMessage } from "../../store/messages.ts";
import { type IndexEntry, indexMessage } from "../index.ts";
import { objectName } from "../raw.ts";
import type { Copy } from "./contract.ts";
import { settleAs } from "./present.ts";

export interface ReadCopy {
  readonly copy: Copy;
  readonly verdict: Verdict;
  readonly entry: IndexEntry;
}

/** `amended`: the row was there by other octets of the message, and says now what is known of these. */
export type Written = "indexed" | "present" | "repeat" | "amended" | "failed";

/**
 * @param failed takes the error of each copy that alone was not taken
 * @throws where the index takes nothing at all
 */
export async function writeCopies(
  env: Env,
  db: D1Database,
  copies: readonly ReadCopy[],
  failed: (copy: Copy, error: unknown) => void,
): Promise<Map<ReadCopy, Written>> {
  const written = new Map<ReadCopy, Written>();
  let left = copies;
  while (left.length > 0) {
    // Two of the same message: the second meets the first's row.
    const [now, later] = firstOfEach(left);
    await writeDistinct(env, db, now, written, failed);
    left = later;
  }
  return written;
}

function firstOfEach(copies: readonly ReadCopy[]): [ReadCopy[], ReadCopy[]] {
  const seen = new Set<string>();
  const [first, later]: [ReadCopy[], ReadCopy[]] = [[], []];
  for (const one of copies) {
    const { account, mid, once } = one.entry;
    const name = JSON.stringify([account, mid, once]);
    (seen.has(name) ? later : first).push(one);
    seen.add(name);
  }
  return [first, later];
}

async function writeDistinct(
  env: Env,
  db: D1Database,
  copies: readonly ReadCopy[],
  written: Map<ReadCopy, Written>,
  failed: (copy: Copy, error: unknown) => void,
): Promise<void> {
  const questions = copies.map(({ entry: { account, mid, once, key } }) => ({
    account,
    mid,
    names: [once, guessName(once), sentName(once)],
    object: objectName(key),
  }));
  const rows = Map.groupBy(await findSame(db, questions), ({ question }) => question);
  const inserts: ReadCopy[] = [];
  for (const [index, one] of copies.entries()) {
    const same = rows.get(index) ?? [];
    const { entry } = one;
    const sent = entry.direction === "out";
    const real = sent ? undefined : same.find(({ once }) => once === entry.once);
    const other = sent ? sentName(entry.once) : isGuess(one.verdict) ? guessName(entry.once) : null;
    if (same.some(({ key }) => objectName(key) === objectName(entry.key))) written.set(one, "present");
    else if (real && Math.abs(real.at - entry.at) <= REPEAT_WINDOW) written.set(one, await amend(env, db, one, real));
    else if (same.some(({ once }) => once === other)) written.set(one, "repeat");
    else inserts.push({ ...one, entry: { ...entry, once: nameFor(one, real) } });
  }
  const byEntry = await insert(db, inserts, failed);
  for (const one of copies) {
    const outcome = byEntry.get(one.copy);
    if (outcome) written.set(one, outcome);
  }
}

const isGuess = ({ place, by }: Verdict): boolean => by === "guess" && place === "archive";

/** After five days it is another message, as at arrival: the older one gives the name up, or had given it up long ago. */
function nameFor(
  { verdict, entry: { once, at, receipt, direction } }: ReadCopy,
  real: SameMessage | undefined,
): string {
  if (direction === "out") return sentName(once);
  if (isGuess(verdict)) return guessName(once);
  return real && real.at > at ? `${once}#${receipt.id}` : once;
}

/** The index has the message by other octets of it. Of these, more may be known than of those. */
async function amend(env: Env, db: D1Database, one: ReadCopy, row: SameMessage): Promise<Written> {
  const { copy, verdict, entry } = one;
  const flight = flightKey(row.key, copy.to);
  const rpc = env.DOMAIN.getByName(copy.metadata.domain) as unknown as DomainRpc;
  const fates = await within(rpc.fates([flight]), PLAN_TIMEOUT, "the domain's object");
  const theirs = (fates[copyKey(flight, copy.account)] ?? fates[flight])?.state ?? null;
  // Its sender heard 451 to those and came again with these, which the origin took.
  const superseded = isGuess(verdict) && theirs === "turned_away";
  const better = verdict.by === "known" && (theirs === null || theirs === "turned_away");
  if (!superseded && !better) return "repeat";
  const waiting = (await waitingPlacements(db, [row.id])).map(({ id }) => id);
  await settleAs(db, verdict.place, waiting, copy.reply);
  if (superseded) await renameMessage(db, row.id, entry.once, guessName(entry.once));
  await rekey(db, [row.id], row.key, entry.key);
  return "amended";
}

type Portal = Parameters<typeof indexMessage>[2]["portal"];

function portalOf({ copy, verdict }: ReadCopy): Portal {
  if (copy.metadata.direction === "out") return copy.key.startsWith("mail/") ? "sent" : false;
  if (verdict.place === "archive" || verdict.place === "nowhere") return false;
  return verdict.place === "inbox" ? "again" : "waiting";
}

async function insert(
  db: D1Database,
  copies: readonly ReadCopy[],
  failed: (copy: Copy, error: unknown) => void,
): Promise<Map<Copy, Written>> {
  const outcomes = new Map<Copy, Written>();
  const take = async (group: readonly ReadCopy[], portal: Portal): Promise<void> => {
    const batch = indexMessage(
      db,
      group.map(({ entry }) => entry),
      { portal },
    );
    const indexed = await within(batch, INDEX_TIMEOUT, "D1 batch of a reindex");
    // Mail that came just now may have been faster.
    for (const [index, { copy }] of group.entries())
      outcomes.set(copy, indexed[index]?.isNew === true ? "indexed" : "present");
  };
  for (const [portal, alike] of Map.groupBy(copies, portalOf)) {
    for (const group of byText(alike)) {
      try {
        await take(group, portal);
      } catch (error) {
        if (group.length === 1) await notTaken(db, group, error, outcomes, failed);
        else await oneByOne(db, group, (one) => take([one], portal), outcomes, failed);
      }
    }
  }
  return outcomes;
}

async function oneByOne(
  db: D1Database,
  group: readonly ReadCopy[],
  take: (one: ReadCopy) => Promise<void>,
  outcomes: Map<Copy, Written>,
  failed: (copy: Copy, error: unknown) => void,
): Promise<void> {
  for (const one of group) {
    try {
      await take(one);
    } catch (error) {
      await notTaken(db, [one], error, outcomes, failed);
    }
  }
}

/** One message that the index does not take must not end the run; an index that does not answer must. */
async function notTaken(
  db: D1Database,
  group: readonly ReadCopy[],
  error: unknown,
  outcomes: Map<Copy, Written>,
  failed: (copy: Copy, error: unknown) => void,
): Promise<void> {
  await within(db.prepare("SELECT count(*) FROM folder WHERE id = 0").first(), INDEX_TIMEOUT, "D1");
  for (const { copy } of group) {
    outcomes.set(copy, "failed");
    failed(copy, error);
  }
}

/** So many together that each is indexed as far as if it were alone. */
function byText(copies: readonly ReadCopy[]): ReadCopy[][] {
  const groups: ReadCopy[][] = [];
  let longest = 0;
  for (const one of copies) {
    const group = groups.at(-1);
    longest = Math.max(group ? longest : 0, one.entry.extracted.text.length, 1);
    if (group && (group.length + 1) * longest <= MAX_INDEX_TEXT) group.push(one);
    else {
      groups.push([one]);
      longest = Math.max(one.entry.extracted.text.length, 1);
    }
  }
  return groups;
}
