/** What became of each message, and which kill explains which doubled one. */
import { balance, type Ledger } from "../demo/ledger.ts";
import type { OriginMessage } from "../demo/origin.ts";
import type { Sent } from "../demo/sender.ts";

export type Victim = "workerd" | "gateway" | "both";

export interface Kill {
  readonly victim: Victim;
  /** What was going on. */
  readonly during: string;
  /** Unix milliseconds: before the signal went out, and when everything answered again. */
  readonly at: number;
  readonly back: number;
  readonly mode: string;
}

export interface Doubled {
  readonly kill: Kill;
  readonly copies: number;
  /** Milliseconds from the first copy at the origin to the kill, the longest of them. */
  readonly inFlight: number;
}

export interface Account {
  readonly ledger: Ledger;
  /** Copies that the origin has beyond the first, by the kill that explains them. */
  readonly doubled: readonly Doubled[];
  /** Copies beyond the first that no kill explains, or more than a kill may cost. */
  readonly unexplained: readonly string[];
}

/** Milliseconds from the origin's storing a message to our record of it: its answer, and a busy machine's D1. */
export const IN_FLIGHT = 4_000;
/** The signal and the origin's last write are by two processes. */
export const CLOCKS = 50;

/**
 * A message is doubled where the origin had it and a kill kept that from being recorded: the first copy came before the
 * record could be made, the second after the kill.
 * @param connections to the origin that may be open at once: each may double the one message in flight on it
 */
export function accountFor(
  sent: readonly Sent[],
  atOrigin: readonly OriginMessage[],
  waiting: { readonly waiting: number; readonly refused: number },
  kills: readonly Kill[],
  connections: number,
): Account {
  // By the bare subject, for the complaints; by octets is the ledger's matter.
  const ledger = balance(sent, atOrigin, { ...waiting, removed: [] });
  const arrivals = new Map<string, number[]>();
  for (const message of atOrigin) {
    const subject = /^Subject: (.*)\r$/m.exec(message.octets.subarray(0, 4096).toString("latin1"))?.[1] ?? "?";
    arrivals.set(
      subject,
      [...(arrivals.get(subject) ?? []), message.at].sort((a, b) => a - b),
    );
  }
  const unexplained: string[] = [];
  const doubled = new Map<Kill, Doubled>();
  for (const [subject, times] of arrivals) {
    for (const [index, second] of times.slice(1).entries()) {
      const first = times[index] ?? 0;
      // In flight: what the origin has had for longer was recorded, and must not come again for this kill.
      const kill = kills.findLast(({ at }) => at >= first - CLOCKS && at - first <= IN_FLIGHT && at <= second);
      if (!kill) {
        unexplained.push(`${subject}: at the origin at ${first} and ${second}, and no kill while it was in flight`);
        continue;
      }
      const { copies, inFlight } = doubled.get(kill) ?? { copies: 0, inFlight: 0 };
      doubled.set(kill, { kill, copies: copies + 1, inFlight: Math.max(inFlight, kill.at - first) });
    }
  }
  for (const { kill, copies } of doubled.values())
    if (copies > connections)
      unexplained.push(
        `the kill of ${kill.victim} at ${kill.at} doubled ${copies} messages over ${connections} connections`,
      );
  return { ledger, doubled: [...doubled.values()], unexplained };
}
