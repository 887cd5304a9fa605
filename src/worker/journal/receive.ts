/** Mail to a journal address: taken apart, kept for whom it is of, and kept aside where it cannot be read. Nobody's inbox has it. */
import type { Client } from "../../core/envelope.ts";
import { rangesOf } from "../../core/ip-range.ts";
import { journalSecret } from "../../core/journal/address.ts";
import { MAX_MESSAGE_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import type { Header } from "../../core/mime/header.ts";
import type { Reply } from "../../core/outcome.ts";
import { extract, NOTHING } from "../archive/extract.ts";
import { indexOn } from "../archive/index-on.ts";
import type { Receipt } from "../archive/meta.ts";
import { octetsOf, once } from "../archive/octets.ts";
import { newKey, type RawMetadata } from "../archive/raw.ts";
import { logEvent } from "../domain/ask.ts";
import type { Env } from "../env.ts";
import { sha256 } from "../identity/random-secret.ts";
import { type Content, openContent } from "../receive/content.ts";
import type { MailFrom, MessageSource } from "../receive/contract.ts";
import * as replies from "../receive/replies.ts";
import { discard, openStoreLeg } from "../receive/store-leg.ts";
import { within } from "../store/deadline.ts";
import { directory } from "../store/directory.ts";
import { findJournal, type KnownJournal } from "../store/journal-addresses.ts";
import { keepShares } from "./keep.ts";
import { type Journalled, ReportReader, readCopy, readReport } from "./read.ts";
import { sharesOf } from "./shares.ts";

const SHARD_OF_PANEL = 0;
const notFromThere: Reply = { code: 550, enhanced: "5.7.1", text: "This address takes no mail from your server" };

/** @returns null: it is no journal address of ours. @throws where the directory does not answer */
export async function journalOf(env: Env, to: string): Promise<KnownJournal | null> {
  const secret = journalSecret(to);
  return secret === null ? null : findJournal(directory(env), await sha256(secret));
}

/** At RCPT, where the sender's address is known by then. @returns why not, or null */
export function refusedSource({ sources }: KnownJournal, ip: string): Reply | null {
  if (sources.length === 0 || ip === "") return null;
  return rangesOf(ip).some((range) => sources.includes(range)) ? null : notFromThere;
}

export interface JournalMail {
  readonly env: Env;
  readonly ctx: Pick<ExecutionContext, "waitUntil">;
  readonly journal: KnownJournal;
  readonly client: Client;
  readonly mail: MailFrom;
}

/** @throws where the sender's connection breaks off: nothing was accepted then */
export async function receiveJournal(journalMail: JournalMail, source: MessageSource, now: number): Promise<Reply> {
  const { env, ctx, journal, client } = journalMail;
  if (source.size > MAX_MESSAGE_BYTES) return replies.tooLarge(MAX_MESSAGE_BYTES);
  const content = await openContent(source);
  // Email Routing tells the sender's address in the Received that it puts on top.
  const refused = refusedSource(journal, client.ip || sourceIn(content.header));
  if (refused || (journal.sources.length > 0 && client.ip === "" && sourceIn(content.header) === "")) {
    ctx.waitUntil(tell(journalMail, "journal_refused", { from: client.ip || sourceIn(content.header) }));
    return refused ?? notFromThere;
  }
  const { key, id } = newKey(now);
  const stored: Stored = { key, receipt: { id, at: now, host: env.HOSTNAME, client } };
  try {
    const message = await read(journalMail, content, stored);
    if (typeof message === "string") return await keepAside(journalMail, content, stored, message);
    try {
      return await keepFor(journalMail, message, stored);
    } finally {
      // What is kept was taken out of it.
      if (!content.whole) await discard(env.MAIL, key);
    }
  } catch (error) {
    console.error("a journalled message could not be stored, its sender keeps it", journal.domainName, String(error));
    return replies.notStored;
  }
}

interface Stored {
  readonly key: string;
  readonly receipt: Receipt;
}

/** @returns the message; or in words why it cannot be read. A large one is in R2 then, all of it */
async function read(journalMail: JournalMail, content: Content, stored: Stored): Promise<Journalled | string> {
  const { env, journal } = journalMail;
  const reader = journal.format === "reports" ? new ReportReader() : null;
  const { whole } = content;
  if (whole) reader?.push(whole);
  else await storeLarge(journalMail, content, stored, reader);
  const bucket = env.MAIL;
  if (!reader) return readCopy(content, () => (whole ? once(whole) : octetsOf(bucket, stored.key)));
  const report = await readReport(await reader.end(), whole, { bucket, key: stored.key });
  return report.ok ? report.value : report.error;
}

async function storeLarge(
  journalMail: JournalMail,
  content: Content,
  { key, receipt }: Stored,
  reader: ReportReader | null,
): Promise<void> {
  const leg = openStoreLeg(journalMail.env.MAIL, key, content.size, metadataOf(journalMail, receipt));
  try {
    for await (const chunk of content.chunks) {
      reader?.push(chunk);
      await leg.write(chunk);
    }
  } catch (error) {
    leg.abort();
    throw error;
  }
  const unstored = await leg.finish();
  if (unstored !== null) throw unstored;
}

async function keepFor({ env, journal }: JournalMail, message: Journalled, { receipt }: Stored): Promise<Reply> {
  // It came through us on its way to the customer's server, and was archived then.
  if (isFromUs(message.header, env.HOSTNAME)) return replies.accepted(receipt.id);
  const shares = await sharesOf(env, message, journal.domains);
  const { id: _, ...rest } = receipt;
  await keepShares({ env, message, domain: journal.domainName, receipt: rest }, shares);
  return replies.accepted(receipt.id);
}

/** Never lost: an administrator finds it in the archive of the domain, and the log says that there is something to look at. */
async function keepAside(
  journalMail: JournalMail,
  content: Content,
  { key, receipt }: Stored,
  why: string,
): Promise<Reply> {
  const { env, journal, mail, ctx } = journalMail;
  const { whole, size } = content;
  if (whole) {
    const leg = openStoreLeg(env.MAIL, key, size, metadataOf(journalMail, receipt));
    await leg.write(whole);
    const unstored = await leg.finish();
    if (unstored !== null) throw unstored;
  }
  const octets = whole ?? octetsOf(env.MAIL, key);
  // Whatever is wrong with it, it is kept.
  const extracted = await within(extract(octets, size), STORE_TIMEOUT, "reading a message").catch(() => NOTHING);
  const entry = {
    account: -journal.domain,
    domain: journal.domain,
    direction: "in",
    key,
    size,
    at: receipt.at,
    mid: receipt.id,
    once: "unreadable",
    extracted,
    receipt,
    envelope: { from: mail.from, to: asideOf(journal), body: mail.body, smtputf8: mail.smtputf8 },
  } as const;
  await indexOn(env, SHARD_OF_PANEL, [entry], false);
  ctx.waitUntil(tell(journalMail, "journal_unreadable", { id: receipt.id, key, why }));
  return replies.accepted(receipt.id);
}

/** The secret in the address is nobody's to read later. */
const asideOf = ({ domainName }: KnownJournal): string => `unreadable-journal@${domainName}`;

function metadataOf({ journal, mail }: JournalMail, receipt: Receipt): RawMetadata {
  const { from, body, smtputf8 } = mail;
  const recipients = [asideOf(journal)];
  return { receipt, direction: "in", domain: journal.domainName, from, recipients, body, smtputf8 };
}

function tell({ env, journal }: JournalMail, kind: string, data: Readonly<Record<string, unknown>>): Promise<void> {
  return logEvent(env, journal.domainName, { kind, actor: "journal", data: { ...data, journal: journal.id } });
}

function isFromUs(header: Header, host: string): boolean {
  const ours = `by ${host.toLowerCase()} (holdfast) `;
  const received = header.fields.filter(({ name }) => name === "received");
  return received.some(({ value }) => value.toLowerCase().replace(/\s+/g, " ").includes(ours));
}

/**
 * `from mail.example.org (192.0.2.7)`, `from mail ([192.0.2.7])`: empty where it says none. The last one: the first may be the name by
 * which the client called itself (RFC 5321 §4.1.3), `from [198.51.100.7] (192.0.2.7)`.
 */
function sourceIn(header: Header): string {
  const top = header.fields.find(({ name }) => name === "received")?.value ?? "";
  const before = top.split(/\sby\s/)[0] ?? "";
  return [...before.matchAll(ADDRESS)].at(-1)?.[1] ?? "";
}

const ADDRESS = /[([](?:IPv6:)?([0-9A-Fa-f:.]{3,45})[\])]/gi;
