/** The structure of a message as its octets go by, and each part's octets out of their transfer encoding for who wants them. */
import { MAX_STRUCTURE_FIELDS } from "../limits.ts";
import type { StructuredField } from "./content-type.ts";
import type { HeaderField } from "./header.ts";
import { type Part, type PartEnd, PartReader, type PartSink } from "./parts.ts";
import type { Disposition, Envelope, Parameter, PartStructure, Structure } from "./structure.ts";
import { type TransferDecoder, transferDecoder } from "./transfer.ts";

export interface DecodedSink {
  /** A part begins: its header is whole. */
  open(part: Part): void;
  /** Octets of a leaf, decoded; of a multipart, what stands before its first part. May share memory. */
  decoded(part: Part, octets: Uint8Array): void;
  /** @param size octets of the body: decoded, but those of a multipart or a message as it stands */
  close(part: Part, size: number): void;
}

type Draft = { -readonly [name in keyof Omit<PartStructure, "parts" | "message">]: PartStructure[name] } & {
  readonly parts: Draft[];
  message: { readonly envelope: Envelope; readonly body: Draft } | null;
};

interface Open {
  readonly part: Part;
  readonly draft: Draft;
  readonly decoder: TransferDecoder;
}

export class StructureReader implements PartSink {
  readonly #sink: DecodedSink | null;
  readonly #reader = new PartReader(this);
  readonly #open: Open[] = [];
  #root: Draft["message"] = null;
  #size = 0;
  #fields = new FieldKeeper();
  #charset: string | null = null;

  constructor(sink: DecodedSink | null = null) {
    this.#sink = sink;
  }

  push(chunk: Uint8Array): void {
    this.#size += chunk.length;
    this.#reader.push(chunk);
  }

  /** To be called once, after the last octet. */
  end(): Structure {
    this.#reader.end();
    const root = this.#root;
    // The reader opens the message itself whatever its octets are.
    if (!root) throw new Error("a message without a body");
    numberMessage(root.body, "");
    return {
      ...root,
      size: this.#size,
      charset: this.#charset,
      partial: this.#reader.limited || this.#fields.full,
    };
  }

  open(part: Part): void {
    const draft = this.#draftOf(part);
    const around = this.#open.at(-1)?.draft;
    this.#charset ??= part.type.parameters.get("charset") ?? null;
    if (around?.kind === "multipart") around.parts.push(draft);
    else {
      const message = { envelope: this.#fields.envelope(part.fields), body: draft };
      if (around) around.message = message;
      else this.#root = message;
    }
    const decoder = transferDecoder(part.kind === "leaf" ? part.encoding : "");
    this.#open.push({ part, draft, decoder });
    this.#sink?.open(part);
  }

  body(part: Part, octets: Uint8Array): void {
    const open = this.#open.at(-1);
    if (open) this.#decoded(open, open.decoder.decode(octets), part);
  }

  close(part: Part, { bodyTo, lines }: PartEnd): void {
    const open = this.#open.pop();
    if (!open) return;
    this.#decoded(open, open.decoder.end(), part);
    const { draft } = open;
    draft.bodyTo = bodyTo;
    draft.lines = lines;
    if (draft.kind !== "leaf") draft.size = bodyTo - draft.bodyFrom;
    if (draft.kind === "multipart" && draft.parts.length === 0) {
      asText(draft);
      // It has been read as it stands.
      draft.encoding = null;
    }
    // One too many.
    if (draft.kind === "message" && !draft.message) draft.kind = "leaf";
    this.#sink?.close(part, draft.size);
  }

  #decoded({ draft }: Open, octets: Uint8Array, part: Part): void {
    if (octets.length === 0) return;
    draft.size += octets.length;
    this.#sink?.decoded(part, octets);
  }

  #draftOf(part: Part): Draft {
    const [type = "text", subtype = "plain"] = part.type.value.split("/", 2);
    const field = (name: string) => this.#fields.field(part.fields, name);
    const draft: Draft = {
      path: "",
      kind: part.kind,
      type,
      subtype,
      parameters: this.#fields.parameters(part.type),
      disposition: this.#fields.disposition(part.disposition),
      id: field("content-id"),
      description: field("content-description"),
      encoding: field("content-transfer-encoding"),
      md5: field("content-md5"),
      language: field("content-language"),
      location: field("content-location"),
      headerFrom: part.headerFrom,
      bodyFrom: part.bodyFrom,
      bodyTo: part.bodyFrom,
      lines: 0,
      size: 0,
      parts: [],
      message: null,
    };
    // No boundary, or too deep: it is shown as it stands.
    if (part.kind === "leaf" && type === "multipart") asText(draft);
    return draft;
  }
}

/** RFC 2045 §5.2: what a multipart cannot be is plain text. */
function asText(draft: Draft): void {
  draft.kind = "leaf";
  draft.type = "text";
  draft.subtype = "plain";
  draft.parameters = [];
}

/** Field bodies of one message, as many as there is room for. */
class FieldKeeper {
  #room = MAX_STRUCTURE_FIELDS;
  full = false;

  /** The first of that name. */
  field(fields: readonly HeaderField[], name: string): string | null {
    const value = fields.find((one) => one.name === name)?.value.trim();
    return value === undefined ? null : (this.#fitting([value])[0] ?? null);
  }

  parameters({ parameters }: StructuredField): readonly Parameter[] {
    return [...parameters].filter(([name, value]) => this.#fits(name.length + value.length));
  }

  disposition(field: StructuredField): Disposition | null {
    if (field.value === "" || !this.#fits(field.value.length)) return null;
    return { value: field.value, parameters: this.parameters(field) };
  }

  /** Of a field that is to be there once, the last (RFC 8621 §4.1.3). */
  envelope(fields: readonly HeaderField[]): Envelope {
    const all = (name: string) => {
      const values = fields.filter((one) => one.name === name).map(({ value }) => value.trim());
      return this.#fitting(values);
    };
    const last = (name: string) => all(name).at(-1);
    return present({
      date: last("date"),
      subject: last("subject"),
      from: several(all("from")),
      sender: several(all("sender")),
      replyTo: several(all("reply-to")),
      to: several(all("to")),
      cc: several(all("cc")),
      bcc: several(all("bcc")),
      inReplyTo: last("in-reply-to"),
      messageId: last("message-id"),
    });
  }

  #fitting(values: readonly string[]): string[] {
    return values.filter(({ length }) => this.#fits(length));
  }

  #fits(length: number): boolean {
    if (length > this.#room) {
      this.full = true;
      return false;
    }
    this.#room -= length;
    return true;
  }
}

function several(values: readonly string[]): readonly string[] | undefined {
  return values.length === 0 ? undefined : values;
}

type Present<T> = { [name in keyof T]?: Exclude<T[name], undefined> };

function present<T extends object>(all: T): Present<T> {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Present<T>;
}

/** @param path of the part that the message is in; empty for the message itself */
function numberMessage(body: Draft, path: string): void {
  if (body.kind === "multipart") numberParts(body, path);
  else numberPart(body, below(path, 1));
}

function numberParts(multipart: Draft, path: string): void {
  multipart.path = path;
  for (const [index, part] of multipart.parts.entries()) numberPart(part, below(path, index + 1));
}

function numberPart(part: Draft, path: string): void {
  part.path = path;
  if (part.kind === "multipart") numberParts(part, path);
  else if (part.message) numberMessage(part.message.body, path);
}

function below(path: string, number: number): string {
  return path === "" ? String(number) : `${path}.${number}`;
}

/** @param octets the whole message */
export function structureOf(octets: Uint8Array): Structure {
  const reader = new StructureReader();
  reader.push(octets);
  return reader.end();
}
