/** One transaction on a submission port: who it is first, then recipients, then one message. */
import { parseAddress } from "../../core/address.ts";
import type { Client } from "../../core/envelope.ts";
import { INDEX_TIMEOUT, MAX_MESSAGE_BYTES, MAX_RECIPIENTS } from "../../core/limits.ts";
import type { Reply } from "../../core/outcome.ts";
import type { Submitter as Shown } from "../../core/protocol/gateway/frames.ts";
import { ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import type { MailFrom, Transaction } from "../receive/contract.ts";
import { badRecipient, noRecipients, recipientAccepted, tooLarge, tooManyRecipients } from "../receive/replies.ts";
import type { Author } from "../send/person.ts";
import { within } from "../store/deadline.ts";
import { personMail, sendMessage } from "./person.ts";
import * as replies from "./replies.ts";
import { relayMessage, type ServerMail, serverMail } from "./server.ts";
import { submitterOf } from "./submitter.ts";

/** With the reply to MAIL, to be asked for before all else. */
export interface SubmissionTransaction extends Transaction {
  begun(): Promise<Reply>;
}

type Whose = { readonly author: Author } | { readonly server: ServerMail };

export function openSubmission(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  client: Client,
  mail: MailFrom,
  shown: Shown,
): SubmissionTransaction {
  let whose: Whose | null = null;
  const recipients: string[] = [];
  return {
    async begun() {
      try {
        const found = await within(whoseMail(env, client, mail, shown), INDEX_TIMEOUT, "who submits");
        if (!found.ok) return found.error;
        if ((mail.size ?? 0) > MAX_MESSAGE_BYTES) return tooLarge(MAX_MESSAGE_BYTES);
        whose = found.value;
        return replies.senderOk;
      } catch (error) {
        console.error("it cannot be looked up who submits", String(error));
        return replies.noAnswer;
      }
    },

    async recipient(to) {
      if (!whose) return replies.loginNeeded;
      const parsed = parseAddress(to);
      if (!parsed.ok) return badRecipient(parsed.error.reason.replaceAll("_", " "));
      if (recipients.includes(to)) return recipientAccepted;
      if (recipients.length >= MAX_RECIPIENTS) return tooManyRecipients;
      recipients.push(to);
      return recipientAccepted;
    },

    async message(source) {
      if (!whose || recipients.length === 0) return noRecipients;
      const facts = { client, mail, recipients };
      const now = Date.now();
      return "author" in whose
        ? sendMessage(env, ctx, whose.author, facts, source, now)
        : relayMessage(env, ctx, whose.server, facts, source, now);
    },

    abort() {},
    async afterwards() {},
  };
}

async function whoseMail(env: Env, { ip }: Client, { from }: MailFrom, shown: Shown): Promise<Result<Whose, Reply>> {
  const submitter = await submitterOf(env, shown, ip, Date.now());
  if (!submitter) return { ok: false, error: replies.loginNeeded };
  if (submitter.kind === "person") {
    const author = await personMail(env, submitter.user, from);
    return author.ok ? ok({ author: author.value }) : author;
  }
  const server = await serverMail(env, submitter.relays, from);
  return server.ok ? ok({ server: server.value }) : server;
}
