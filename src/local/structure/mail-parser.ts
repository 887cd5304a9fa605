/** What another parser has made of a message and left beside it as JSON (the format of stalwartlabs/mail-parser's tests). */
import { type Bodies, person, plainText, type Reading, type ReadLeaf } from "./reading.ts";

interface ContentType {
  readonly c_type: string;
  readonly c_subtype: string | null;
  readonly attributes: readonly { readonly name: string; readonly value: string }[] | null;
}

interface Addr {
  readonly name: string | null;
  readonly address: string | null;
}

type Value =
  | "Empty"
  | { readonly Text: string }
  | { readonly TextList: readonly string[] }
  | { readonly ContentType: ContentType }
  | { readonly Address: { readonly List: readonly Addr[] } | { readonly Group: readonly Group[] } }
  | { readonly DateTime: DateTime }
  | { readonly Received: unknown };

interface Group {
  readonly name: string | null;
  readonly addresses: readonly Addr[];
}

interface DateTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly tz_before_gmt: boolean;
  readonly tz_hour: number;
  readonly tz_minute: number;
}

interface Part {
  readonly headers: readonly { readonly name: string | { readonly other: string }; readonly value: Value }[];
  readonly body:
    | { readonly Text: string }
    | { readonly Html: string }
    | { readonly Binary: readonly number[] }
    | { readonly InlineBinary: readonly number[] }
    | { readonly Message: Message }
    | { readonly Multipart: readonly number[] };
  readonly encoding: string;
  readonly offset_body: number;
  readonly offset_end: number;
}

interface Message {
  readonly html_body: readonly number[];
  readonly text_body: readonly number[];
  readonly attachments: readonly number[];
  readonly parts: readonly Part[];
}

export function readMailParser(json: string): Reading {
  const message = JSON.parse(json) as Message;
  const [root] = message.parts;
  if (!root) throw new Error("there is no part");
  const walk: Walk = { leaves: [], places: new Map() };
  const tree = treeOf(message, root, 0, walk, null);
  const value = (name: string) => root.headers.filter((one) => one.name === name).at(-1)?.value ?? "Empty";
  return {
    subject: textOf(value("subject")),
    messageId: textOf(value("message_id")).trim(),
    date: dateOf(value("date")),
    from: peopleOf(value("from")),
    to: peopleOf(value("to")),
    cc: peopleOf(value("cc")),
    tree,
    leaves: walk.leaves,
    bodies: bodiesOf(message, walk),
  };
}

interface Walk {
  readonly leaves: ReadLeaf[];
  /** Of the message's own parts: the number of a part to its place. */
  readonly places: Map<number, number>;
}

/** @param outer the walk of the message itself, whose places count; null: it is this one */
function treeOf(
  message: Message,
  part: Part,
  number: number,
  walk: Walk,
  within: string | null,
  inner = false,
): string {
  const type = typeOf(part, within);
  const { body } = part;
  if ("Multipart" in body) {
    const parts = body.Multipart.map((one) => {
      const child = message.parts[one];
      return child ? treeOf(message, child, one, walk, type, inner) : "";
    });
    return `${type}(${parts.join(",")})`;
  }
  if (!inner) walk.places.set(number, walk.leaves.length);
  const size = sizeOf(part);
  const text = "Text" in body ? body.Text : "Html" in body ? body.Html : null;
  const isText = type.startsWith("text/");
  walk.leaves.push({ type, name: nameOf(part), size, text: text === null || !isText ? null : plainText(text) });
  if (!("Message" in body)) return type;
  const [root] = body.Message.parts;
  return root ? `${type}(${treeOf(body.Message, root, 0, walk, null, true)})` : type;
}

/** RFC 2045 §5.2, RFC 2046 §5.1.5, where it says none. */
function typeOf(part: Part, within: string | null): string {
  const declared = contentType(part, "content_type");
  if (declared) return `${declared.c_type}/${declared.c_subtype ?? ""}`.toLowerCase();
  return within === "multipart/digest" ? "message/rfc822" : "text/plain";
}

function contentType(part: Part, name: string): ContentType | null {
  const value = part.headers.filter((one) => one.name === name).at(-1)?.value;
  return value !== undefined && value !== "Empty" && "ContentType" in value ? value.ContentType : null;
}

function nameOf(part: Part): string | null {
  const of = (header: string, attribute: string) =>
    contentType(part, header)?.attributes?.find(({ name }) => name.toLowerCase() === attribute)?.value;
  return of("content_disposition", "filename") ?? of("content_type", "name") ?? null;
}

/** Of a text it has letters alone. */
function sizeOf({ body, offset_body, offset_end }: Part): number | null {
  if ("Binary" in body) return body.Binary.length;
  if ("InlineBinary" in body) return body.InlineBinary.length;
  return "Message" in body ? offset_end - offset_body : null;
}

/** Those that are multiparts have no place. */
function bodiesOf({ text_body, html_body, attachments }: Message, { places }: Walk): Bodies {
  const at = (numbers: readonly number[]) => numbers.map((number) => places.get(number) ?? -1);
  return { text: at(text_body), html: at(html_body), attached: at(attachments) };
}

function textOf(value: Value): string {
  if (value === "Empty") return "";
  if ("Text" in value) return value.Text;
  return "TextList" in value ? (value.TextList.at(-1) ?? "") : "";
}

function peopleOf(value: Value): string[] {
  if (value === "Empty" || !("Address" in value)) return [];
  const { Address } = value;
  const list = "List" in Address ? Address.List : Address.Group.flatMap(({ addresses }) => addresses);
  // A word alone is a name to it, and an address to us.
  return list.map(({ name, address }) => (address === null ? person(null, name ?? "") : person(name, address)));
}

/** @returns unix seconds */
function dateOf(value: Value): number {
  if (value === "Empty" || !("DateTime" in value)) return Number.NaN;
  const { year, month, day, hour, minute, second, tz_before_gmt, tz_hour, tz_minute } = value.DateTime;
  const east = (tz_before_gmt ? -1 : 1) * (tz_hour * 60 + tz_minute);
  return Date.UTC(year, month - 1, day, hour, minute - east, second) / 1000;
}
