/** Address fields (RFC 5322 §3.4) as a structure keeps them: taken apart as they stand for IMAP, and decoded for people. */
import { type Address, addressParser, decodeWords } from "postal-mime";
import { letters } from "./charset.ts";

export interface Mailbox {
  /** Empty where there is none. */
  readonly name: string;
  /** The addr-spec, as far as there is one: without a domain it is what stands there. */
  readonly address: string;
}

export interface Group {
  /** Null: mailboxes that are in no group. */
  readonly name: string | null;
  readonly mailboxes: readonly Mailbox[];
}

/** Stands for the beginning of an encoded word, so that it is not decoded. These letters are private: no octet is one of them. */
const WORD = "\ue000";
/** Stands for an @ between quotes, so that a name is not taken for an address, nor left out for being one. */
const AT = "\ue001";

/**
 * Names as they stand, encoded words too, octets as Latin-1.
 * @param values of each instance of the field
 */
export function addressesAsTheyStand(values: readonly string[]): Group[] {
  const protect = values.map((value) => value.replaceAll("=?", WORD));
  return groupsOf(parse(protect.join(", ")), (text) => text.replaceAll(WORD, "=?"));
}

/** The GroupedAddresses form (RFC 8621 §4.1.2.4). @param hint see `letters` */
export function addressGroups(value: string, hint: string | null): Group[] {
  const composed = (text: string) => text.normalize("NFC").toWellFormed();
  return groupsOf(parse(letters(value, hint)), composed).map(({ name, mailboxes }) => ({
    name,
    mailboxes: mailboxes.map((one) => ({
      // An address alone, which a word in it made look like a name (RFC 2047 §5 has none there).
      name: one.address.includes("=?") && one.name === composed(decodeWords(one.address)) ? "" : one.name,
      // Without the route of old (RFC 5322 §4.4).
      address: quoted(one.address.replace(/^@[^:]*:/, "")),
    })),
  }));
}

/** The parser has taken the quotes off a local part that needs them (RFC 5322 §3.4.1). */
function quoted(address: string): string {
  const at = address.lastIndexOf("@");
  const local = address.slice(0, at);
  if (at < 1 || /^(?:"[^"]*"|[^\s"(),:;<>@[\\\]]+)$/.test(local)) return address;
  return `"${local.replace(/["\\]/g, "\\$&")}"${address.slice(at)}`;
}

/** The Addresses form (RFC 8621 §4.1.2.3): without groups. */
export function mailboxes(value: string, hint: string | null): Mailbox[] {
  return addressGroups(value, hint).flatMap((group) => group.mailboxes);
}

const QUOTED = /"(?:[^"\\]|\\.)*"/gs;
const COMMENT = /\((?:[^()\\]|\\.)*\)/gs;

/** Made easy for the parser. */
function parse(text: string): Address[] {
  const flat = withoutNesting(text).replace(QUOTED, (quoted) => quoted.replaceAll("@", AT));
  // A comment alone is nobody.
  return flat.replace(COMMENT, "").trim() === "" ? [] : addressParser(flat);
}

/** Comments within comments (RFC 5322 §3.2.2) become one: the parser takes the first closing parenthesis for the end. */
function withoutNesting(text: string): string {
  if (!/\([^()]*\(/.test(text)) return text;
  let depth = 0;
  return text.replace(/"(?:[^"\\]|\\.)*"|\\.|[()]/gs, (found) => {
    if (found === "(") return depth++ === 0 ? found : "";
    if (found !== ")" || depth === 0) return found;
    return --depth === 0 ? found : "";
  });
}

function groupsOf(addresses: readonly Address[], restore: (raw: string) => string): Group[] {
  const text = (raw: string) => restore(raw.replaceAll(AT, "@"));
  const groups: { name: string | null; mailboxes: Mailbox[] }[] = [];
  for (const { name, address, group } of addresses) {
    if (group) {
      groups.push({ name: text(name), mailboxes: group.map((one) => mailboxOf(one, text)) });
      continue;
    }
    const single = mailboxOf({ name, address: address ?? "" }, text);
    const last = groups.at(-1);
    if (single.name === "" && single.address === "") continue;
    if (last?.name === null) last.mailboxes.push(single);
    else groups.push({ name: null, mailboxes: [single] });
  }
  return groups;
}

/** A word alone is no name: it is whom the mail is from or to, as far as it says. */
function mailboxOf({ name, address }: { name: string; address: string }, text: (raw: string) => string): Mailbox {
  return address === "" ? { name: "", address: text(name) } : { name: text(name), address: text(address) };
}
