/** One SMTP transaction, whether Email Routing or the gateway brings it: recipients first, then one message. */
import { parseAddress } from "../../core/address.ts";
import type { Client } from "../../core/envelope.ts";
import { journalSecret } from "../../core/journal/address.ts";
import { MAX_MESSAGE_BYTES } from "../../core/limits.ts";
import type { Reply } from "../../core/outcome.ts";
import { newKey } from "../archive/raw.ts";
import type { Plan } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { journalOf, receiveJournal, refusedSource } from "../journal/receive.ts";
import type { KnownJournal } from "../store/journal-addresses.ts";
import type { MailFrom, Transaction } from "./contract.ts";
import type { Forwardable } from "./forward-leg.ts";
import { legFor } from "./legs.ts";
import { admit } from "./memory.ts";
import { AT_MX_PORT, type Patience } from "./patience.ts";
import { carry } from "./pipeline.ts";
import { Recipients } from "./recipients.ts";
import * as replies from "./replies.ts";
import { Reports } from "./reports.ts";

interface JournalTo {
  /** As received. */
  readonly to: string;
  readonly journal: KnownJournal;
}

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
  let journal: JournalTo | null = null;
  /** Null: it is no journal address. Such a recipient is alone in its transaction. */
  const journalRecipient = async (to: string): Promise<Reply | null> => {
    if (journal) return journal.to === to ? replies.recipientAccepted : replies.ownTransaction;
    if (journalSecret(to) === null) return null;
    let found: KnownJournal | null;
    try {
      found = await journalOf(env, to);
    } catch (error) {
      console.error("it cannot be looked up whose journal an address is", String(error));
      return replies.noPlan;
    }
    if (!found) return null;
    if (recipients.accepted.length > 0) return replies.ownTransaction;
    const refused = refusedSource(found, client.ip);
    if (refused) return refused;
    journal = { to, journal: found };
    return replies.recipientAccepted;
  };
  return {
    async recipient(to) {
      if (mail.from !== "" && !parseAddress(mail.from).ok) return replies.badSender(`<${mail.from}>`);
      if ((mail.size ?? 0) > MAX_MESSAGE_BYTES) return replies.tooLarge(MAX_MESSAGE_BYTES);
      return (await journalRecipient(to)) ?? recipients.add(to);
    },

    async message(source) {
      const { accepted, row } = recipients;
      const giveBack = admit(source.size);
      try {
        if (journal && giveBack) {
          return await receiveJournal({ env, ctx, journal: journal.journal, client, mail }, source, Date.now());
        }
        if (journal) return replies.busy;
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
