/** How long each waits for the other while a message comes in. Milliseconds. */
import {
  EMAIL_TIME,
  FINAL_TIMEOUT_BACKGROUND,
  RECEIVE_BUDGET,
  SENDER_FINAL_PATIENCE,
  STALE_CONVERSATION,
} from "../../core/limits.ts";

export interface Patience {
  /** Of the sender with the origin, over all steps of one message. */
  readonly budget: number;
  /** Of the sender with the reply to the final dot, after the budget and where its message cannot be stored meanwhile. */
  readonly final: number;
  /** Of the platform with all of it, from the first recipient on; what the stores need is taken off. */
  readonly whole: number;
  /** Ours with the reply to the final dot, from the dot on, the sender gone or not. */
  readonly background: number;
  /** The origin's with a sender that pauses: what broke after so long is begun anew. */
  readonly stale: number;
}

/** The MX port's senders wait up to 10 minutes (RFC 5321 §4.5.3.2.6), and a WebSocket's invocation lives as long as it. */
export const AT_MX_PORT: Patience = {
  budget: RECEIVE_BUDGET,
  final: SENDER_FINAL_PATIENCE,
  whole: Number.POSITIVE_INFINITY,
  background: FINAL_TIMEOUT_BACKGROUND,
  stale: STALE_CONVERSATION,
};

export const IN_EMAIL: Patience = { ...AT_MX_PORT, whole: EMAIL_TIME };
