/**
 * Octets by name (RFC 8620 §3.2, blobId): a message as it is stored, or one part of it, decoded. The name says account, message and
 * part, and is good in its own account alone.
 */

import { isSection } from "../../core/section.ts";
import { type OpenedOctets, partOf, wholeOf } from "../archive/read.ts";
import { messageOfAccount } from "../store/messages.ts";
import type { Mailbox } from "./contract.ts";

export interface BlobName {
  readonly account: number;
  /** The message's own number. */
  readonly message: number;
  /** Null: the whole message. */
  readonly section: string | null;
}

/** Letters, digits, `-` and `_`, as JMAP wants identifiers (RFC 8620 §1.2). */
export function blobId({ account, message, section }: BlobName): string {
  const part = section === null ? "" : `-${section.replaceAll(".", "_")}`;
  return `m${account.toString(36)}-${message.toString(36)}${part}`;
}

/** @returns null where it is no name of ours */
export function readBlobId(text: string): BlobName | null {
  const match = /^m([0-9a-z]{1,11})-([0-9a-z]{1,11})(?:-([0-9_]{1,500}))?$/.exec(text);
  if (!match) return null;
  const [, account = "", message = "", part] = match;
  const section = part?.replaceAll("_", ".") ?? null;
  if (section !== null && !isSection(section)) return null;
  return { account: Number.parseInt(account, 36), message: Number.parseInt(message, 36), section };
}

/** @returns null where there is none, or it is another account's */
export async function findBlob({ env, db, account }: Mailbox, name: BlobName): Promise<OpenedOctets | null> {
  if (name.account !== account) return null;
  const message = await messageOfAccount(db, account, name.message);
  if (!message) return null;
  return name.section === null ? wholeOf(env, message) : partOf(env, message, name.section);
}
