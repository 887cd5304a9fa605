/** What came to a journal address: a report with the message in it, or the message itself. */

import { parseJournalReport } from "../../core/journal/report.ts";
import { findWrapped } from "../../core/journal/wrapped.ts";
import { MAX_HEADER_BYTES } from "../../core/limits.ts";
import { mailboxes } from "../../core/mime/addresses.ts";
import { textOf } from "../../core/mime/charset.ts";
import { type Header, readHeader } from "../../core/mime/header.ts";
import { joined } from "../../core/mime/joined.ts";
import type { Part } from "../../core/mime/parts.ts";
import type { PartStructure, Structure } from "../../core/mime/structure.ts";
import { StructureReader } from "../../core/mime/structure-reader.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { MAX_JOURNAL_TEXT_BYTES } from "../../core/send/limits.ts";
import { once } from "../archive/octets.ts";
import { partOctets } from "../archive/structure.ts";
import type { Content } from "../receive/content.ts";

/** A message that somebody sent, and to whom. */
export interface Journalled {
  /** Whose it is: the sender, and on whose behalf. As they were written. */
  readonly authors: readonly string[];
  readonly recipients: readonly string[];
  readonly size: number;
  readonly header: Header;
  /** Its octets, as often as they are asked for. */
  open(): AsyncIterable<Uint8Array>;
}

/** The structure of what goes by, and the text of its first part. */
export class ReportReader {
  readonly #reader: StructureReader;
  readonly #text: Uint8Array[] = [];
  #first: Part | null = null;
  #length = 0;

  constructor() {
    this.#reader = new StructureReader({
      open: (part) => {
        if (part.parent && !part.parent.parent && part.kind === "leaf") this.#first ??= part;
      },
      decoded: (part, octets) => {
        if (part !== this.#first || this.#length > MAX_JOURNAL_TEXT_BYTES) return;
        // The reader's memory is its own.
        this.#text.push(octets.slice());
        this.#length += octets.length;
      },
      close: () => undefined,
    });
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(chunk);
  }

  /** To be called once, after the last octet. */
  async end(): Promise<{ readonly structure: Structure; readonly text: string }> {
    const structure = this.#reader.end();
    const text = this.#first ? await textOf(this.#first.type, joined(this.#text), false) : "";
    return { structure, text };
  }
}

/**
 * @param whole the octets of the report, where they are held; else they are read from the store
 * @returns what is wrong with it, in words for an administrator
 */
export async function readReport(
  { structure, text }: { readonly structure: Structure; readonly text: string },
  whole: Uint8Array | null,
  stored: { readonly bucket: R2Bucket; readonly key: string },
): Promise<Result<Journalled, string>> {
  const wrapped = findWrapped(structure);
  if (!wrapped.ok) return wrapped;
  const report = parseJournalReport(text);
  if (!report.ok) return report;
  const { message } = wrapped.value;
  const open = () => (whole ? once(decoded(whole, message)) : partOctets(stored.bucket, stored.key, message));
  const { sender, onBehalfOf, recipients } = report.value;
  const header = await headerOf(open());
  if (header.fields.length === 0) return err("the message attached to it has no header");
  return ok({ authors: [sender, onBehalfOf ?? ""].filter(Boolean), recipients, size: message.size, header, open });
}

/** The message itself: who sent it and to whom stands in its header, as far as it does. */
export function readCopy({ header, size }: Content, open: () => AsyncIterable<Uint8Array>): Journalled {
  const named = (...names: readonly string[]) =>
    header.fields
      .filter(({ name }) => names.includes(name))
      .flatMap(({ value }) => mailboxes(value, null))
      .map(({ address }) => address);
  return { authors: named("from"), recipients: named("to", "cc"), size, header, open };
}

function decoded(whole: Uint8Array, { kind, encoding, bodyFrom, bodyTo }: PartStructure): Uint8Array {
  const octets = whole.subarray(bodyFrom, bodyTo);
  const decoder = transferDecoder(kind === "leaf" ? (encoding ?? "") : "");
  return decoder.isIdentity ? octets : joined([decoder.decode(octets).slice(), decoder.end()]);
}

async function headerOf(octets: AsyncIterable<Uint8Array>): Promise<Header> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let header = readHeader(new Uint8Array(0));
  for await (const piece of octets) {
    pieces.push(piece);
    length += piece.length;
    header = readHeader(joined(pieces));
    if (header.complete || length >= MAX_HEADER_BYTES) break;
  }
  return header;
}
