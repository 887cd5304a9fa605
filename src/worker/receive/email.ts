/** Email Routing's way in: one message, one recipient, all at once. */
import { EMAIL_ROUTING } from "../../core/authentication-results.ts";
import type { Reply } from "../../core/outcome.ts";
import type { Env } from "../env.ts";
import { IN_EMAIL } from "./patience.ts";
import * as replies from "./replies.ts";
import { openTransaction } from "./transaction.ts";

const NON_ASCII = /[^\0-\x7f]/;

/**
 * An acceptance returns, a permanent refusal goes by `setReject`, everything else throws: that is a temporary failure to
 * the sender's server, which keeps the message.
 */
export async function receiveEmail(message: ForwardableEmailMessage, env: Env, ctx: ExecutionContext): Promise<void> {
  const mail = {
    from: message.from,
    // Email Routing does not tell BODY; what it brings may have eight bits.
    body: "8BITMIME",
    smtputf8: NON_ASCII.test(message.from) || NON_ASCII.test(message.to),
    size: message.rawSize,
  } as const;
  const transaction = openTransaction(env, ctx, EMAIL_ROUTING, mail, message, IN_EMAIL);
  const recipient = await transaction.recipient(message.to);
  const reply =
    recipient.code < 300 ? await transaction.message({ size: message.rawSize, chunks: message.raw }) : recipient;
  if (recipient.code >= 300) transaction.abort();
  answer(message, reply);
}

function answer(message: ForwardableEmailMessage, reply: Reply): void {
  if (reply.code < 300) return;
  if (reply.code < 500) throw new Error(replies.line(reply));
  message.setReject(replies.line(reply));
}
