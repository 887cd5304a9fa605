/** What we make of a message: the structure as the row has it, and its text. */
import { mailboxes } from "../../core/mime/addresses.ts";
import { textOf } from "../../core/mime/charset.ts";
import { readDate } from "../../core/mime/date.ts";
import { messageIdsForm, nameOf, textForm } from "../../core/mime/fields.ts";
import { joined } from "../../core/mime/joined.ts";
import type { PartStructure, Structure } from "../../core/mime/structure.ts";
import { readStructure, writeStructure } from "../../core/mime/structure-form.ts";
import { structureOf } from "../../core/mime/structure-reader.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import { emailBody } from "../../core/protocol/jmap/body-parts.ts";
import { type Bodies, type OurReading, type PlacedLeaf, person } from "./reading.ts";

/** @throws where what is read back from the row's form is not what was written */
export async function readOurs(octets: Uint8Array): Promise<OurReading> {
  const fresh = structureOf(octets);
  const json = writeStructure(fresh);
  const structure = (json === null ? null : readStructure(json)) ?? fresh;
  const { envelope, charset, body } = structure;
  const people = (values: readonly string[] | undefined) =>
    (values ?? []).flatMap((value) => mailboxes(value, charset)).map(({ name, address }) => person(name, address));
  const leaves = leavesOf(body);
  return {
    subject: textForm(envelope.subject ?? "", charset),
    messageId: messageIdsForm(envelope.messageId ?? "")?.[0] ?? "",
    date: Math.floor((readDate(envelope.date ?? "") ?? Number.NaN) / 1000),
    from: people(envelope.from),
    to: people(envelope.to),
    cc: people(envelope.cc),
    tree: treeOf(body),
    leaves: await Promise.all(leaves.map((part) => leafOf(part, structure, octets))),
    bodies: bodiesOf(structure),
    stored: json?.length ?? null,
  };
}

function treeOf(part: PartStructure): string {
  const type = `${part.type}/${part.subtype}`;
  if (part.kind === "multipart") return `${type}(${part.parts.map(treeOf).join(",")})`;
  return part.message ? `${type}(${treeOf(part.message.body)})` : type;
}

/** Those that have no parts, messages too, and those within messages behind them. */
function leavesOf(part: PartStructure): PartStructure[] {
  if (part.kind === "multipart") return part.parts.flatMap(leavesOf);
  return part.message ? [part, ...leavesOf(part.message.body)] : [part];
}

async function leafOf(part: PartStructure, structure: Structure, octets: Uint8Array): Promise<PlacedLeaf> {
  const encoding = part.kind === "leaf" ? (part.encoding ?? "") : "";
  const raw = octets.subarray(part.bodyFrom, part.bodyTo);
  const decoder = transferDecoder(encoding);
  const decoded = joined([decoder.decode(raw).slice(), decoder.end()]);
  if (decoded.length !== part.size) throw new Error(`part ${part.path} has ${decoded.length} octets, not ${part.size}`);
  const type = { value: `${part.type}/${part.subtype}`, parameters: withoutFormat(part) };
  return {
    type: type.value,
    name: nameOf(part, structure.charset),
    size: part.size,
    text: part.type === "text" ? (await textOf(type, decoded, false)).replaceAll("\r", "\n") : null,
    raw,
    encoding,
    charset: type.parameters.get("charset")?.toLowerCase() ?? "",
    last: part.bodyTo === octets.length,
  };
}

/** Lines of format=flowed are compared as they stand. */
function withoutFormat({ parameters }: PartStructure): Map<string, string> {
  return new Map(parameters.filter(([name]) => name !== "format" && name !== "delsp"));
}

function bodiesOf(structure: Structure): Bodies {
  const { textBody, htmlBody, attachments } = emailBody(structure, ({ path }) => path);
  const paths = leavesOf(structure.body).map(({ path }) => path);
  const places = (parts: readonly { readonly partId: string | null }[]) =>
    parts.map(({ partId }) => paths.indexOf(partId ?? ""));
  return { text: places(textBody), html: places(htmlBody), attached: places(attachments) };
}
