/** One SMTP transaction, whether Email Routing or the gateway brings it: recipients first, then one message. */
import { parseAddress } from "../../core/address.ts";
import type { Client } from "../../core/envelope.ts";
import { MAX_MESSAGE_BYTES } from "../../core/limits.ts";
import { newKey } from "../archive/raw.ts";
import type { Plan } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import type { MailFrom, Transaction } from "./contract.ts";
import type { Forwardable } from "./forward-leg.ts";
import { legFor } from "./legs.ts";
import { admit } from "./memory.ts";
import { AT_MX_PORT, type Patience } from "./patience.ts";
import { carry } from "./pipeline.ts";
import { Recipients } from "./recipients.ts";
import * as replies from "./replies.ts";
import { Reports } from "./reports.ts";

/**
 * @param ctx outlives the reply: reports to the domain's object, and the wait for a late final reply, go on in its background
 * @param forwardable what `email()` was called with, for domains whose mail is forwarded
 */
export function openTransaction(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  client: Client,
  mail: MailFrom,
  forwardable: Forwardable | null = null,
  patience: Patience = AT_MX_PORT,
): Transaction {
  const begun = Date.now();
  const reports = new Reports(env, ctx);
  const legOf = (plan: Plan) => legFor(env, plan, mail, forwardable, reports, patience);
  const recipients = new Recipients(env, ctx, legOf, reports);
  const goingOn: Promise<void>[] = [];
  const background = (work: Promise<void>) => {
    goingOn.push(work);
    ctx.waitUntil(work);
  };
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
        const origin = recipients.originFor(row);
        const facts = { env, reports, accepted, row, origin, mail, key, receipt };
        return await carry({ ...facts, patience, begun, background }, source);
      } finally {
        giveBack?.();
        leave();
      }
    },

    abort: leave,

    async afterwards() {
      await Promise.all(goingOn);
    },
  };
}
