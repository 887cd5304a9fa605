/** What became of each message: counted, and compared octet for octet. */
import { createHash } from "node:crypto";
import type { OriginMessage } from "./origin.ts";
import type { Sent } from "./sender.ts";

export interface Ledger {
  readonly sent: number;
  readonly delivered: number;
  readonly waiting: number;
  readonly refused: number;
  /** Moved or deleted by a person in the portal. */
  readonly removed: number;
  readonly lost: number;
  /** At the origin with other octets than were sent, or without exactly one Received and one Delivered-To of ours on top. */
  readonly changed: number;
  readonly doubled: number;
  /** Stored by the origin, which died before its 250: delivered again, as it must be. */
  readonly inFlight: number;
  readonly complaints: readonly string[];
}

const OURS =
  /^Received: from [^\r\n]*\r\n\tby [^\r\n]* \(Holdfast\) with [^\r\n]*\r\n\tfor <([^\r\n]*)>; [^\r\n]*\r\nDelivered-To: ([^\r\n]*)\r\n/;

export function balance(
  sent: readonly Sent[],
  atOrigin: readonly OriginMessage[],
  portal: { readonly waiting: number; readonly refused: number; readonly removed: readonly string[] },
): Ledger {
  const complaints: string[] = [];
  const bySum = new Map(sent.map((message) => [`${message.sha256} ${message.to}`, message]));
  const arrivals = new Map<string, OriginMessage[]>();
  let changed = 0;
  for (const message of atOrigin) {
    const top = OURS.exec(message.octets.subarray(0, 4096).toString("latin1"));
    const rest = message.octets.subarray(top?.[0].length ?? 0);
    const key = `${createHash("sha256").update(rest).digest("hex")} ${message.to[0]}`;
    const original = bySum.get(key);
    if (!top || !original || top[2] !== original.to || message.from !== original.from || message.to.length !== 1) {
      changed++;
      complaints.push(`changed: from <${message.from}> to <${message.to.join(", ")}>, ${message.octets.length} octets`);
      continue;
    }
    arrivals.set(key, [...(arrivals.get(key) ?? []), message]);
  }
  let doubled = 0;
  let inFlight = 0;
  for (const [key, copies] of arrivals) {
    if (copies.length === 1) continue;
    const unanswered = copies.filter((copy) => !copy.answered).length;
    if (copies.length - unanswered <= 1) inFlight += copies.length - 1;
    else {
      doubled += copies.length - 1 - unanswered;
      complaints.push(`doubled: ${bySum.get(key)?.name} arrived ${copies.length} times`);
    }
  }
  const removed = portal.removed.filter((sum) => !arrivals.has(sum)).length;
  const missing = [...bySum.keys()].filter((key) => !arrivals.has(key) && !portal.removed.includes(key));
  const kept = portal.waiting + portal.refused;
  if (missing.length > kept) {
    for (const key of missing.slice(0, 10))
      complaints.push(`not at the origin: ${bySum.get(key)?.name} to <${bySum.get(key)?.to}>`);
  }
  return {
    sent: sent.length,
    delivered: arrivals.size,
    waiting: portal.waiting,
    refused: portal.refused,
    removed,
    lost: sent.length - arrivals.size - removed - kept,
    changed,
    doubled,
    inFlight,
    complaints,
  };
}

/** The line that scripts read. */
export function ledgerLine({ sent, delivered, waiting, refused, removed, lost }: Ledger): string {
  return `sent ${sent}, delivered ${delivered}, waiting ${waiting}, refused ${refused}, removed ${removed}, lost ${lost}`;
}
