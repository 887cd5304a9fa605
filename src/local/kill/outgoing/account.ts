/** What became of each letter, by the receiving servers' own word: compared with what its writer was told, and with the kills. */
import type { Kill } from "../account.ts";
import { CLOCKS, IN_FLIGHT } from "../account.ts";
import { type Letter, temperOf } from "./letters.ts";
import type { Said } from "./strangers.ts";
import type { Submitted } from "./writers.ts";

/** A recipient's state as the API tells it. */
export interface Told {
  readonly recipient: string;
  readonly state: string;
  readonly reply: string | null;
}

export interface Facts {
  readonly letters: readonly Letter[];
  readonly submitted: Submitted;
  /** In the order in which it was said. */
  readonly said: readonly Said[];
  /** By subject, each copy in Sent with its recipients. */
  readonly sent: ReadonlyMap<string, readonly (readonly Told[])[]>;
  /** Recipients that the reports in the writers' inboxes name, each report's apart. */
  readonly reports: readonly (readonly string[])[];
  readonly kills: readonly Kill[];
  /** Of the service, at the same time: each may double the one message in flight on it. */
  readonly connections: number;
}

export interface OutgoingAccount {
  readonly letters: number;
  readonly recipients: number;
  readonly delivered: number;
  readonly refused: number;
  /** Of those that nobody tried again. */
  readonly abandonedSent: number;
  /** Transactions that a kill doubled. */
  readonly doubled: ReadonlyMap<Kill, number>;
  /** Sentences; none where all is well. */
  readonly faults: readonly string[];
}

export function accountForOutgoing(facts: Facts): OutgoingAccount {
  const { letters, submitted, sent, kills, connections } = facts;
  const faults = [...submitted.refused];
  const heard = Map.groupBy(facts.said, ({ to }) => to);
  const reported = Map.groupBy(facts.reports.flat(), (recipient) => recipient);
  const doubled = new Map<Kill, Set<string>>();
  let [recipients, delivered, refused, abandonedSent] = [0, 0, 0, 0];
  for (const letter of letters) {
    const copies = sent.get(letter.subject) ?? [];
    const accepted = submitted.accepted.has(letter.number);
    const abandoned = submitted.abandoned.has(letter.number);
    if (copies.length > 1) faults.push(`${letter.subject}: ${copies.length} times in Sent`);
    if (accepted && copies.length === 0) faults.push(`${letter.subject}: accepted, and not in Sent`);
    if (!accepted && !abandoned) faults.push(`${letter.subject}: never had an answer`);
    const [told] = copies;
    if (!told) {
      if (letter.recipients.some((to) => heard.has(to))) faults.push(`${letter.subject}: sent, and not accepted`);
      continue;
    }
    if (abandoned) abandonedSent++;
    for (const to of letter.recipients) {
      recipients++;
      const said = heard.get(to) ?? [];
      const taken = said.filter(({ outcome }) => outcome === "taken");
      const state = told.find(({ recipient }) => recipient === to);
      const wanted = letter.unwanted || temperOf(to) === "nobody" ? "refused" : "delivered";
      if (state?.state !== wanted) faults.push(`${to}: ${state?.state ?? "no state"}, and should be ${wanted}`);
      const itsReply = said.some(({ reply, outcome }) => reply === state?.reply && outcome !== "later");
      if (!itsReply) faults.push(`${to}: its writer is told "${state?.reply}", which its server never said`);
      const times = reported.get(to)?.length ?? 0;
      if (times !== (wanted === "refused" ? 1 : 0)) faults.push(`${to}: ${times} reports`);
      if (wanted === "refused") {
        refused++;
        if (taken.length > 0) faults.push(`${to}: refused, and taken ${taken.length} times`);
        continue;
      }
      delivered++;
      if (taken.length === 0) faults.push(`${to}: lost`);
      if (taken.some(({ sha256 }) => sha256 !== letter.sha256)) faults.push(`${to}: changed`);
      for (const [index, second] of taken.slice(1).entries()) {
        const first = taken[index];
        const kill = first && explains(kills, first, second);
        if (kill) doubled.set(kill, (doubled.get(kill) ?? new Set()).add(`${letter.number} ${second.host}`));
        else faults.push(`${to}: taken at ${first?.at} and ${second.at}, and no kill while it was in flight`);
      }
    }
  }
  for (const [kill, transactions] of doubled) {
    if (transactions.size > connections)
      faults.push(
        `the kill of ${kill.victim} at ${kill.at} doubled ${transactions.size} over ${connections} connections`,
      );
  }
  const counts = new Map([...doubled].map(([kill, transactions]) => [kill, transactions.size]));
  return { letters: sent.size, recipients, delivered, refused, abandonedSent, doubled: counts, faults };
}

/** The server had it before the record of it could be made, and again after the kill. */
function explains(kills: readonly Kill[], first: Said, second: Said): Kill | undefined {
  return kills.findLast(({ at }) => at >= first.at - CLOCKS && at - first.at <= IN_FLIGHT && at <= second.at);
}

/** In words. */
export function outgoingSummary(
  account: OutgoingAccount,
  { kills, submitted, milliseconds }: { kills: readonly Kill[]; submitted: Submitted; milliseconds: number },
): string[] {
  const copies = [...account.doubled.values()].reduce((sum, count) => sum + count, 0);
  return [
    `${kills.length} kills in ${Math.round(milliseconds / 1000)} s: ${kills.map(({ victim, during }) => `${victim} (${during})`).join(", ")}`,
    `${account.letters} letters to ${account.recipients} recipients: delivered ${account.delivered}, refused ${account.refused}, each refusal told once`,
    `${submitted.unanswered} tries to submit had no answer; of ${submitted.abandoned.size} that were not repeated ${account.abandonedSent} were sent`,
    ...[...account.doubled].map(
      ([{ victim, during }, count]) => `doubled ${count} by the kill of ${victim}, ${during}`,
    ),
    `doubled ${copies} in all, at most ${Math.max(0, ...account.doubled.values())} by one kill`,
  ];
}
