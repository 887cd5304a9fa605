/** One SMTP transaction, whether Email Routing or the gateway brings it: recipients first, then one message. */
import { parseAddress } from "../../core/address.ts";
import type { Client } from "../../core/envelope.ts";
import { MAX_MESSAGE_BYTES } from "../../core/limits.ts";
import { newKey } from "../archive/raw.ts";
import type { Env } from "../env.ts";
import type { MailFrom, Transaction } from "./contract.ts";
import type { Forwardable } from "./forward-leg.ts";
import { legFor } from "./legs.ts";
import { admit } from "./memory.ts";
import { carry } from "./pipeline.ts";
import { Recipients } from "./recipients.ts";
import * as replies from "./replies.ts";
import { Reports } from "./reports.ts";

/**
 * @param ctx outlives the reply: reports to the domain's object go on in its background
 * @param forwardable what `email()` was called with, for domains whose mail is forwarded
 */
export function openTransaction(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  client: Client,
  mail: MailFrom,
  forwardable: Forwardable | null = null,
): Transaction {
  const reports = new Reports(env, ctx);
  const recipients = new Recipients(env, ctx, (plan) => legFor(env, plan, mail, forwardable, reports), reports);
  const leave = () => {
    recipients.origin?.close();
    reports.flush();
  };
  return {
    async recipient(to) {
      if (mail.from !== "" && !parseAddress(mail.from).ok) return replies.badSender(`<${mail.from}>`);
      if ((mail.size ?? 0) > MAX_MESSAGE_BYTES) return replies.tooLarge(MAX_MESSAGE_BYTES);
      return recipients.add(to);
    },

    async message(source) {
      const { accepted, row } = recipients;
      const giveBack = admit(source.size);
      try {
        if (!row || accepted.length === 0) return replies.noRecipients;
        if (source.size > MAX_MESSAGE_BYTES) return replies.tooLarge(MAX_MESSAGE_BYTES);
        if (!giveBack) return replies.busy;
        const now = Date.now();
        const { key, id } = newKey(now);
        const receipt = { id, at: now, host: env.HOSTNAME, client };
        return await carry(
          { env, reports, accepted, row, origin: recipients.originFor(row), mail, key, receipt },
          source,
        );
      } finally {
        giveBack?.();
        leave();
      }
    },

    abort: leave,
  };
}
