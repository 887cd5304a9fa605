/** BODY and BODYSTRUCTURE of a FETCH response (RFC 9051 §7.5.2), one character for each octet. */
import type { Disposition, Parameter, PartStructure } from "../../mime/structure.ts";
import { writeEnvelope } from "./envelope.ts";
import { nstring, string } from "./strings.ts";

/** What stands for a message's parts where its octets could not be looked into: the grammar wants some. */
const UNREAD_MESSAGE =
  '(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)';

/** @param extended BODYSTRUCTURE, with the extension data that BODY has not */
export function writeBodyStructure(part: PartStructure, extended: boolean): string {
  const fields = part.kind === "multipart" ? multipart(part, extended) : single(part, extended);
  return `(${fields.join(" ")})`;
}

function multipart({ parts, subtype, ...part }: PartStructure, extended: boolean): string[] {
  const bodies = parts.map((one) => writeBodyStructure(one, extended)).join("");
  const fields = [bodies, string(subtype)];
  return extended ? [...fields, parameterList(part.parameters), ...placing(part)] : fields;
}

function single(part: PartStructure, extended: boolean): string[] {
  const { type, subtype, id, description, encoding, bodyFrom, bodyTo, lines, message } = part;
  const fields = [
    string(type),
    string(subtype),
    parameterList(withCharset(part)),
    nstring(id),
    nstring(description),
    string(transferEncoding(encoding)),
    String(bodyTo - bodyFrom),
  ];
  if (message) fields.push(writeEnvelope(message.envelope), writeBodyStructure(message.body, extended), String(lines));
  else if (isMessage(part)) fields.push(UNREAD_MESSAGE, String(lines));
  else if (type === "text") fields.push(String(lines));
  return extended ? [...fields, nstring(part.md5), ...placing(part)] : fields;
}

const isMessage = ({ type, subtype }: PartStructure): boolean =>
  type === "message" && (subtype === "rfc822" || subtype === "global");

/** Disposition, language, location. */
function placing(part: Pick<PartStructure, "disposition" | "language" | "location">): string[] {
  return [dispositionOf(part.disposition), languageOf(part.language), nstring(part.location)];
}

/** RFC 2045 §5.2: text that says no charset is in US-ASCII. */
function withCharset({ type, parameters }: PartStructure): readonly Parameter[] {
  if (type !== "text" || parameters.some(([name]) => name === "charset")) return parameters;
  return [...parameters, ["charset", "us-ascii"]];
}

function parameterList(parameters: readonly Parameter[]): string {
  if (parameters.length === 0) return "NIL";
  return `(${parameters.map(([name, value]) => `${string(name)} ${string(value)}`).join(" ")})`;
}

function dispositionOf(disposition: Disposition | null): string {
  return disposition ? `(${string(disposition.value)} ${parameterList(disposition.parameters)})` : "NIL";
}

function languageOf(language: string | null): string {
  const tags = (language ?? "").split(/[\s,]+/).filter((tag) => tag !== "");
  const [only = null] = tags;
  return tags.length > 1 ? `(${tags.map(string).join(" ")})` : nstring(only);
}

/** As the parts are decoded here (mime/transfer.ts), so that clients do it likewise. */
function transferEncoding(encoding: string | null): string {
  const name = (encoding ?? "").trim().toLowerCase();
  if (name.includes("base64")) return "base64";
  if (name.includes("quoted-printable")) return "quoted-printable";
  return /^[^\s;(]+/.exec(name)?.[0] ?? "7bit";
}
