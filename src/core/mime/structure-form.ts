/**
 * The structure of a message as JSON, as the index keeps it: names of one letter, and nothing that can be told from the rest.
 * The first field is the version; a form of another version is none, and its message is read anew.
 */
import { MAX_STRUCTURE } from "../limits.ts";
import type { Disposition, Envelope, MessageStructure, Parameter, PartStructure, Structure } from "./structure.ts";

const VERSION = 1;

/** Letters of an envelope's fields. */
const ONCE = { d: "date", s: "subject", m: "messageId", i: "inReplyTo" } as const;
const ADDRESSES = { f: "from", w: "sender", r: "replyTo", t: "to", c: "cc", b: "bcc" } as const;
/** Of a part's. */
const FIELDS = { i: "id", x: "description", e: "encoding", h: "md5", l: "language", u: "location" } as const;

/** Of `Envelope`: an address field that is there several times is a list. */
type EnvelopeForm = { [letter in keyof typeof ONCE]?: string } & {
  [letter in keyof typeof ADDRESSES]?: string | readonly string[];
};

interface PartForm extends Partial<Record<keyof typeof FIELDS, string>> {
  /** Absent: `text/plain`. */
  t?: string;
  /** Names and values in turn. */
  a?: readonly string[];
  /** Content-Disposition: its value, then as above. */
  d?: readonly string[];
  /** Octets: from the end of the part before, or the beginning of the body around it, to the header; header; body. */
  o: readonly [number, number, number];
  /** Line ends of the body. */
  n: number;
  /** Octets, decoded, where they are not those of the body. */
  z?: number;
  /** Of a multipart. */
  p?: readonly PartForm[];
  /** Of a message. */
  m?: readonly [EnvelopeForm, PartForm];
}

interface Form {
  readonly v: number;
  /** Octets of the message. */
  readonly z: number;
  readonly c?: string;
  /** 1: partial. */
  readonly l?: 1;
  readonly e: EnvelopeForm;
  readonly b: PartForm;
}

/** @returns JSON; null where it is longer than a row has room for (MAX_STRUCTURE) */
export function writeStructure(structure: Structure): string | null {
  const { size, charset, partial, envelope, body } = structure;
  const form: Form = {
    v: VERSION,
    z: size,
    e: envelopeForm(envelope),
    b: partForm(body, 0),
    ...(partial ? { l: 1 } : {}),
  };
  const json = JSON.stringify(form);
  // Only what is neither ASCII nor UTF-8 needs it; JSON leaves such characters as they are.
  const text = charset !== null && /[\x80-\xff]/.test(json) ? JSON.stringify({ ...form, c: charset }) : json;
  return text.length > MAX_STRUCTURE ? null : text;
}

/** @returns null where it is not of this version */
export function readStructure(json: string): Structure | null {
  const form = JSON.parse(json) as Form;
  if (form.v !== VERSION) return null;
  const message = messageOf(form.e, form.b, 0, "");
  return { ...message, size: form.z, charset: form.c ?? null, partial: form.l === 1 };
}

function envelopeForm(envelope: Envelope): EnvelopeForm {
  const form: Record<string, string | readonly string[]> = {};
  for (const [letter, name] of Object.entries(ONCE)) {
    const value = envelope[name];
    if (value !== undefined) form[letter] = value;
  }
  for (const [letter, name] of Object.entries(ADDRESSES)) {
    const values = envelope[name];
    const [only = ""] = values ?? [];
    if (values) form[letter] = values.length === 1 ? only : values;
  }
  return form;
}

function envelopeOf(form: EnvelopeForm): Envelope {
  const envelope: Record<string, string | readonly string[]> = {};
  for (const [letter, name] of entries(ONCE)) {
    const value = form[letter];
    if (value !== undefined) envelope[name] = value;
  }
  for (const [letter, name] of entries(ADDRESSES)) {
    const values = form[letter];
    if (values !== undefined) envelope[name] = typeof values === "string" ? [values] : values;
  }
  return envelope;
}

/** @param from where the body around it begins, or the part before it ends */
function partForm(part: PartStructure, from: number): PartForm {
  const { type, subtype, parameters, disposition, headerFrom, bodyFrom, bodyTo, lines, size, parts, message } = part;
  const form: PartForm = {
    o: [headerFrom - from, bodyFrom - headerFrom, bodyTo - bodyFrom],
    n: lines,
  };
  if (type !== "text" || subtype !== "plain") form.t = `${type}/${subtype}`;
  if (parameters.length > 0) form.a = parameters.flat();
  if (disposition) form.d = [disposition.value, ...disposition.parameters.flat()];
  for (const [letter, name] of entries(FIELDS)) {
    const value = part[name];
    if (value !== null) form[letter] = value;
  }
  if (size !== bodyTo - bodyFrom) form.z = size;
  if (part.kind === "multipart") {
    let end = bodyFrom;
    form.p = parts.map((one) => {
      const child = partForm(one, end);
      end = one.bodyTo;
      return child;
    });
  }
  if (message) form.m = [envelopeForm(message.envelope), partForm(message.body, bodyFrom)];
  return form;
}

function messageOf(envelope: EnvelopeForm, form: PartForm, from: number, path: string): MessageStructure {
  const body = partOf(form, from, form.p ? path : below(path, 1));
  return { envelope: envelopeOf(envelope), body };
}

function partOf(form: PartForm, from: number, path: string): PartStructure {
  const [before, header, octets] = form.o;
  const headerFrom = from + before;
  const bodyFrom = headerFrom + header;
  const bodyTo = bodyFrom + octets;
  const [type = "", subtype = ""] = (form.t ?? "text/plain").split("/", 2);
  let end = bodyFrom;
  const parts = (form.p ?? []).map((one, index) => {
    const child = partOf(one, end, below(path, index + 1));
    end = child.bodyTo;
    return child;
  });
  return {
    path,
    kind: form.p ? "multipart" : form.m ? "message" : "leaf",
    type,
    subtype,
    parameters: pairs(form.a ?? []),
    disposition: form.d ? dispositionOf(form.d) : null,
    id: form.i ?? null,
    description: form.x ?? null,
    encoding: form.e ?? null,
    md5: form.h ?? null,
    language: form.l ?? null,
    location: form.u ?? null,
    headerFrom,
    bodyFrom,
    bodyTo,
    lines: form.n,
    size: form.z ?? octets,
    parts,
    message: form.m ? messageOf(form.m[0], form.m[1], bodyFrom, path) : null,
  };
}

function dispositionOf([value = "", ...rest]: readonly string[]): Disposition {
  return { value, parameters: pairs(rest) };
}

function pairs(list: readonly string[]): Parameter[] {
  const parameters: Parameter[] = [];
  for (let at = 0; at < list.length; at += 2) parameters.push([list[at] ?? "", list[at + 1] ?? ""]);
  return parameters;
}

function below(path: string, number: number): string {
  return path === "" ? String(number) : `${path}.${number}`;
}

/** With their names' types. */
function entries<T extends Readonly<Record<string, string>>>(letters: T): [keyof T & string, T[keyof T & string]][] {
  return Object.entries(letters) as [keyof T & string, T[keyof T & string]][];
}
