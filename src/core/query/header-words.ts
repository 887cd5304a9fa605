/**
 * Header fields in the full text. All of a message's fields share one column of the index; so that a word is found in its own
 * field alone, each goes in behind its field's name: `list-id` and `News` make `list␁id␀news`, one word to the index, since private
 * characters are letters to it. Phrases and beginnings of words work as in any text.
 */
import { hasWord, tokens } from "./tokens.ts";

/** Between name and word; private characters in mail are replaced, so that nobody writes it. */
const BEHIND = "\ue000";
const ESCAPE = "\ue001";

export interface HeaderField {
  readonly name: string;
  /** Decoded. */
  readonly value: string;
}

/** Characters of one field. */
const MAX_FIELD = 400;
/** Characters of all fields of a message. */
const MAX_FIELDS = 6_000;
/** Names of fields in a message, and characters of one: mail that is made to have more is found by its other words. */
const MAX_NAMES = 150;
const MAX_NAME = 76;

/** They have columns of their own. */
const ELSEWHERE: ReadonlySet<string> = new Set(["from", "to", "cc", "bcc", "subject"]);
/**
 * What machines say to machines, of which no two are alike: signatures, routes and ratings on the way, and identifiers, whose whole is
 * looked for elsewhere (`messageId`, `thread`). With them the fields would take twice the room, which is the index's largest expense.
 */
const MACHINES = [
  /^(?:received(?:-spf)?|return-path|delivered-to|autocrypt|authentication-results|(?:dkim|domainkey|arc)-.*)$/,
  /^x-(?:ms|microsoft|forefront|google|gm|received|spam|proofpoint|mimecast|ironport|barracuda|eop)(?:-.*)?$/,
  /^(?:message-id|in-reply-to|references|date|mime-version|content-.*|list-(?:unsubscribe.*|subscribe|help|archive|post|owner))$/,
];

/** Whether the words of such a field are in the index; that the field is there, always is. */
export const isIndexedField = (name: string): boolean => !MACHINES.some((kind) => kind.test(name.toLowerCase()));

/** The text of the column, for all fields of a message in their order. */
export function fieldsText(fields: readonly HeaderField[]): string {
  const parts: string[] = [];
  const named = new Set<string>();
  let room = MAX_FIELDS;
  for (const { name, value } of fields) {
    const key = nameKey(name);
    if (name.length > MAX_NAME || (named.size >= MAX_NAMES && !named.has(key))) continue;
    if (!named.has(key)) parts.push(key);
    named.add(key);
    if (ELSEWHERE.has(name.toLowerCase()) || !isIndexedField(name)) continue;
    const kept = value.slice(0, Math.min(MAX_FIELD, room));
    room -= kept.length;
    // A word that nobody looks for keeps phrases from reaching over into the next field of the same name.
    parts.push(behind(key, kept), BEHIND);
  }
  return parts.join(" ");
}

/** What to look for in that column; null where the text has no word. @param text null: that the field is there */
export function fieldWords(name: string, text: string | null): string | null {
  const key = nameKey(name);
  if (text === null || text === "") return key;
  return hasWord(text) ? behind(key, text) : null;
}

function behind(key: string, text: string): string {
  return Array.from(tokens(text), ({ word }) => `${key}${word.replace(/\p{Co}/gu, "x")}`).join(" ");
}

/** RFC 5322 §2.2: printable US-ASCII but for the colon; of anything else there is no field. */
function nameKey(name: string): string {
  const written = name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, (char) => `${ESCAPE}${char.charCodeAt(0).toString(16)}${ESCAPE}`);
  return `${written}${BEHIND}`;
}
