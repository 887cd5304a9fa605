/** Field bodies as a structure keeps them (octets as Latin-1), decoded for people and for JMAP (RFC 8621 §4.1.2). */
import { decodeWords } from "postal-mime";
import { decoderFor, letters } from "./charset.ts";
import type { Parameter, PartStructure } from "./structure.ts";

/** RFC 2231 §3: `name*`, `name*0`, `name*0*`. */
const SECTION = /^(.*?)\*(?:(\d{1,3})(\*)?)?$/;
/** RFC 2231 §4. */
const EXTENDED = /^([^']*)'[^']*'(.*)$/s;

/** The Text form (RFC 8621 §4.1.2.2): encoded words (RFC 2047) are decoded, letters composed. */
export function textForm(raw: string, hint: string | null): string {
  return decodeWords(letters(raw, hint)).trim().normalize("NFC").toWellFormed();
}

/**
 * The MessageIds form (RFC 8621 §4.1.2.5).
 * @returns without angle brackets; null where there is none to be read
 */
export function messageIdsForm(raw: string): string[] | null {
  const bracketed = [...raw.matchAll(/<([^<>]*)>/g)].map(([, id = ""]) => id.replace(/\s+/g, ""));
  // Without brackets it is none by RFC 5322 §3.6.4, but it names a message all the same.
  const ids = bracketed.length > 0 ? bracketed : raw.split(/[\s,]+/);
  const real = ids.filter((id) => id !== "");
  return real.length === 0 ? null : real;
}

/** A parameter as RFC 2231 has it, else as people write it (RFC 2047's words); null where there is none of that name. */
export function parameter(parameters: readonly Parameter[], name: string, hint: string | null): string | null {
  const plain = parameters.find(([key]) => key === name)?.[1];
  return extended(parameters, name, hint) ?? (plain === undefined ? null : textForm(plain, hint));
}

/** What a part is called: as a file, else by its type (RFC 8621 §4.1.4); null where it has no name. */
export function nameOf({ disposition, parameters }: PartStructure, hint: string | null): string | null {
  const name = parameter(disposition?.parameters ?? [], "filename", hint) ?? parameter(parameters, "name", hint);
  return name === null || name === "" ? null : name;
}

/** As it is declared; for text without a charset the default (RFC 8621 §4.1.4), else null. */
export function charsetOf({ type, parameters }: PartStructure): string | null {
  const declared = parameters.find(([name]) => name === "charset")?.[1];
  return declared ?? (type === "text" ? "us-ascii" : null);
}

/** @returns null where no section of it is there */
function extended(parameters: readonly Parameter[], name: string, hint: string | null): string | null {
  const sections = parameters.flatMap(([key, value]) => {
    const [whole, base, number = "0", star] = SECTION.exec(key) ?? [];
    const encoded = star !== undefined || whole === `${base}*`;
    return whole !== undefined && base === name ? [{ number: Number(number), encoded, value }] : [];
  });
  sections.sort((a, b) => a.number - b.number);
  const [first] = sections;
  if (!first) return null;
  const [, charset = "", rest = first.value] = (first.encoded && EXTENDED.exec(first.value)) || [];
  // A letter may begin in one section and end in the next.
  const octets = [{ ...first, value: rest }, ...sections.slice(1)]
    .map(({ encoded, value }) => (encoded ? percentDecoded(value) : value))
    .join("");
  const decoder = charset === "" ? null : decoderFor(charset);
  const text = decoder?.decode(Uint8Array.from(octets, (letter) => letter.charCodeAt(0))) ?? letters(octets, hint);
  return text.normalize("NFC").toWellFormed();
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
