/** A rehearsal's account in words, and what in it must not be. */
import type { Result } from "./rehearsal.ts";

export function summary({ kills, doubled, ledger, archived, milliseconds }: Result): string[] {
  const copies = doubled.reduce((sum, one) => sum + one.copies, 0);
  const most = Math.max(0, ...doubled.map((one) => one.copies));
  const pauses = kills.map(({ at, back }) => back - at).sort((a, b) => a - b);
  const victims = Object.entries(Object.groupBy(kills, ({ victim }) => victim));
  return [
    `${kills.length} kills in ${Math.round(milliseconds / 1000)} s: ${victims.map(([victim, list]) => `${list?.length} of ${victim}`).join(", ")}`,
    `back after ${pauses[Math.floor(pauses.length / 2)]} ms (median), ${pauses.at(-1)} ms at most`,
    ...doubled.map(
      ({ kill, copies, inFlight }) =>
        `doubled ${copies} by the kill of ${kill.victim} during ${kill.during}, which the origin had for up to ${inFlight} ms`,
    ),
    `doubled ${copies} in all, at most ${most} by one kill; changed ${ledger.changed}; in the archive ${archived.messages}`,
  ];
}

/** @returns sentences; none where all is well */
export function faults({ ledger, unexplained, archived, inInboxes, bounced }: Result): string[] {
  const found = [...unexplained, ...archived.twice.map((one) => `archived twice: ${one}`)];
  found.push(...bounced.map((one) => `refused: ${one}`));
  found.push(...archived.missing.map((one) => `not in the archive: ${one}`));
  if (ledger.lost !== 0) found.push(`lost ${ledger.lost}`, ...ledger.complaints);
  if (ledger.changed > 0) found.push(`changed ${ledger.changed}`, ...ledger.complaints);
  if (ledger.refused > 0) found.push(`refused by the origin: ${ledger.refused}`);
  if (inInboxes > 0) found.push(`still in the inboxes: ${inInboxes}`);
  return found;
}
