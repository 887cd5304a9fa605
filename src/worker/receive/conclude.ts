/** The final dot: what the table's row says becomes true, and only then the sender hears it. */
import { rowFor } from "../../core/decision.ts";
import { INDEX_TIMEOUT, STORE_TIMEOUT } from "../../core/limits.ts";
import type { Outcome, Reply } from "../../core/outcome.ts";
import { WATCH_SETTLE } from "../../core/protocol/push/limits.ts";
import { extract } from "../archive/extract.ts";
import type { IndexEntry, Indexed } from "../archive/index.ts";
import { type Entered, indexOn } from "../archive/index-on.ts";
import type { Extracted } from "../archive/meta.ts";
import { copyRaw, getRaw } from "../archive/raw.ts";
import type { AccountChange } from "../domain/contract.ts";
import { flightKey } from "../failback/ports.ts";
import { wakeOutbound } from "../send/ask.ts";
import { within } from "../store/deadline.ts";
import type { Content } from "./content.ts";
import type { Planned } from "./pipeline.ts";
import { type Copy, identify } from "./repeat.ts";
import * as replies from "./replies.ts";
import { discard } from "./store-leg.ts";

/**
 * @param outcome what the origin said; null in emergency mode
 * @param unstored why the octets are not in R2; null when they are, or need not be
 */
export async function conclude(
  planned: Planned,
  content: Content,
  outcome: Outcome | null,
  unstored: unknown,
): Promise<Reply> {
  const { env, reports, accepted, key, receipt } = planned;
  const [first] = accepted;
  if (!first) return replies.noRecipients;
  const row = rowFor(planned.row.mode, first.status, outcome?.kind ?? "not_asked");
  if (outcome) for (const { plan, to } of accepted) reports.outcome(plan, to, outcome, receipt.at);

  if (row.goesTo === "nowhere") {
    // Octets that stay must not be taken for those of an accepted message.
    if (planned.row.archive && (unstored !== null || !(await discard(env.MAIL, key)))) {
      reports.fate(first.plan, "rejected", flightsOf(planned));
    }
    if (outcome?.kind === "refused") return outcome.reply;
    return outcome?.kind === "unavailable" ? replies.temporary(outcome) : replies.notCovered;
  }
  if (row.goesTo === "portal") return toPortal(planned, content, unstored, outcome);

  for (const { plan, to } of accepted) if (outcome) reports.delivered(plan, to, outcome);
  // What waits from an earlier try has been delivered with this one, and so has what this one may have left in a shard.
  if (planned.earlier)
    reports.fate(first.plan, "delivered", [...new Set([...flightsOf(planned), ...earlierOf(planned)])]);
  if (row.archive) await archiveCopy(planned, content, unstored);
  return replies.accepted(receipt.id);
}

/**
 * Store before you accept (rule 1): without octets in R2 and rows in D1 the sender keeps the message.
 * @param outcome null: nothing is to be told of it
 */
export async function toPortal(
  planned: Planned,
  content: Content,
  unstored: unknown,
  outcome: Outcome | null,
): Promise<Reply> {
  const { env, reports, accepted, key, receipt } = planned;
  const [first] = accepted;
  try {
    await keepInPortal(planned, content, unstored);
  } catch (error) {
    console.error("a message could not be stored, its sender keeps it", receipt.id, String(error));
    // Not deleted: what did not answer in time may have been written all the same.
    if (first) reports.fate(first.plan, "turned_away", flightsOf(planned));
    return replies.notStored;
  }
  // Its octets say where it was to go; where it went elsewhere, the object knows, or else they are told.
  const elsewhere = planned.row.goesTo === "portal" ? [] : flightsOf(planned);
  if (first && outcome) reports.waiting(first.plan, elsewhere, () => sayPortal(env.MAIL, key));
  return replies.accepted(receipt.id);
}

/**
 * Some mailboxes have the message from an earlier try, whose shard of the others failed. These get theirs now, and the origin gets
 * it once: by redelivery, which knows what the earlier try has come to.
 * @returns null where that cannot be: then the origin is handed the whole, better twice than not at all (rule 2)
 */
export async function completeEarlier(planned: Planned, content: Content, unstored: unknown): Promise<Reply | null> {
  const { env, reports, accepted, key, earlier } = planned;
  try {
    await keepInPortal(planned, content, unstored);
  } catch (error) {
    console.error("an earlier try could not be completed, the origin is asked", planned.receipt.id, String(error));
    return null;
  }
  const [first] = accepted;
  if (!first) return replies.noRecipients;
  // Should these octets stay: nobody may take them for some that the origin took now.
  const { had = [], waits = [] } = Object.groupBy(accepted, ({ to }) =>
    earlier?.get(to)?.placed === false ? "had" : "waits",
  );
  if (had.length > 0)
    reports.fate(
      first.plan,
      "accepted",
      had.map(({ to }) => flightKey(key, to)),
    );
  reports.waiting(
    first.plan,
    waits.map(({ to }) => flightKey(key, to)),
    () => sayPortal(env.MAIL, key),
  );
  return replies.alreadyAccepted;
}

/** @throws where the octets or the rows are not kept; some may be all the same */
async function keepInPortal(planned: Planned, content: Content, unstored: unknown): Promise<void> {
  const { accepted, earlier } = planned;
  if (unstored !== null && !accepted.every(({ to }) => earlier?.has(to))) throw unstored;
  let entries: readonly Indexed[];
  try {
    entries = await index(planned, content, { portal: "waiting" });
  } catch (error) {
    // Some shard may have taken its rows.
    const holders = accepted.flatMap(({ plan }) => plan.recipient.holders);
    tellWatchers(
      planned,
      holders.map(({ account }) => ({ account, pending: true })),
    );
    throw error;
  }
  // A repeat too: the first try may have died before it told.
  tellWatchers(
    planned,
    entries.map(({ account, seq }) => (seq === undefined ? { account } : { account, seq })),
  );
  // Where the object does not hear it, the cron wakes it.
  const [first] = accepted;
  if (first && entries.some(({ followUp }) => followUp)) {
    planned.background(wakeOutbound(planned.env, first.plan.domain));
  }
  await discardSpare(planned, entries);
}

/** Every mailbox has it from an earlier try, which may have died before it told those who watch. */
export function repeated(planned: Planned): Reply {
  const holders = planned.accepted.flatMap(({ plan }) => plan.recipient.holders);
  tellWatchers(
    planned,
    holders.map(({ account }) => ({ account })),
  );
  return replies.alreadyAccepted;
}

/** A repeat that the index knows: it has its own octets, these are spare. Not where they are what a row points to. */
async function discardSpare({ env, key }: Planned, entries: readonly Indexed[]): Promise<void> {
  if (entries.every((entry) => entry.key !== key)) await discard(env.MAIL, key);
}

/**
 * Only where the domain's object says that somebody watches, or said so too long ago: whoever began to watch meanwhile looks once
 * more when WATCH_SETTLE is over.
 */
function tellWatchers(planned: Planned, changes: readonly AccountChange[]): void {
  const [first] = planned.accepted;
  if (first && isWatched(planned)) planned.reports.changed(first.plan, changes);
}

const isWatched = ({ accepted, begun }: Planned): boolean =>
  accepted.some(({ plan }) => plan.watched) || Date.now() - begun > WATCH_SETTLE - INDEX_TIMEOUT;

const flightsOf = ({ accepted, key }: Planned): string[] => accepted.map(({ to }) => flightKey(key, to));
const earlierOf = ({ earlier }: Planned): string[] => [...(earlier ?? [])].map(([to, { key }]) => flightKey(key, to));

/** Never rejects: D1 has the message as waiting; this is for the day on which D1 has it no more. */
async function sayPortal(bucket: R2Bucket, key: string): Promise<void> {
  try {
    await within(
      copyRaw(bucket, key, key, () => ({ goesTo: "portal" })),
      3 * STORE_TIMEOUT,
      "R2 copy",
    );
  } catch (error) {
    console.error("nothing but the index knows that a message waits", key, String(error));
  }
}

/** Never less available than the origin (rule 2): it has the message, so it is accepted; a missing copy becomes an event. */
async function archiveCopy(planned: Planned, content: Content, unstored: unknown): Promise<void> {
  const { reports, accepted, receipt, key } = planned;
  const [first] = accepted;
  if (!first) return;
  const missing = (what: "octets" | "row", error: unknown) => {
    console.error(`an archive copy lacks its ${what}`, receipt.id, String(error));
    const data = { missing: what, id: receipt.id, key, to: accepted.map(({ to }) => to), error: String(error) };
    reports.event(first.plan, { kind: "archive_copy_missing", actor: "system", data });
    reports.fate(first.plan, "accepted", flightsOf(planned));
  };
  if (unstored !== null) return missing("octets", unstored);
  try {
    const entries = await index(planned, content, { portal: false });
    if (isWatched(planned)) {
      reports.archived(
        first.plan,
        entries.filter(({ isNew }) => isNew).map(({ account }) => account),
      );
    }
    await discardSpare(planned, entries);
    // An earlier try that nobody could recognise, and that may still wait: the origin has it now.
    const before = entries
      .filter((entry) => !entry.isNew && entry.key !== key)
      .map((one) => flightKey(one.key, one.to));
    if (before.length > 0) reports.fate(first.plan, "delivered", [...new Set(before)]);
  } catch (error) {
    missing("row", error);
  }
}

type Portal = false | "waiting";

async function index(planned: Planned, content: Content, { portal }: { portal: Portal }): Promise<Entered[]> {
  const { env, mail, accepted, earlier } = planned;
  const extracted = await extractFrom(planned, content);
  const { mid, copies } = await identify(content, mail.from, accepted);
  // What the origin had at once with an earlier try waits for nobody.
  const waits = ({ recipient: { to } }: Copy) => portal !== false && earlier?.get(to)?.placed !== false;
  const batches = [true, false].flatMap((waiting) =>
    [
      ...Map.groupBy(
        copies.filter((copy) => waits(copy) === waiting),
        (copy) => copy.holder.shard,
      ),
    ].map(([shard, theirs]) => {
      const entries = theirs.map((copy) => entryFor(planned, content, copy, mid, extracted));
      return indexOn(env, shard, entries, waiting ? "waiting" : false);
    }),
  );
  return (await Promise.all(batches)).flat();
}

function entryFor(
  planned: Planned,
  content: Content,
  copy: Copy,
  mid: string | null,
  extracted: Extracted,
): IndexEntry {
  const { mail, earlier } = planned;
  // With the octets and the facts of the earlier try, where there was one, it is the same message to redelivery.
  const { key, size, at, receipt } = earlier?.get(copy.recipient.to) ?? {
    key: planned.key,
    size: content.size,
    at: planned.receipt.at,
    receipt: planned.receipt,
  };
  return {
    account: copy.holder.account,
    domain: copy.recipient.plan.domain.id,
    direction: "in",
    key,
    size,
    at,
    // Without a Message-ID it is never taken for a repeat: an identifier of its own (rule 5).
    mid: mid ?? receipt.id,
    once: copy.once,
    extracted,
    receipt,
    envelope: { from: mail.from, to: copy.recipient.to, body: mail.body, smtputf8: mail.smtputf8 },
    // In normal mode the origin answers by itself; and nothing is ever sent because of a report.
    arrives: planned.row.mode === "emergency" && mail.from !== "",
  };
}

async function extractFrom({ env, key }: Planned, content: Content): Promise<Extracted> {
  if (content.whole) return extract(content.whole, content.size);
  const raw = await within(getRaw(env.MAIL, key), STORE_TIMEOUT, "R2 get");
  if (!raw) throw new Error("the octets are not in R2 although they were stored");
  return within(extract(raw.body, content.size), STORE_TIMEOUT, "reading a large message");
}
