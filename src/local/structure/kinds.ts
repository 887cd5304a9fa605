/**
 * Kinds of differences between us and another parser, each with the paragraph that decides and a test of its own: a difference is
 * of a kind only where what the kind says, applied to one side, makes both sides agree, or where the octets have what it names.
 */

import { readHeader } from "../../core/mime/header.ts";
import { joined } from "../../core/mime/joined.ts";
import { transferDecoder } from "../../core/mime/transfer.ts";
import type { Aspect } from "./compare.ts";
import type { OurReading, PlacedLeaf, Reading, ReadLeaf } from "./reading.ts";

export interface Differing {
  readonly aspect: Aspect;
  readonly octets: Uint8Array;
  readonly ours: OurReading;
  readonly theirs: Reading;
}

interface Kind {
  readonly name: string;
  readonly aspects: readonly Aspect[];
  readonly fits: (differing: Differing) => boolean;
}

/** Of what no kind explains: a person has to look. */
export const UNEXPLAINED = "of no kind";

/** Whether a standard's paragraph says who is right. */
export function isDecided(kind: string): boolean {
  return kind.split("; ").every((one) => /\((?:RFC|HTML|Encoding) [^)]*/.test(one));
}

/** Of a text or a size that several leaves differ in, each may be of a kind of its own: then it is named by all. */
export function kindOf(differing: Differing): string {
  const { aspect, ours, theirs } = differing;
  if (aspect === "text" || aspect === "sizes") {
    const names = ours.leaves.flatMap((leaf, index) => {
      const other = theirs.leaves[index];
      if (!other || same(aspect, leaf, other)) return [];
      return [LEAF_KINDS.find(({ fits }) => fits(leaf, other))?.name ?? UNEXPLAINED];
    });
    return [...new Set(names)].sort().join("; ");
  }
  return KINDS.find(({ aspects, fits }) => aspects.includes(aspect) && fits(differing))?.name ?? UNEXPLAINED;
}

function same(aspect: "text" | "sizes", leaf: ReadLeaf, other: ReadLeaf): boolean {
  if (aspect === "sizes") return leaf.size === null || other.size === null || leaf.size === other.size;
  return leaf.text === null || other.text === null || leaf.text === other.text;
}

const latin1 = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1");
const field = (octets: Uint8Array, name: string): string =>
  readHeader(octets)
    .fields.filter((one) => one.name === name)
    .map(({ value }) => value)
    .at(-1)
    ?.trim() ?? "";

const PEOPLE: readonly Aspect[] = ["from", "to", "cc"];
const ADDR_SPEC = /^[^\s"(),:;<>@[\\\]]+@(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+$/;
const DATE =
  /^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?)?\d{1,2} +(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{4} +\d\d:\d\d(?::\d\d)? +(?:[+-]\d{4}|GMT|UT|[ECMP][DS]T)(?: *\(.*\))?$/;
const MSG_ID = /^<[^\s"(),:;<>@[\\\]]+@[^\s"(),:;<>@\\]+>$/;

const people = ({ aspect, ours, theirs }: Differing): readonly [readonly string[], readonly string[]] => [
  ours[aspect as "from"] ?? [],
  theirs[aspect as "from"] ?? [],
];
const equal = (a: readonly string[], b: readonly string[]): boolean => JSON.stringify(a) === JSON.stringify(b);
const addressOf = (one: string): string => one.slice(one.lastIndexOf("<") + 1, -1);
const withoutName = (one: string): string => {
  const address = addressOf(one);
  return one === `${address} <${address}>` ? ` <${address}>` : one;
};

const KINDS: readonly Kind[] = [
  {
    name: "raw octets in a field are in the charset of the text",
    aspects: ["subject", ...PEOPLE],
    fits: ({ aspect, octets }) => /[\x80-\xff]/.test(field(octets, aspect)),
  },
  {
    name: "a group, or no address: the other has an empty one",
    aspects: PEOPLE,
    fits: (differing) => {
      const [ours, theirs] = people(differing);
      return equal(
        ours,
        theirs.filter((one) => one !== " <>"),
      );
    },
  },
  {
    name: "a name that is the address itself is left out",
    aspects: PEOPLE,
    fits: (differing) => {
      const [ours, theirs] = people(differing).map((list) => [...new Set(list.map(withoutName))]);
      return equal(ours ?? [], theirs ?? []);
    },
  },
  {
    name: "a comment beside a name is no part of it (RFC 5322 §3.4)",
    aspects: PEOPLE,
    fits: (differing) => {
      const [ours, theirs] = people(differing).map((list) =>
        list.map((one) => one.replace(/\([^()]*\)/g, "").replace(/[() ]+/g, " ")),
      );
      return equal(ours ?? [], theirs ?? []);
    },
  },
  {
    name: "an address that is none (RFC 5322 §3.4.1)",
    aspects: PEOPLE,
    fits: (differing) => {
      const [ours, theirs] = people(differing);
      const differ = [...ours.filter((one) => !theirs.includes(one)), ...theirs.filter((one) => !ours.includes(one))];
      return differ.some((one) => !ADDR_SPEC.test(addressOf(one)));
    },
  },
  {
    name: "a Message-ID that is none (RFC 5322 §3.6.4)",
    aspects: ["messageId"],
    fits: ({ octets }) => !MSG_ID.test(field(octets, "message-id")),
  },
  {
    name: "a date that is none (RFC 5322 §3.3)",
    aspects: ["date"],
    fits: ({ octets }) => !DATE.test(field(octets, "date")),
  },
  {
    name: "fields of a report are no parts (RFC 3464 §2.1)",
    aspects: ["tree"],
    fits: ({ ours, theirs }) => ours.tree === theirs.tree.replace(/(message\/delivery-status)\([^()]*\)/g, "$1"),
  },
  {
    name: "a multipart without a part, or a type that is none, is text (RFC 2045 §5.2)",
    aspects: ["tree"],
    fits: ({ ours, theirs }) =>
      ours.tree === theirs.tree.replace(/multipart\/[^(),]+(?![^(),]*\()|text\/plain [^(),]*/g, "text/plain"),
  },
  {
    name: "a message that is encoded is not looked into (RFC 2046 §5.2.1)",
    aspects: ["tree"],
    fits: ({ ours, theirs }) => ours.tree === withoutMessages(theirs.tree) && ours.tree !== theirs.tree,
  },
  {
    name: "a message within the message is one whatever its header has (RFC 9051 §7.5.2)",
    aspects: ["tree"],
    fits: ({ ours, theirs }) => withoutMessages(ours.tree) === theirs.tree,
  },
  {
    name: "two Content-Types in one header: no standard says which holds",
    aspects: ["tree"],
    fits: ({ octets }) => /^content-type:[^\n]*\n(?:(?!--)[^\r\n]+\r?\n)*content-type:/im.test(latin1(octets)),
  },
  {
    name: "a boundary that ends in dashes: a line is the end of one and the delimiter of the other",
    aspects: ["tree"],
    fits: ({ octets }) => boundaries(octets).some((one) => one.endsWith("--")),
  },
  {
    name: "a delimiter of an outer multipart ends those within it that nothing else has ended (RFC 2046 §5.1.2)",
    aspects: ["tree"],
    fits: ({ octets }) => {
      const lines = linesOf(octets);
      const unended = boundaries(octets).filter((one) => !lines.includes(`--${one}--`));
      return unended.length > 1 || (unended.length > 0 && boundaries(octets).length > 1);
    },
  },
  {
    name: "a part may be empty, and have a header without an empty line behind it (RFC 2046 §5.1.1)",
    aspects: ["tree"],
    fits: ({ octets }) => {
      const lines = linesOf(octets);
      const delimiters = boundaries(octets).map((one) => `--${one}`);
      // Two delimiters with no empty line between them, or one that ends the message.
      const open = lines.findLastIndex((line) => line !== "");
      return (
        delimiters.includes(lines[open] ?? "") ||
        delimiters.some((one) => latin1(octets).replaceAll("\r", "").includes(`\n${one}\n${one}`))
      );
    },
  },
  {
    name: "the lists are those of the algorithm (RFC 8621 §4.1.4)",
    aspects: ["bodies"],
    fits: ({ ours, theirs }) => ours.tree === theirs.tree,
  },
];

const linesOf = (octets: Uint8Array): string[] => latin1(octets).split(/\r?\n/);

/** As they are declared, also in parts and in messages within the message. */
function boundaries(octets: Uint8Array): string[] {
  const declared = latin1(octets).matchAll(/^(?:content-type:|[ \t]).*boundary=(?:"([^"]+)"|([^\s;"]+))/gim);
  return [...new Set(Array.from(declared, ([, quoted, token]) => quoted ?? token ?? ""))];
}

/** What is within messages within the message left out. */
function withoutMessages(tree: string): string {
  let text = tree;
  for (let before = ""; before !== text; ) {
    before = text;
    text = text.replace(/(message\/rfc822)\([^()]*(?:\([^()]*\))?[^()]*\)/g, "$1");
  }
  return text;
}

interface LeafKind {
  readonly name: string;
  readonly fits: (leaf: PlacedLeaf, other: ReadLeaf) => boolean;
}

const isQuoted = ({ encoding }: PlacedLeaf): boolean => /quoted-printable/i.test(encoding);

/** As it would be with white space at the ends of its lines. */
function keepingBlanks(raw: string): string {
  return raw.replace(/[ \t]+(?=\r?\n|$)/g, (blanks) => blanks.replaceAll(" ", "=20").replaceAll("\t", "=09"));
}

function sizeOf(encoding: string, raw: string): number {
  const decoder = transferDecoder(encoding);
  return joined([decoder.decode(Buffer.from(raw, "latin1")).slice(), decoder.end()]).length;
}

/** The other has the octets as they stand, with or without their last line end. */
const isAbout = (size: number | null, octets: number): boolean =>
  size !== null && octets - size >= 0 && octets - size <= 2;

const withoutBlanks = (text: string): string => text.replace(/[ \t]+(?=\n|$)/g, "");
const withoutSigns = (text: string): string => text.replace(/3D|[=\s]/g, "");

const isBehind = (leaf: PlacedLeaf, other: ReadLeaf): boolean => (leaf.text ?? "").startsWith(other.text ?? "");

/** Charsets that the Encoding Standard has more letters of than their names say. */
const OTHERWISE = /^(?:gb|big5|ks_c_5601|euc-kr|shift_jis)/;

const LEAF_KINDS: readonly LeafKind[] = [
  {
    name: "white space at the end of a quoted-printable line is no part of it (RFC 2045 §6.7 (3))",
    fits: (leaf, other) =>
      isQuoted(leaf) &&
      other.size === sizeOf(leaf.encoding, keepingBlanks(latin1(leaf.raw))) &&
      (withoutBlanks(leaf.text ?? "") === withoutBlanks(other.text ?? "") || OTHERWISE.test(leaf.charset)),
  },
  {
    name: "an equals sign that begins nothing stands for itself (RFC 2045 §6.7)",
    fits: (leaf, other) =>
      isQuoted(leaf) &&
      /=(?![0-9A-Fa-f]{2}|[ \t]*\r?\n)/.test(latin1(leaf.raw)) &&
      withoutSigns(leaf.text ?? "") === withoutSigns(other.text ?? ""),
  },
  {
    name: "base64 with something else in it is decoded all the same (RFC 2045 §6.8)",
    fits: (leaf, other) =>
      /base64/i.test(leaf.encoding) &&
      (isAbout(other.size, latin1(leaf.raw).replace(/[\r\n]/g, "").length) ||
        (other.size === null && /[^A-Za-z0-9+/=\s]|=\s*[A-Za-z0-9+/]/.test(latin1(leaf.raw)))),
  },
  {
    name: "a delimiter begins a line (RFC 2046 §5.1.1)",
    fits: (leaf, other) => /^--/.test((leaf.text ?? "").slice((other.text ?? "").length)) && isBehind(leaf, other),
  },
  {
    name: "a delimiter is told by how it begins (RFC 2046 §5.1.1)",
    fits: (leaf, other) =>
      (other.text ?? "").startsWith(leaf.text ?? "") &&
      /^\n--/.test((other.text ?? "").slice((leaf.text ?? "").length)),
  },
  {
    name: "an octet too many in UTF-16 is an error, and is shown as one (Encoding §14.2.1)",
    fits: (leaf, other) =>
      leaf.charset.startsWith("utf-16") && leaf.raw.length % 2 === 1 && leaf.text === `${other.text}\ufffd`,
  },
  {
    name: "HTML that has no other charset says its own (HTML §4.2.5.4)",
    fits: (leaf, other) =>
      leaf.type === "text/html" &&
      (leaf.charset === "" || leaf.charset === "us-ascii") &&
      other.size === leaf.size &&
      /<meta[^>]*charset/i.test(latin1(leaf.raw)),
  },
  {
    name: "gb2312, big5, ks_c_5601 and shift_jis are what the Encoding Standard has under these names",
    fits: (leaf, other) => other.size === leaf.size && OTHERWISE.test(leaf.charset),
  },
  {
    name: "the last part, which no delimiter ends, keeps its last line end (RFC 2046 §5.1.1)",
    fits: (leaf, other) => leaf.last && (leaf.text ?? "").replace(/\n$/, "") === (other.text ?? ""),
  },
];
