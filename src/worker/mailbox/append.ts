/** A message that its owner puts into a folder: APPEND of IMAP, an import, a draft. It is no mail that came or went. */
import { ulid } from "ulidx";
import { INDEX_TIMEOUT, MAX_BUFFERED_BYTES, MAX_MESSAGE_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { extract } from "../archive/extract.ts";
import { placeMessage } from "../archive/index.ts";
import type { Receipt } from "../archive/meta.ts";
import { octetsOf } from "../archive/octets.ts";
import { deleteRaw, newKey, openRawWriter, putRaw, type RawMetadata } from "../archive/raw.ts";
import { within } from "../store/deadline.ts";
import { keywordsColumn } from "../store/flags.ts";
import { folderById } from "../store/folders.ts";
import { firstPlacement } from "../store/messages.ts";
import { type Mailbox, type Refusal, refusal, writing } from "./contract.ts";

export interface Appended {
  /** `folder * 2^32 + uid`. */
  readonly id: number;
  /** False: an earlier request of the same name had stored it. */
  readonly isNew: boolean;
}

export interface NewMessage {
  readonly folder: number;
  /** Exactly `size` of them. */
  readonly octets: AsyncIterable<Uint8Array>;
  readonly size: number;
  /** Bits, see store/flags.ts. */
  readonly flags: number;
  /** As core/keyword.ts reads them. */
  readonly keywords: readonly string[];
  /** INTERNALDATE, unix milliseconds; null: now. */
  readonly internalAt: number | null;
  /** What the caller calls this request: its repeat finds the message; null: a repeat stores it again. */
  readonly request: string | null;
  /** The number of the mailbox's domain. */
  readonly domainId: number;
}

/**
 * Stored before it is said so, and all or nothing: octets without their row are taken by the archive's rule.
 * @param now unix milliseconds
 * @throws where a store does not answer: the message may be there all the same, so its caller repeats the request by its name
 */
export async function appendMessage(
  mailbox: Mailbox,
  message: NewMessage,
  now: number,
): Promise<Result<Appended, Refusal>> {
  const { env, db, account } = mailbox;
  const { folder, size, request } = message;
  if (size > MAX_MESSAGE_BYTES) return err(refusal("too_large", `A message has at most ${MAX_MESSAGE_BYTES} octets.`));
  const into = await folderById(db, account, folder);
  if (!into) return err(refusal("no_folder"));
  if (into.role === "archive") return err(refusal("read_only"));
  const { key, id } = newKey(now);
  const receipt: Receipt = { id, at: now, host: env.HOSTNAME, client: { ip: "", helo: "", protocol: "APPEND" } };
  const whole = await store(env.MAIL, key, message, metadataFor(mailbox, receipt));
  const extracted = await within(extract(whole ?? octetsOf(env.MAIL, key), size), STORE_TIMEOUT, "reading a message");
  const names = { mid: extracted.messageId ?? request ?? id, once: `own ${request ?? ulid(now)}` };
  const { domainId: domain, flags, internalAt } = message;
  const envelope = { from: "", to: "", body: "8BITMIME", smtputf8: false } as const;
  const entry = {
    account,
    domain,
    direction: "in",
    own: true,
    key,
    size,
    at: now,
    ...names,
    extracted,
    receipt,
    envelope,
  } as const;
  const portal = { folder, flags, keywords: keywordsColumn(message.keywords), internalAt };
  const [indexed] = await writing(mailbox, () =>
    within(placeMessage(db, [entry], portal), INDEX_TIMEOUT, "D1 batch of an APPEND"),
  );
  if (indexed && !indexed.isNew && indexed.key !== key) await discard(env.MAIL, key);
  const placed = await firstPlacement(db, account, names.mid, names.once);
  if (!indexed || !placed) throw new Error("the index did not keep the message");
  if (placed.size !== size) return err(refusal("request_reused"));
  return ok({ id: placed.id, isNew: indexed.isNew });
}

/** Without recipients it is nobody's mail, whoever makes the index anew or mends it. */
function metadataFor({ domain }: Mailbox, receipt: Receipt): RawMetadata {
  return { receipt, direction: "in", domain, from: "", recipients: [], body: "8BITMIME", smtputf8: false };
}

/** @returns all of a small one; null: it was larger than what is held, and is read back */
async function store(
  bucket: R2Bucket,
  key: string,
  { octets, size }: NewMessage,
  metadata: RawMetadata,
): Promise<Uint8Array | null> {
  if (size <= MAX_BUFFERED_BYTES) {
    const whole = new Uint8Array(size);
    let at = 0;
    for await (const chunk of octets) {
      if (at + chunk.length > size) throw new Error(`more than ${size} octets came`);
      whole.set(chunk, at);
      at += chunk.length;
    }
    if (at !== size) throw new Error(`${at} octets came of ${size}`);
    await within(putRaw(bucket, key, whole, metadata), STORE_TIMEOUT, "R2 put");
    return whole;
  }
  const writer = openRawWriter(bucket, key, size, metadata);
  try {
    for await (const chunk of octets) await within(writer.write(chunk), STORE_TIMEOUT, "R2 put");
    await within(writer.finish(), STORE_TIMEOUT, "R2 put");
  } catch (error) {
    writer.abort();
    throw error;
  }
  return null;
}

/** They are spare: the first request's are there. A failure leaves them to the archive's rule. */
async function discard(bucket: R2Bucket, key: string): Promise<void> {
  try {
    await within(deleteRaw(bucket, key), STORE_TIMEOUT, "R2 delete");
  } catch (error) {
    console.warn("an unused object stays until the lifecycle rule takes it", key, String(error));
  }
}
