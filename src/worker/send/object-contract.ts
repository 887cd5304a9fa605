/** What a domain's outbound object and the rest of the Worker say to each other. Everything here is structured-clonable. */
import type { SubmitRefusal } from "./contract.ts";
import type { Admission, Counted, Stop } from "./rates.ts";

/** Somebody who sends: by what they are counted, and what people call them. */
export interface Sender {
  /** As rates.ts writes it. */
  readonly who: string;
  /** A login name, or what relays. */
  readonly name: string;
}

export interface AdmissionRequest extends Admission {
  /** The domain's. */
  readonly name: string;
  readonly id: number;
  /** What people call whoever sends. */
  readonly writer: string;
}

export interface OutboundRpc {
  /** Before a message is stored: counts its recipients. @returns why it is not taken, or null */
  admit(request: AdmissionRequest): Promise<SubmitRefusal | null>;
  /** What was admitted was not taken: it does not count. */
  takeBack(counted: Counted): Promise<void>;
  /** There may be something in the queue. */
  wake(name: string, id: number): Promise<void>;
  stops(): Promise<Stop[]>;
  /** Nobody's mail of that name is taken or sent any more. */
  stop(sender: Sender, actor: string, why: string): Promise<void>;
  /** @returns false where it was not stopped */
  release(sender: Sender, actor: string): Promise<boolean>;
  /**
   * One recipient's copy is taken out of the queue.
   * @param tell whether its sender is to hear of it, by a report of failure
   * @returns `sending`: its final dot may be on its way, so it stays; `gone`: it is not in the queue any more
   */
  cancel(shard: number, recipient: number, actor: string, tell: boolean): Promise<"cancelled" | "sending" | "gone">;
}
