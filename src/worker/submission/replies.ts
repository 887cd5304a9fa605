/** What is said on a submission port (RFC 6409, RFC 4954, RFC 3463). */
import type { Reply } from "../../core/outcome.ts";
import { accepted, alreadyAccepted } from "../receive/replies.ts";
import type { SubmitRefusal, Submitted } from "../send/contract.ts";

const reply = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });

export const senderOk = reply(250, "2.1.0", "Sender ok");
/** RFC 4954 §6. */
export const loginNeeded = reply(530, "5.7.0", "Authentication required");
export const noAnswer = reply(451, "4.3.0", "It cannot be looked up now who you are, please try again later");
export const notYours = (address: string) => reply(550, "5.7.1", `<${address}> is not an address of yours`);
/** Of a customer's other than the one who asks: that would be a forgery with our own good name. */
export const anotherCustomers = (domain: string) =>
  reply(550, "5.7.1", `You may not send for ${domain}: what is forwarded needs a sender of your own domain (SRS)`);
export const whose = reply(
  550,
  "5.7.1",
  "Several servers share your address: log in, or show a certificate of your own",
);
export const badField = (field: string, message: string) =>
  reply(550, "5.7.1", `The field ${field} of the message ${message}`.replace(/[\0-\x1f\x7f]/g, " ").slice(0, 500));
export const longHeader = reply(554, "5.6.0", "The header of the message is too long, or has no end");

export const taken = ({ id, isNew }: Submitted): Reply => (isNew ? accepted(id) : alreadyAccepted);

/**
 * @param patient a server that keeps what it cannot pass on now; to a person's program everything that time alone does not mend is
 * a refusal
 */
export function refused({ reason, detail }: SubmitRefusal, patient: boolean): Reply {
  const text = detail.replace(/[\0-\x1f\x7f]/g, " ").slice(0, 500);
  switch (reason) {
    case "temporary":
      return reply(451, "4.3.0", text);
    case "busy":
      return reply(452, "4.3.1", text);
    case "rate":
      return reply(451, "4.7.1", text);
    case "stopped":
      return patient ? reply(451, "4.7.1", text) : reply(550, "5.7.1", text);
    case "no_way_out":
    case "unknown_domain":
      return patient ? reply(451, "4.3.5", text) : reply(550, "5.3.5", text);
    case "no_recipients":
      return reply(554, "5.5.1", text);
    case "too_many_recipients":
      return reply(452, "4.5.3", text);
    case "bad_recipient":
      return reply(553, "5.1.3", text);
    case "too_large":
      return reply(552, "5.3.4", text);
    case "loop":
      return reply(554, "5.4.6", text);
    case "transport_rules":
      return reply(554, "5.6.0", text);
  }
}
