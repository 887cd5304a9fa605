/**
 * Store before you accept, on the way out: the octets go to R2, then the queue's rows, the archive's and the copy in Sent into D1, in
 * one batch. Only then it is accepted. A request that is repeated is answered like the first.
 */
import { createHash } from "node:crypto";
import { ulid } from "ulidx";
import { parseAddress } from "../../core/address.ts";
import {
  INDEX_TIMEOUT,
  MAX_ENVELOPE_METADATA_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_RECEIVED_HEADERS,
  MAX_RECIPIENTS,
  STORE_TIMEOUT,
} from "../../core/limits.ts";
import { textForm } from "../../core/mime/fields.ts";
import { countReceived, type Header, messageIdOf } from "../../core/mime/header.ts";
import { err, ok } from "../../core/result.ts";
import { extract } from "../archive/extract.ts";
import { type IndexEntry, indexing, indexMessage } from "../archive/index.ts";
import type { Extracted, Receipt } from "../archive/meta.ts";
import { octetsOf } from "../archive/octets.ts";
import { newKey, recipientOctets } from "../archive/raw.ts";
import type { Env } from "../env.ts";
import { openSecret } from "../identity/secret.ts";
import { telling } from "../push/tell.ts";
import { type Content, openContent, SizeMismatchError } from "../receive/content.ts";
import { admit } from "../receive/memory.ts";
import { discard, openStoreLeg } from "../receive/store-leg.ts";
import { within } from "../store/deadline.ts";
import { hasMoved, whereNow } from "../store/moved.ts";
import { findOutgoing, type NewOutgoing, onceOf, queueStatements } from "../store/outgoing.ts";
import { type SendingDomain, sendingDomain } from "../store/outgoing-settings.ts";
import { shardDb } from "../store/shard.ts";
import { askOutbound, takeBackOutbound, wakeOutbound } from "./ask.ts";
import type { OutgoingFacts, Submission, SubmitRefusal, SubmitResult, Writer } from "./contract.ts";
import { DkimSigner, isToBeSigned } from "./dkim.ts";
import { limitsOf, whoOf } from "./rates.ts";
import { whyNotOut } from "./way-out.ts";

const SHARD_OF_PANEL = 0;
const MAX_SUBJECT = 500;

/** @param now unix milliseconds. Never rejects, but where the octets break off: then nothing was accepted */
export async function submit(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  submission: Submission,
  now: number,
): Promise<SubmitResult> {
  const wrong = whatIsWrong(submission);
  if (wrong) return err(wrong);
  const giveBack = admit(submission.size);
  if (!giveBack) return err(refusal("busy", "Too much mail is under way; try again in a moment."));
  try {
    return await take(env, ctx, submission, now);
  } catch (error) {
    if (error instanceof SizeMismatchError) throw error;
    console.error("a message could not be queued, its sender keeps it", submission.domain, String(error));
    return err(refusal("temporary", "The message could not be stored. Nothing was sent; try again."));
  } finally {
    giveBack();
  }
}

const refusal = (reason: SubmitRefusal["reason"], detail: string): SubmitRefusal => ({ reason, detail });

function whatIsWrong({ from, recipients, size }: Submission): SubmitRefusal | null {
  if (recipients.length === 0) return refusal("no_recipients", "The message has no recipients.");
  const octets = recipients.reduce((sum, to) => sum + recipientOctets(to), 0);
  if (recipients.length > MAX_RECIPIENTS || octets > MAX_ENVELOPE_METADATA_BYTES) {
    const detail = `At most ${MAX_RECIPIENTS} recipients at once, or fewer with long addresses: send the message again to the others.`;
    return refusal("too_many_recipients", detail);
  }
  for (const recipient of [...recipients, ...(from === "" ? [] : [from])]) {
    if (parseAddress(recipient).ok) continue;
    return { ...refusal("bad_recipient", `${JSON.stringify(recipient)} is not an address.`), recipient };
  }
  if (size > MAX_MESSAGE_BYTES) return refusal("too_large", `A message has at most ${MAX_MESSAGE_BYTES} octets.`);
  return null;
}

async function take(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  submission: Submission,
  now: number,
): Promise<SubmitResult> {
  const content = await openContent({ size: submission.size, chunks: submission.octets });
  const { header } = content;
  if (countReceived(header) > MAX_RECEIVED_HEADERS) return err(refusal("loop", "The message goes in a circle."));
  const domain = await sendingDomain(env.DIRECTORY, submission.domain);
  if (!domain) return err(refusal("unknown_domain", `There is no domain ${submission.domain}.`));
  const hindered = await whyNotOut(env, domain, submission, header);
  if (hindered) return err(hindered);
  const place = placeOf(submission.writer, domain);
  const named = submission.request ?? (content.whole ? nameOf(submission, content) : null);
  const before = named === null ? null : await findOutgoing(shardDb(env, place.shard), place.account, named);
  if (before) {
    // Whoever took it may have died before it could say so.
    ctx.waitUntil(wakeOutbound(env, domain));
    return ok({ id: before.facts.receipt.id, isNew: false, request: before.request, mid: before.mid });
  }

  const who = whoOf(submission.writer);
  const { recipients } = submission;
  const { name, id } = domain;
  const counted = { who, writer: calledOf(submission), recipients: recipients.length, limits: limitsOf(domain) };
  const admitted = await askOutbound(env, domain, (object) => object.admit({ name, id, ...counted }));
  if (admitted) return err(admitted);
  try {
    return await keep(env, ctx, submission, { content, domain, place, named }, now);
  } catch (error) {
    // What was not taken does not count: a program that comes again each minute while a store fails would be stopped as a spammer.
    if (who !== null) ctx.waitUntil(takeBackOutbound(env, domain, { who, recipients: recipients.length }));
    throw error;
  }
}

interface Admitted {
  readonly content: Content;
  readonly domain: SendingDomain;
  readonly place: { readonly account: number; readonly shard: number };
  /** What the request is called, where that is known before all of it was read. */
  readonly named: string | null;
}

/** Octets, then rows. @throws where either was not stored */
async function keep(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  submission: Submission,
  { content, domain, place, named }: Admitted,
  now: number,
): Promise<SubmitResult> {
  const { header } = content;
  const { key, id } = newKey(now);
  const receipt: Receipt = { id, at: now, host: env.HOSTNAME, client: submission.client };
  const signature = await store(env, submission, domain, content, key, receipt);
  const request = named ?? nameOf(submission, content) ?? ulid(now);
  const mid = messageIdOf(header) ?? id;
  const facts: OutgoingFacts = {
    receipt,
    body: submission.body,
    smtputf8: submission.smtputf8,
    writer: calledOf(submission),
    ...(signature === null ? {} : { signature }),
    ...(messageIdOf(header) === null ? {} : { messageId: mid }),
  };
  const message = {
    domain: domain.id,
    account: place.account,
    request,
    mid,
    key,
    size: submission.size,
    sender: submission.from,
    subject: subjectOf(header),
    facts,
    createdAt: now,
    recipients: submission.recipients,
  };
  const isNew = await queue(env, submission, content, message, place.shard);
  if (!isNew) await discard(env.MAIL, key);
  ctx.waitUntil(wakeOutbound(env, domain));
  return ok({ id, isNew, request, mid });
}

/** Whoever sends, for people. */
const calledOf = ({ writer }: Submission): string => (writer.kind === "system" ? "system" : writer.name);

/** On whose shard, and under whose name, it is queued. */
function placeOf(writer: Writer, domain: SendingDomain): { readonly account: number; readonly shard: number } {
  if (writer.kind === "mailbox" || writer.kind === "automatic") return writer;
  const [first] = writer.kind === "relay" ? writer.archive : [];
  return first ?? { account: -domain.id, shard: SHARD_OF_PANEL };
}

/** The octets are in R2, or it throws. @returns the signature; null: nobody signs */
async function store(
  env: Env,
  submission: Submission,
  domain: SendingDomain,
  content: Content,
  key: string,
  receipt: Receipt,
): Promise<string | null> {
  const { from, recipients, body, smtputf8, size, writer } = submission;
  const facts = { receipt, direction: "out", domain: domain.name, from, recipients, body, smtputf8 } as const;
  const metadata = { ...facts, ...(isArchived(writer) ? {} : { archived: false as const }) };
  const signer = isForStranger(submission) ? null : await signerFor(env, domain, content.header);
  const leg = openStoreLeg(env.MAIL, key, size, metadata);
  try {
    for await (const chunk of content.chunks) await Promise.all([leg.write(chunk), signer?.update(chunk)]);
  } catch (error) {
    leg.abort();
    throw error;
  }
  const unstored = await leg.finish();
  if (unstored !== null) throw unstored;
  return signer ? await signer.finish() : null;
}

/**
 * Forwarded by a customer's server, under a sender that is nobody's here: its From may name the customer, and be a stranger's lie. Not
 * so `<>`: a server's own reports and absence notices have nothing but a signature to pass DMARC with.
 */
function isForStranger({ writer, from }: Submission): boolean {
  return writer.kind === "relay" && writer.others === true && from !== "";
}

async function signerFor(env: Env, { name, key }: SendingDomain, header: Header): Promise<DkimSigner | null> {
  if (!key || !isToBeSigned(header, name)) return null;
  const privateKey = await openSecret(env, key.encrypted, key.keyId);
  return new DkimSigner({ domain: name, selector: key.selector, privateKey }, header);
}

/** What makes two requests the same (design, rule 5): envelope, Message-ID and octets. Null: it is told from no other. */
function nameOf({ from, recipients }: Submission, content: Content): string | null {
  const mid = messageIdOf(content.header);
  if (mid === null) return null;
  const envelope = JSON.stringify([from, [...recipients].sort(), mid]);
  return createHash("sha256").update(envelope).update(content.digest()).digest("base64url");
}

function subjectOf(header: Header): string {
  const field = header.fields.find(({ name }) => name === "subject");
  return textForm(field?.value ?? "", null)
    .slice(0, MAX_SUBJECT)
    .toWellFormed();
}

/** Whether anybody keeps a copy. */
const isArchived = (writer: Writer): boolean =>
  writer.kind === "mailbox" || (writer.kind === "relay" && writer.archive.length > 0);

/** @returns false where an earlier request was the same */
async function queue(
  env: Env,
  { domain, writer }: Pick<Submission, "domain" | "writer">,
  content: Content,
  message: NewOutgoing,
  shard: number,
): Promise<boolean> {
  const extracted = isArchived(writer) ? await extractFrom(env, content, message.key) : null;
  try {
    return await queueOn(env, shard, domain, writer, extracted, message);
  } catch (error) {
    if (!hasMoved(error)) throw error;
  }
  const now = await whereNow(env, [message.account], shard);
  return queueOn(env, now.get(message.account) ?? shard, domain, writer, extracted, message);
}

async function queueOn(
  env: Env,
  shard: number,
  domain: string,
  writer: Writer,
  extracted: Extracted | null,
  message: NewOutgoing,
): Promise<boolean> {
  const db = shardDb(env, shard);
  const entries = extracted ? entriesFor(writer, extracted, message) : [];
  // Whose rows are elsewhere have theirs first: a request that fails after it is repeated, and finds them.
  for (const [other, theirs] of Map.groupBy(entries, (one) => one.shard)) {
    if (other === shard || writer.kind === "mailbox") continue;
    const batch = indexMessage(
      shardDb(env, other),
      theirs.map(({ entry }) => entry),
      { portal: false },
    );
    await within(batch, INDEX_TIMEOUT, "D1 batch of an outgoing message");
  }
  const here = entries.filter((one) => one.shard === shard || writer.kind === "mailbox").map(({ entry }) => entry);
  const portal = writer.kind === "mailbox" ? "sent" : false;
  const index = here.length > 0 ? indexing(db, here, { portal }) : null;
  const first = queueStatements(db, message);
  const write = async () => {
    const batch = db.batch<{ key: string; seq?: number }>([...first, ...(index?.statements ?? [])]);
    const results = await within(batch, INDEX_TIMEOUT, "D1 batch of an outgoing message");
    const rows = index?.indexed(results.slice(first.length)) ?? [];
    const states = rows.flatMap(({ account, seq }) => (seq === undefined ? [] : [{ account, seq }]));
    return { value: (results[0]?.meta.changes ?? 0) > 0, states };
  };
  // Those who watch the mailbox hear of its copy in Sent.
  return writer.kind === "mailbox" ? telling(env, domain, [writer.account], write) : (await write()).value;
}

function entriesFor(
  writer: Writer,
  extracted: Extracted,
  message: NewOutgoing,
): { readonly shard: number; readonly entry: IndexEntry }[] {
  const { domain, key, size, mid, request, sender, recipients, facts, createdAt } = message;
  const { receipt, body, smtputf8 } = facts;
  const envelope = { from: sender, to: recipients[0] ?? "", body, smtputf8 };
  const common = { domain, direction: "out", key, size, at: createdAt, mid, once: onceOf(request), extracted } as const;
  const entry = { ...common, receipt, envelope, recipients };
  switch (writer.kind) {
    case "mailbox":
      return [{ shard: writer.shard, entry: { ...entry, account: writer.account, own: !writer.covered } }];
    case "relay":
      return writer.archive.map(({ account, shard }) => ({ shard, entry: { ...entry, account } }));
    case "automatic":
    case "system":
      return [];
  }
}

async function extractFrom(env: Env, content: Content, key: string): Promise<Extracted> {
  const octets = content.whole ?? octetsOf(env.MAIL, key);
  return within(extract(octets, content.size), STORE_TIMEOUT, "reading a message");
}
