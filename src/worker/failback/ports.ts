/** What a failback run needs of the world: it runs in the domain's object, and could run elsewhere. */
import type { Outcome } from "../../core/outcome.ts";
import type { MessageMeta } from "../archive/meta.ts";
import { objectName } from "../archive/raw.ts";
import type { OpenedSession } from "../deliver/session.ts";
import type { NewEvent } from "../domain/contract.ts";
import type { WaitingMessage } from "../store/backlog.ts";
import type { Desk, Recalled, Report } from "./exchange.ts";
import type { Flights } from "./flights.ts";

export interface PageCursor {
  readonly waiting: number;
  readonly id: number;
}

export interface RawMessage {
  /** Octets. */
  readonly size: number;
  readonly body: ReadableStream<Uint8Array>;
  /** All of it at once, in the stead of `body`. */
  readonly whole: () => Promise<ArrayBuffer>;
}

export interface FailbackPorts {
  open(): Promise<OpenedSession>;
  /** The numbers of the shards. */
  readonly shards: readonly number[];
  /** The oldest waiting messages of a shard after the cursor. */
  backlog(shard: number, after: PageCursor | null, limit: number): Promise<WaitingMessage[]>;
  /** The received octets, or null where they are not there any more. */
  raw(key: string): Promise<RawMessage | null>;
  readonly flights: Flights;
  /** Other invocations, from 1 on; absent: this one sends alone. */
  readonly carriers?: (invocation: number) => Carrier;
  removeDelivered(shard: number, placements: readonly number[]): Promise<void>;
  markRefused(shard: number, placements: readonly number[], reply: string): Promise<void>;
  /** Unix milliseconds. */
  clock(): number;
  /** 0 to 1. */
  random(): number;
  /** What the origin did, as evidence. `began` in unix milliseconds. */
  observe(recipient: string, outcome: Outcome, began: number): void;
  event(event: NewEvent): void;
  /** False once the origin is not to have mail any more: the mode changed. */
  mayGoOn(): boolean;
}

/** Another invocation, which sends for the run. */
export interface Carrier {
  /** One connection's work, to its end. @returns what the desk has not confirmed @throws where the other side is lost */
  carry(slot: number, desk: Desk): Promise<readonly Report[]>;
  /** Ends what these connections do. @returns what they did not report @throws where it does not answer */
  recall(slots: readonly number[]): Promise<Recalled>;
}

/** What is sent once: one message to one envelope recipient, for however many mailboxes. */
export interface Flight {
  /** See `flightKey`. */
  readonly key: string;
  readonly object: string;
  readonly meta: MessageMeta;
  /** Octets in R2. */
  readonly size: number;
  readonly placements: readonly { readonly shard: number; readonly id: number }[];
  /** Unix milliseconds, before the backlog was read. */
  readonly readAt: number;
}

/**
 * The same for a message that retention has copied elsewhere meanwhile: only the object's name counts.
 * @param object the R2 key @param to the envelope recipient as received
 */
export function flightKey(object: string, to: string): string {
  return `${objectName(object)}\n${to}`;
}

/** @returns the object's name, which its R2 key ends with, and the envelope recipient */
export function readFlightKey(key: string): { readonly object: string; readonly to: string } {
  const end = key.indexOf("\n");
  return { object: key.slice(0, end), to: key.slice(end + 1) };
}
