/**
 * What the domain's object, which decides and remembers, and a connection, which sends, say to each other. They may be in
 * different invocations: everything here is structured-clonable.
 */
import type { Outcome } from "../../core/outcome.ts";
import type { MessageMeta } from "../archive/meta.ts";

/** A message that is claimed for this connection. */
export interface Assignment {
  /** See `flightKey`. */
  readonly key: string;
  /** The R2 key. */
  readonly object: string;
  readonly meta: Pick<MessageMeta, "receipt" | "envelope">;
  /** Octets in R2, as the index has it. */
  readonly size: number;
}

/** What will probably be claimed next: its octets may be read, no more. */
export interface Hint {
  readonly object: string;
  readonly size: number;
}

export interface Orders {
  /** Null: nothing more for this connection. */
  readonly claimed: Assignment | null;
  readonly hint: Hint | null;
  /** What has not had its final dot is to be left and given back: the mode changed, or the run is over. */
  readonly stop: boolean;
}

/** `took`: milliseconds since it was begun. */
export type Report =
  | {
      readonly kind: "sent";
      readonly key: string;
      readonly outcome: Outcome;
      readonly took: number;
      readonly lineEndsChanged: boolean;
    }
  /** Our own storage gave way. */
  | { readonly kind: "broken"; readonly key: string; readonly error: string }
  /** Its octets are not there any more. */
  | { readonly kind: "missing"; readonly key: string }
  /** It was claimed, and nothing of it was sent that could be taken for a message. */
  | { readonly kind: "returned"; readonly key: string }
  | { readonly kind: "connected" }
  | { readonly kind: "not_connected"; readonly outcome: Outcome; readonly took: number };

export interface Desk {
  /**
   * Resolves once the reports are recorded. Where it rejects nobody knows them: then no further final dot may be sent.
   * @param slot of the connection
   * @param more whether a message is to be claimed
   */
  exchange(slot: number, reports: readonly Report[], more: boolean): Promise<Orders>;
}

/** What an invocation says that is called back. */
export interface Recalled {
  /** What nobody has confirmed. */
  readonly reports: readonly { readonly slot: number; readonly report: Report }[];
  /** Connections that still wait for the reply to a final dot: what they hold is not to be sent again now. */
  readonly busy: readonly number[];
}
