/** What the sender's server hears (RFC 5321 §4.2.3, RFC 3463), where the origin's own words are not passed on. */
import type { Reply, Unavailable } from "../../core/outcome.ts";
import { formatReply } from "../../core/outcome.ts";

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });

export const recipientAccepted = reply(250, "2.1.5", "Recipient ok");
export const badRecipient = (why: string) => reply(501, "5.1.3", `Bad recipient address: ${why}`);
export const badSender = (why: string) => reply(501, "5.1.7", `Bad sender address: ${why}`);
export const relayDenied = reply(550, "5.7.1", "Relaying denied: this server takes no mail for that domain");
export const unknownUser = reply(550, "5.1.1", "No such mailbox here");
export const notCovered = reply(451, "4.2.1", "The server of this mailbox is out of reach, please try again later");
export const ownTransaction = reply(452, "4.5.3", "This recipient must come in a transaction of its own");
export const tooManyRecipients = reply(452, "4.5.3", "Too many recipients, send the others in another transaction");
export const noRecipients = reply(503, "5.5.1", "RCPT first");
export const tooLarge = (max: number) => reply(552, "5.3.4", `Message too large, the limit is ${max} octets`);
export const loop = reply(554, "5.4.6", "Mail loop: this message has been here before");
export const tooManyHops = (max: number) => reply(554, "5.4.6", `Mail loop: more than ${max} Received fields`);
export const busy = reply(452, "4.3.1", "Too much mail at once, please try again later");
export const noPlan = reply(451, "4.3.0", "The domain's settings cannot be read now, please try again later");
export const notStored = reply(451, "4.3.0", "The message could not be stored, please try again later");
export const accepted = (id: string) => reply(250, "2.0.0", `Accepted as ${id}`);
export const alreadyAccepted = reply(250, "2.0.0", "Accepted before, not taken twice");

/** A temporary failure; the origin's own 4xx where it gave one to a recipient or a message, so that greylisting explains itself. */
export function temporary(outcome: Unavailable): Reply {
  const { reply: said, phase } = outcome;
  if (said && said.code < 500 && said.code !== 421 && (phase === "rcpt" || phase === "data" || phase === "final"))
    return said;
  return reply(451, "4.4.1", "The server of this domain is out of reach, please try again later");
}

/** For `email()`, which has one line: `550 5.1.1 No such mailbox here`. */
export const line = formatReply;
