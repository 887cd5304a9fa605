/** How long each step of the conversation may take in all, milliseconds. */
import { COMMAND_TIMEOUT, DATA_TIMEOUT, GREETING_TIMEOUT, RECIPIENT_TIMEOUT, WRITE_TIMEOUT } from "../../limits.ts";

export interface PhaseLimits {
  readonly greeting: number;
  /** EHLO, STARTTLS with its handshake, AUTH with all its steps, RSET, NOOP: each. */
  readonly command: number;
  /** MAIL, RCPT: each. */
  readonly recipient: number;
  readonly data: number;
  /** One piece of the message. */
  readonly write: number;
}

export const PHASE_LIMITS: PhaseLimits = {
  greeting: GREETING_TIMEOUT,
  command: COMMAND_TIMEOUT,
  recipient: RECIPIENT_TIMEOUT,
  data: DATA_TIMEOUT,
  write: WRITE_TIMEOUT,
};
