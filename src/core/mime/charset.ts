/** Octets as letters: by the charset that is declared, and where none is, or none that exists, by what fits. */
import PostalMime from "postal-mime";
import type { StructuredField } from "./content-type.ts";
import { joined } from "./joined.ts";

/** What nearly all undeclared mail that is not UTF-8 is in; it has a letter for each octet. */
const USUAL = "windows-1252";
const LABEL = /^[\w.:+-]{1,40}$/;
/** What a page says of itself is at its beginning (HTML §4.2.5.4 looks at 1,024 octets; mail has more before it). */
const META_WITHIN = 4_096;
const META = /<meta[^>]{0,200}charset\s*=\s*["']?([\w.:+-]{1,40})/i;
/** Labels that say nothing of octets beyond ASCII. */
const SAYS_NOTHING = /^(?:us-ascii|ascii|unknown.*|x-unknown|default.*|)$/i;
const LF = 0x0a;

const encoder = new TextEncoder();

/**
 * A text part's octets, out of their transfer encoding, as text: lines end in LF, format=flowed (RFC 3676) is joined.
 * @param type the part's Content-Type
 * @param cut there were more octets: the last letter may be half of one
 */
export async function textOf(type: StructuredField, octets: Uint8Array, cut: boolean): Promise<string> {
  const { parameters } = type;
  const label = labelOf(type, octets, cut);
  const flowed = /^flowed$/i.test(parameters.get("format") ?? "") && type.value === "text/plain";
  const decoder = flowed ? null : decoderFor(label);
  if (decoder) return decoder.decode(octets).replaceAll("\r\n", "\n");
  const delsp = /^yes$/i.test(parameters.get("delsp") ?? "");
  // The parser knows the flowed format, and charsets by other names: it is given this one part, as plain text.
  const header = `Content-Type: text/plain; charset="${label}"${flowed ? "; format=flowed" : ""}${delsp ? "; delsp=yes" : ""}\n\n`;
  const { text = "" } = await PostalMime.parse(joined([encoder.encode(header), octets]));
  // It ends the last line in any case.
  return octets.at(-1) === LF ? text : text.replace(/\n$/, "");
}

function labelOf({ value, parameters }: StructuredField, octets: Uint8Array, cut: boolean): string {
  const declared = (parameters.get("charset") ?? "").trim();
  if (LABEL.test(declared) && !SAYS_NOTHING.test(declared)) return declared;
  if (isUtf8(octets, cut)) return "utf-8";
  const meta = value === "text/html" ? META.exec(latin1(octets.subarray(0, META_WITHIN)))?.[1] : undefined;
  return meta !== undefined && decoderFor(meta) ? meta : USUAL;
}

/**
 * A header in UTF-8 (RFC 6532): a line that is not, as some programs write it, is taken to be in the charset of the text.
 * @param hint a charset, or nothing
 */
export function headerInUtf8(header: Uint8Array, hint: string | undefined): Uint8Array {
  if (isUtf8(header)) return header;
  const named = hint === undefined || /^utf-?8$/i.test(hint) ? null : decoderFor(hint);
  const decoder = named ?? new TextDecoder(USUAL);
  const lines: Uint8Array[] = [];
  for (let from = 0; from < header.length; ) {
    const lf = header.indexOf(LF, from);
    const to = lf === -1 ? header.length : lf + 1;
    const line = header.subarray(from, to);
    lines.push(isUtf8(line) ? line : encoder.encode(decoder.decode(line)));
    from = to;
  }
  return joined(lines);
}

/**
 * A field body of octets as Latin-1. RFC 6532 has UTF-8 there; what is none, as some programs write it, is in the charset of the text.
 * @param hint a charset, or null
 */
export function letters(raw: string, hint: string | null): string {
  if (!/[\x80-\xff]/.test(raw)) return raw;
  const octets = Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
  if (isUtf8(octets)) return new TextDecoder().decode(octets);
  const named = hint === null || /^utf-?8$/i.test(hint) ? null : decoderFor(hint);
  return (named ?? new TextDecoder(USUAL)).decode(octets);
}

/** @returns null where there is no such charset */
export function decoderFor(label: string): TextDecoder | null {
  try {
    return new TextDecoder(label);
  } catch (error) {
    // The Encoding Standard knows no such label.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** @param cut a letter that is half there at the end is no fault */
function isUtf8(octets: Uint8Array, cut = false): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets, { stream: cut });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

function latin1(octets: Uint8Array): string {
  return new TextDecoder(USUAL).decode(octets);
}
