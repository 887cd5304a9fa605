/** A way out, whatever it is made of: one message to some of its recipients, and for each of these one of three outcomes. */
import type { Outcome, Refused, Unavailable } from "../../../core/outcome.ts";
import type { Source } from "../../failback/octets.ts";
import type { OutgoingMessage, OutgoingRecipient } from "../../store/outgoing.ts";

/** What goes in one transaction: all its recipients have the same destination. */
export interface Parcel {
  readonly shard: number;
  readonly message: OutgoingMessage;
  /** At least one. */
  readonly recipients: readonly OutgoingRecipient[];
  /** See `Transport.destinationOf`. */
  readonly destination: string;
  /** Our Received, for the transports that put one on top. */
  readonly received: Uint8Array;
  /** What goes below it: a DKIM-Signature, the mark of what is sent on; empty where there is none. */
  readonly fields: Uint8Array;
  /** The stored octets. @returns null where they are not there any more. @throws where R2 does not answer */
  open(): Promise<Source | null>;
}

export interface Verdict {
  readonly recipient: OutgoingRecipient;
  readonly outcome: Outcome;
}

/**
 * Called when all but the final dot is sent, with those that it is for: recorded before it goes. @throws where it is not to go; then
 * none of the message has been sent
 */
export type BeforeDot = (recipients: readonly OutgoingRecipient[]) => void;

/** One connection's worth of a transport: parcels go one after the other. */
export interface Carriage {
  /** Never rejects. @returns a verdict for each recipient */
  carry(parcel: Parcel, beforeDot: BeforeDot): Promise<readonly Verdict[]>;
  /** Idempotent; never throws. */
  close(): void;
}

export interface Transport {
  /** Recipients of the same go in one transaction. @param domain the recipient's, in normal form */
  destinationOf(domain: string): string;
  open(): Carriage;
}

export function all(recipients: readonly OutgoingRecipient[], outcome: Outcome): Verdict[] {
  return recipients.map((recipient) => ({ recipient, outcome }));
}

/** Something of ours failed: no word about the other side, and the message is tried again. */
export function ours(detail: string): Unavailable {
  return { kind: "unavailable", where: "path", phase: "connect", reason: "unsupported", detail };
}

/** What a destination that cannot be connected said, so that not every message of a run tries it again. */
export class Unreachable {
  readonly #said = new Map<string, Unavailable | Refused>();

  get(destination: string): Unavailable | Refused | null {
    return this.#said.get(destination) ?? null;
  }

  set(destination: string, outcome: Unavailable | Refused): void {
    this.#said.set(destination, outcome);
  }
}
