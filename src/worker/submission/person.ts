/** A person's mail program: from their own address and no other (RFC 6409 §6.1), with a copy in Sent and in the archive. */
import { ulid } from "ulidx";
import type { Client } from "../../core/envelope.ts";
import type { Reply } from "../../core/outcome.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Env } from "../env.ts";
import type { User } from "../identity/principal.ts";
import type { MailFrom, MessageSource } from "../receive/contract.ts";
import { type Author, authorOf, senderOf } from "../send/person.ts";
import { prepare } from "../send/prepare.ts";
import { submit } from "../send/submit.ts";
import * as replies from "./replies.ts";

/** At MAIL. A program's own reports, such as that a message was read, have no sender (RFC 8098 §3). @throws where D1 does not answer */
export async function personMail(env: Env, user: User, from: string): Promise<Result<Author, Reply>> {
  const author = await authorOf(env, user);
  if (!author) return err(replies.loginNeeded);
  return from === "" || author.owns(from) ? ok(author) : err(replies.notYours(from));
}

/** @throws where the octets break off: then nothing was accepted */
export async function sendMessage(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  author: Author,
  { client, mail, recipients }: { client: Client; mail: MailFrom; recipients: readonly string[] },
  source: MessageSource,
  now: number,
): Promise<Reply> {
  const { header, size, chunks } = await prepare(source, `${ulid(now).toLowerCase()}@${author.domain.name}`, now);
  if (!header.complete) return replies.longHeader;
  const sender = senderOf(author, header);
  if (!sender.ok) return replies.badField(sender.error.field, sender.error.message);
  const submitted = await submit(
    env,
    ctx,
    {
      domain: author.domain.name,
      writer: author.writer,
      from: mail.from,
      recipients,
      body: mail.body,
      smtputf8: mail.smtputf8,
      // Where people write from is nobody's business (RFC 6409 §8).
      client: { ip: "", helo: "", protocol: client.protocol },
      octets: chunks,
      size,
      request: null,
    },
    now,
  );
  return submitted.ok ? replies.taken(submitted.value) : replies.refused(submitted.error, false);
}
