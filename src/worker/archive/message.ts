/**
 * A message taken apart while its octets go by: its header, its text, its structure, and what came with it, of which the octets
 * are counted and not kept. Memory is the text's, up to a limit, however large the message is.
 */
import PostalMime, { type Email } from "postal-mime";
import { MAX_HEADER_BYTES } from "../../core/limits.ts";
import { attachedParts, isText } from "../../core/mime/attached.ts";
import { headerInUtf8, textOf } from "../../core/mime/charset.ts";
import { nameOf } from "../../core/mime/fields.ts";
import { joined } from "../../core/mime/joined.ts";
import type { Part } from "../../core/mime/parts.ts";
import type { Structure } from "../../core/mime/structure.ts";
import { type DecodedSink, StructureReader } from "../../core/mime/structure-reader.ts";

import { htmlToText, textToHtml } from "./html-text.ts";

export interface ReadAttachment {
  readonly name: string;
  readonly type: string;
  /** Octets, decoded. */
  readonly size: number;
  readonly inline: boolean;
  /** Without angle brackets. */
  readonly contentId: string | null;
}

export interface ReadMessage {
  /** Its fields, and what the well-known ones say. */
  readonly header: Email;
  readonly text: string;
  /** Null where all of it is plain text. */
  readonly html: string | null;
  readonly attachments: readonly ReadAttachment[];
  readonly structure: Structure;
  /** Of a report (RFC 6522 §3): the header of the message that it brings back, or of as much of it as it brings. */
  readonly returned: Email | null;
  /** Something was left out: text beyond the limit, or parts that were too many or too deep. */
  readonly partial: boolean;
}

/** Either or both of the kinds in which one piece of the body is there. */
interface Slot {
  readonly plain: TextPart[];
  readonly html: TextPart[];
  /** The root of a message within the message, that begins here. */
  heading: Part | null;
}

interface TextPart {
  readonly part: Part;
  pieces: Uint8Array[];
  /** There was more than there was room for. */
  cut: boolean;
}

/**
 * @param octets once, from the first on
 * @param maxText octets of text that are kept, over all parts
 * @throws only what reading the octets throws
 */
export async function readMessage(
  octets: Uint8Array | AsyncIterable<Uint8Array>,
  maxText: number,
): Promise<ReadMessage> {
  const collector = new Collector(maxText);
  const reader = new StructureReader(collector);
  for await (const chunk of octets instanceof Uint8Array ? [octets] : octets) reader.push(chunk);
  return collector.finish(reader.end());
}

class Collector implements DecodedSink {
  #room: number;
  #cut = false;
  #root: Part | null = null;
  readonly #slots: Slot[] = [];
  readonly #alternatives = new Map<Part, Slot>();
  readonly #texts = new Map<Part, TextPart>();
  /** A message that is handed out whole: what is in it is not this message's text. */
  #apart: Part | null = null;
  /** Of what a report brings back: its message, or the header alone with its octets so far. */
  #returned: { readonly part: Part; readonly header: Uint8Array[]; size: number } | null = null;

  constructor(maxText: number) {
    this.#room = maxText;
  }

  open(part: Part): void {
    this.#root ??= part;
    if (isBroughtBack(part)) this.#returned ??= { part, header: [], size: 0 };
    if (this.#apart) return;
    const { parent } = part;
    // What stood before its first part is not meant for readers (RFC 2046 §5.1.1).
    if (parent?.kind === "multipart") this.#forget(parent);
    if (parent?.kind === "message") this.#slots.push({ plain: [], html: [], heading: part });
    if (part.kind === "message" && part.apart) this.#apart = part;
    if (part.kind === "message" || !mayBeText(part)) return;
    const text: TextPart = { part, pieces: [], cut: false };
    this.#texts.set(part, text);
    this.#slotOf(part)[part.type.value === "text/html" ? "html" : "plain"].push(text);
  }

  decoded(part: Part, octets: Uint8Array): void {
    if (this.#returned?.part === part) this.#keepReturned(this.#returned, octets);
    const text = this.#texts.get(part);
    if (!text) return;
    if (this.#room > 0) this.#keep(text, octets);
    else text.cut = this.#cut = true;
  }

  close(part: Part): void {
    if (part === this.#apart) this.#apart = null;
    // A multipart that has no part at all: what is there is its text; without any, it is nothing.
    if (part.kind === "multipart" && this.#texts.get(part)?.pieces.length === 0) this.#forget(part);
  }

  async finish(structure: Structure): Promise<ReadMessage> {
    const hint = this.#charset();
    const header = await PostalMime.parse(headerOf(this.#root, hint));
    const rendered: { plain: string | null; html: string | null }[] = [];
    for (const slot of this.#slots) {
      if (slot.heading) rendered.push(await headingOf(slot.heading, hint));
      const plain = await textsOf(slot.plain);
      const html = await textsOf(slot.html);
      if (plain !== null || html !== null) rendered.push({ plain, html });
    }
    return {
      header,
      // An empty alternative says nothing: then what the other says is the text.
      text: rendered
        .map(({ plain, html }) => (plain?.trim() || html === null ? (plain ?? "") : htmlToText(html)))
        .join("\n"),
      html: rendered.some(({ html }) => html !== null)
        ? rendered.map(({ plain, html }) => html ?? textToHtml(plain ?? "")).join("\n")
        : null,
      attachments: readAttachments(structure),
      structure,
      returned: this.#returned && (await PostalMime.parse(returnedHeader(this.#returned, hint))),
      partial: structure.partial || this.#cut,
    };
  }

  #keepReturned(returned: { readonly header: Uint8Array[]; size: number }, octets: Uint8Array): void {
    const kept = octets.slice(0, MAX_HEADER_BYTES - returned.size);
    returned.size += kept.length;
    if (kept.length > 0) returned.header.push(kept);
  }

  /** Where a text stands: with the other kinds of its alternative (RFC 2046 §5.1.4), else alone. */
  #slotOf(part: Part): Slot {
    const alternative = alternativeOf(part);
    const known = alternative && this.#alternatives.get(alternative);
    if (known) return known;
    const slot: Slot = { plain: [], html: [], heading: null };
    this.#slots.push(slot);
    if (alternative) this.#alternatives.set(alternative, slot);
    return slot;
  }

  #keep(text: TextPart, octets: Uint8Array): void {
    const kept = octets.slice(0, this.#room);
    if (kept.length < octets.length) text.cut = this.#cut = true;
    this.#room -= kept.length;
    if (kept.length > 0) text.pieces.push(kept);
  }

  #forget(part: Part): void {
    const text = this.#texts.get(part);
    if (!text) return;
    this.#room += text.pieces.reduce((sum, piece) => sum + piece.length, 0);
    text.pieces = [];
    this.#texts.delete(part);
    for (const slot of this.#slots) {
      const at = slot.plain.indexOf(text);
      if (at !== -1) slot.plain.splice(at, 1);
    }
  }

  /** The first that is declared: what a header without one is most likely in. */
  #charset(): string | undefined {
    const parts = [...(this.#root ? [this.#root] : []), ...this.#texts.keys()];
    return parts.map((part) => part.type.parameters.get("charset")).find((label) => label !== undefined);
  }
}

/** A multipart without a boundary, and what is too deep, is shown as it stands. */
function mayBeText({ kind, type, disposition }: Part): boolean {
  if (kind === "multipart") return disposition.value !== "attachment";
  const [main = "", subtype = ""] = type.value.split("/", 2);
  return main === "multipart" ? isText("text", "plain", disposition.value) : isText(main, subtype, disposition.value);
}

/** The root of the message that a report has within it, or the header of it (RFC 6522 §3 and §4). */
function isBroughtBack({ kind, parent, type }: Part): boolean {
  if (parent?.kind === "message") return parent.parent?.type.value === "multipart/report";
  return kind === "leaf" && parent?.type.value === "multipart/report" && HEADER_ALONE.has(type.value);
}

/** RFC 6522 §4, RFC 6533 §6.3. */
const HEADER_ALONE = new Set(["text/rfc822-headers", "message/global-headers"]);

/** The nearest multipart/alternative around it, within its own message. */
function alternativeOf(part: Part): Part | null {
  for (let around = part.parent; around?.kind === "multipart"; around = around.parent)
    if (around.type.value === "multipart/alternative") return around;
  return null;
}

async function textsOf(texts: readonly TextPart[]): Promise<string | null> {
  if (texts.length === 0) return null;
  const read: string[] = [];
  for (const { part, pieces, cut } of texts) read.push(await textOf(part.type, joined(pieces), cut));
  return read.join("\n");
}

const END_OF_HEADER = new TextEncoder().encode("\r\n\r\n");

function headerOf(part: Part | null, hint: string | undefined): Uint8Array<ArrayBuffer> {
  return part ? joined([headerInUtf8(part.header, hint), END_OF_HEADER]) : joined([]);
}

function returnedHeader(
  { part, header }: { readonly part: Part; readonly header: readonly Uint8Array[] },
  hint: string | undefined,
): Uint8Array<ArrayBuffer> {
  if (part.parent?.kind === "message") return headerOf(part, hint);
  return joined([headerInUtf8(joined(header), hint), END_OF_HEADER]);
}

/** Who wrote the message within the message, and about what. */
async function headingOf(part: Part, hint: string | undefined): Promise<{ plain: string; html: null }> {
  const { from, subject, date } = await PostalMime.parse(headerOf(part, hint));
  const sender = from?.address === undefined ? (from?.name ?? "") : `${from.name} <${from.address}>`.trim();
  const lines = [
    ...(sender === "" ? [] : [`From: ${sender}`]),
    ...(subject === undefined ? [] : [`Subject: ${subject}`]),
    ...(date === undefined ? [] : [`Date: ${date}`]),
  ];
  return { plain: `\n----------\n${lines.map((line) => `${line}\n`).join("")}\n`, html: null };
}

/** What came with it, as `attachedParts` numbers it. */
function readAttachments(structure: Structure): ReadAttachment[] {
  return attachedParts(structure).map(({ part, inline }) => ({
    name: nameOf(part, structure.charset) ?? "",
    type: `${part.type}/${part.subtype}`,
    size: part.size,
    inline,
    contentId: part.id?.replace(/^<|>$/g, "") ?? null,
  }));
}
