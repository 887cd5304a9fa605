/** Mail that a person sends: written in parts, or as a whole message. The API and the webmail both call these. */

import { ulid } from "ulidx";
import { MAX_THREAD_REFERENCES, STORE_TIMEOUT } from "../../../core/limits.ts";
import { type Mailbox as Addressee, mailboxes } from "../../../core/mime/addresses.ts";
import { readHeader } from "../../../core/mime/header.ts";
import { joined } from "../../../core/mime/joined.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { MAX_COMPOSE_BYTES } from "../../../core/send/limits.ts";
import { once } from "../../archive/octets.ts";
import type { Env } from "../../env.ts";
import type { User } from "../../identity/principal.ts";
import { findBlob, readBlobId } from "../../mailbox/blobs.ts";
import { mailboxOf } from "../../mailbox/contract.ts";
import { markMessages } from "../../mailbox/messages.ts";
import { readMessage } from "../../mailbox/reading.ts";
import { defaultIdentity, findIdentity } from "../../person/identities.ts";
import { SizeMismatchError } from "../../receive/content.ts";
import type { MessageSource } from "../../receive/contract.ts";
import { type AttachedFile, compose, type Letter } from "../../send/compose.ts";
import type { SubmitRefusal, Submitted } from "../../send/contract.ts";
import {
  type Author,
  authorOf,
  type FieldProblem,
  needsSmtpUtf8,
  notOwn,
  recipientsIn,
  recipientsOf,
  senderOf,
} from "../../send/person.ts";
import { LineEndsError, prepare } from "../../send/prepare.ts";
import { submit } from "../../send/submit.ts";
import { within } from "../../store/deadline.ts";
import { ANSWERED } from "../../store/flags.ts";
import { firstPlacement } from "../../store/messages.ts";
import {
  findOutgoing,
  type OutgoingRecipient,
  onceOf,
  recipientsOf as recipientsOfRow,
  requestOfMessage,
} from "../../store/outgoing.ts";
import type { PlacedMessage } from "../../store/placements.ts";
import { shardDb, shardsInUse } from "../../store/shard.ts";
import { invalid, type Problem, type ProblemStatus } from "../problem.ts";
import { messageNumber } from "./mail.ts";
import { NOBODY } from "./person.ts";

export interface WrittenFile {
  readonly name: string;
  readonly type?: string | undefined;
  /** Base64; or the name of octets that are in the mailbox. */
  readonly content?: string | undefined;
  readonly blob?: string | undefined;
  readonly contentId?: string | undefined;
}

/** Addresses as people write them, `Ann <ann@example.org>`, several in one or one in each. */
export interface WrittenMessage {
  readonly from?: string | undefined;
  /** As whom; with neither this nor `from` the default one. */
  readonly identity?: string | undefined;
  readonly to: readonly string[];
  readonly cc: readonly string[];
  readonly bcc: readonly string[];
  readonly replyTo: readonly string[];
  readonly subject: string;
  readonly text?: string | undefined;
  readonly html?: string | undefined;
  readonly attachments: readonly WrittenFile[];
  /** The number of a message in the mailbox, or a Message-ID. */
  readonly inReplyTo?: string | undefined;
}

export interface SentMessage extends Submitted {
  /** In Sent: `folder * 2^32 + uid`. Null: it was moved or removed since an earlier request. */
  readonly placement: number | null;
  readonly messageId: string;
}

type Background = Pick<ExecutionContext, "waitUntil">;

/** Whoever comes over HTTP: where from is nobody's business. */
const CLIENT = { ip: "", helo: "", protocol: "HTTPS" } as const;

/** @param request what the caller calls it: its repeat sends nothing */
export async function sendWritten(
  env: Env,
  ctx: Background,
  user: User,
  written: WrittenMessage,
  request: string | null,
  now: number,
): Promise<Result<SentMessage, Problem>> {
  const author = await authorOf(env, user);
  if (!author) return err(NOBODY);
  const writing = await writingAs(env, author, written);
  if (!writing.ok) return writing;
  const { from, replyTo, bcc } = writing.value;
  const lists = [
    { field: "to", people: peopleOf(written.to) },
    { field: "cc", people: peopleOf(written.cc) },
    { field: "bcc", people: bcc },
  ];
  const recipients = recipientsOf(lists);
  if (!recipients.ok) return err(problemOfField(recipients.error));
  const files = await filesOf(env, user, written.attachments);
  if (!files.ok) return files;
  const thread = await threadOf(env, user, written.inReplyTo);
  if (!thread.ok) return thread;
  const messageId = `${ulid(now).toLowerCase()}@${author.domain.name}`;
  const { text, html, subject } = written;
  const letter: Letter = {
    from,
    to: peopleOf(written.to),
    cc: peopleOf(written.cc),
    replyTo,
    subject,
    ...(text === undefined ? {} : { text }),
    ...(html === undefined ? {} : { html }),
    attachments: files.value,
    references: thread.value.references,
    ...(thread.value.inReplyTo === undefined ? {} : { inReplyTo: thread.value.inReplyTo }),
    messageId,
    date: now,
  };
  const octets = await compose(letter);
  const source = { size: octets.length, chunks: once(octets) };
  const envelope = { from: from.address, recipients: recipients.value, body: "7BIT" } as const;
  const smtputf8 = needsSmtpUtf8([from.address, ...recipients.value], readHeader(octets));
  const sent = await hand(env, ctx, user, author, { ...envelope, smtputf8 }, source, request, now);
  if (sent.ok && sent.value.isNew && thread.value.placement !== null) {
    await markAnswered(env, user, thread.value.placement);
  }
  return sent;
}

interface Writing {
  readonly from: Addressee;
  readonly replyTo: readonly Addressee[];
  readonly bcc: readonly Addressee[];
}

/**
 * Under the identity that is named, or the default one where nothing is; what the message itself says goes before it. Signatures
 * are the client's to put in: a person has seen what they send.
 */
async function writingAs(
  env: Env,
  author: Author,
  { from: written, identity: id, replyTo, bcc }: WrittenMessage,
): Promise<Result<Writing, Problem>> {
  const said = { replyTo: peopleOf(replyTo), bcc: peopleOf(bcc) };
  if (written !== undefined) {
    if (id !== undefined) return err(invalid("identity", "say either this or `from`"));
    const [from, ...others] = peopleOf([written]);
    if (!from || others.length > 0) return err(invalid("from", "must be one address"));
    return author.owns(from.address) ? ok({ ...said, from }) : err(invalid("from", notOwn(from.address)));
  }
  const identity = id === undefined ? await defaultIdentity(env, author) : await findIdentity(env, author, id);
  if (!identity) return err(invalid("identity", "names no identity of your mailbox"));
  return ok({
    from: { name: identity.name, address: identity.email },
    replyTo: said.replyTo.length > 0 ? said.replyTo : identity.replyTo,
    bcc: [...said.bcc, ...identity.bcc],
  });
}

/** A whole message (RFC 5322); whom it goes to stands in its To, Cc and Bcc. */
export async function sendWhole(
  env: Env,
  ctx: Background,
  user: User,
  source: MessageSource,
  request: string | null,
  now: number,
): Promise<Result<SentMessage, Problem>> {
  const author = await authorOf(env, user);
  if (!author) return err(NOBODY);
  try {
    const { header, ...message } = await prepare(source, `${ulid(now).toLowerCase()}@${author.domain.name}`, now);
    if (!header.complete) return err(invalid("", "The header of the message is too long, or has no end."));
    const from = senderOf(author, header);
    if (!from.ok) return err(problemOfField(from.error));
    const recipients = recipientsIn(header);
    if (!recipients.ok) return err(problemOfField(recipients.error));
    const smtputf8 = needsSmtpUtf8([from.value, ...recipients.value], header);
    const envelope = { from: from.value, recipients: recipients.value, body: "8BITMIME", smtputf8 } as const;
    return await hand(env, ctx, user, author, envelope, message, request, now);
  } catch (error) {
    if (error instanceof LineEndsError) {
      return err(invalid("", "The lines of a message of this size have to end in CRLF (RFC 5322 §2.1)."));
    }
    if (error instanceof SizeMismatchError) return err(invalid("", `The body is not the message: ${error.message}.`));
    throw error;
  }
}

interface Envelope {
  readonly from: string;
  readonly recipients: readonly string[];
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
}

async function hand(
  env: Env,
  ctx: Background,
  user: User,
  { writer, domain }: Author,
  envelope: Envelope,
  { size, chunks: octets }: MessageSource,
  request: string | null,
  now: number,
): Promise<Result<SentMessage, Problem>> {
  const named = request === null ? null : `key ${request}`;
  const submission = { domain: domain.name, writer, ...envelope, client: CLIENT, octets, size, request: named };
  const submitted = await submit(env, ctx, submission, now);
  if (!submitted.ok) return err(problemOfSubmission(submitted.error));
  const { mid, request: called } = submitted.value;
  const placed = await firstPlacement(shardDb(env, user.shard), writer.account, mid, onceOf(called));
  return ok({ ...submitted.value, placement: placed?.id ?? null, messageId: mid });
}

const STATUS: Readonly<Record<SubmitRefusal["reason"], ProblemStatus>> = {
  temporary: 503,
  busy: 503,
  rate: 429,
  stopped: 403,
  no_recipients: 422,
  too_many_recipients: 422,
  bad_recipient: 422,
  too_large: 413,
  loop: 422,
  no_way_out: 409,
  transport_rules: 422,
  unknown_domain: 404,
};

export function problemOfSubmission({ reason, detail }: Pick<SubmitRefusal, "reason" | "detail">): Problem {
  const status = STATUS[reason];
  return { status, code: reason, detail, ...(status === 503 ? { retryAfter: 5 } : {}) };
}

const problemOfField = ({ field, message }: FieldProblem): Problem => invalid(field, message);

const peopleOf = (written: readonly string[]): Addressee[] => written.flatMap((text) => mailboxes(text, null));

async function filesOf(env: Env, user: User, files: readonly WrittenFile[]): Promise<Result<AttachedFile[], Problem>> {
  const attached: AttachedFile[] = [];
  let room = MAX_COMPOSE_BYTES;
  for (const [index, { name, type, content, blob, contentId }] of files.entries()) {
    const field = `attachments.${index}`;
    const octets = blob === undefined ? decoded(content) : await octetsOfBlob(env, user, blob, room);
    if (!octets) return err(invalid(`${field}.${blob === undefined ? "content" : "blob"}`, whatIsWrong(blob)));
    room -= octets.length;
    if (room < 0)
      return err(invalid(field, `is too much: a message written in parts has at most ${MAX_COMPOSE_BYTES} octets`));
    attached.push({
      name,
      content: octets,
      ...(type === undefined ? {} : { type }),
      ...(contentId === undefined ? {} : { contentId }),
    });
  }
  return ok(attached);
}

const whatIsWrong = (blob: string | undefined): string =>
  blob === undefined
    ? "must be the file's octets in base64, or name them as a blob"
    : "names no octets of your mailbox, or too many";

function decoded(content: string | undefined): Uint8Array | null {
  const base64 = content !== undefined && /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(content);
  return base64 ? Buffer.from(content, "base64") : null;
}

async function octetsOfBlob(env: Env, user: User, blob: string, room: number): Promise<Uint8Array | null> {
  const name = readBlobId(blob);
  const found = name && (await findBlob(mailboxOf(env, user), name));
  if (!found || found.size > room) return null;
  const body = await found.open();
  const pieces: Uint8Array[] = [];
  await within(gather(body, pieces), STORE_TIMEOUT, "R2 read");
  return joined(pieces);
}

async function gather(body: ReadableStream<Uint8Array>, pieces: Uint8Array[]): Promise<void> {
  for await (const piece of body) pieces.push(piece);
}

interface Thread {
  readonly inReplyTo?: string;
  readonly references: readonly string[];
  /** Of the message that it answers, where it is in the mailbox. */
  readonly placement: number | null;
}

/** RFC 5322 §3.6.4. */
async function threadOf(env: Env, user: User, answered: string | undefined): Promise<Result<Thread, Problem>> {
  if (answered === undefined) return ok({ references: [], placement: null });
  if (answered.includes("@")) {
    const id = answered.trim().replace(/^<(.*)>$/, "$1");
    if (/^[^\s<>]+@[^\s<>]+$/.test(id)) return ok({ inReplyTo: id, references: [id], placement: null });
  }
  const number = messageNumber(answered);
  const message = number > 0 ? await readMessage(mailboxOf(env, user), number) : null;
  if (!message) return err(invalid("inReplyTo", "names no message of your mailbox, and is no Message-ID"));
  const { messageId, references } = message.meta;
  if (messageId === undefined) return ok({ references: [], placement: message.id });
  const all = [...references, messageId].slice(-MAX_THREAD_REFERENCES);
  return ok({ inReplyTo: messageId, references: all, placement: message.id });
}

/** The answer is on its way: where it cannot be marked, it is answered all the same. */
async function markAnswered(env: Env, user: User, placement: number): Promise<void> {
  try {
    await markMessages(mailboxOf(env, user), [placement], { add: ANSWERED, remove: 0 });
  } catch (error) {
    console.warn("a message was answered and is not marked so", String(error));
  }
}

/** What has become of a message that was sent from here, recipient by recipient; null where it was not, or longer ago. */
export async function deliveryOf(env: Env, user: User, message: PlacedMessage): Promise<OutgoingRecipient[] | null> {
  const request = await requestOfMessage(shardDb(env, user.shard), user.mailbox, message.message);
  if (request === null) return null;
  // What was sent before a move is finished where it was begun.
  for (const { db } of await shardsInUse(env)) {
    const found = await findOutgoing(db, user.mailbox, request);
    if (found) return recipientsOfRow(db, found.id);
  }
  return null;
}
