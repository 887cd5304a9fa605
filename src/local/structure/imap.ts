/** Our ENVELOPE and BODYSTRUCTURE beside Dovecot's, item by item. */
import { structureOf } from "../../core/mime/structure-reader.ts";
import { writeBodyStructure } from "../../core/protocol/imap/body-structure.ts";
import { writeEnvelope } from "../../core/protocol/imap/envelope.ts";
import { askDovecot, type DovecotAnswer } from "./dovecot.ts";
import { type ImapValue, readValue } from "./imap-values.ts";

const FIELDS = [
  "date",
  "subject",
  "from",
  "sender",
  "reply-to",
  "to",
  "cc",
  "bcc",
  "in-reply-to",
  "message-id",
] as const;

const ITEMS = ["bodystructure", ...FIELDS] as const;

export interface ImapDifference {
  readonly item: (typeof ITEMS)[number];
  readonly ours: string;
  readonly theirs: string;
}

/**
 * @param messages by the name of their file, octets with CRLF
 * @param seen is told of each difference
 * @returns the run's result, a line for each item and one for all
 */
export async function imapReport(
  program: string,
  messages: ReadonlyMap<string, Uint8Array>,
  seen: (file: string, difference: ImapDifference) => void,
): Promise<string> {
  const answers = await askDovecot(program, [...messages.values()]);
  const differing = new Map<ImapDifference["item"], number>();
  let same = 0;
  for (const [index, [file, octets]] of [...messages].entries()) {
    const answer = answers[index];
    const differences = answer ? compareImap(octets, answer).filter((one) => one !== null) : [];
    if (differences.length === 0) same++;
    for (const difference of differences) {
      differing.set(difference.item, (differing.get(difference.item) ?? 0) + 1);
      seen(file, difference);
    }
  }
  const lines = ITEMS.map(
    (item) => `${item.padEnd(14)} ${agreement(messages.size - (differing.get(item) ?? 0), messages.size)}`,
  );
  const all = messages.size * ITEMS.length;
  const differ = [...differing.values()].reduce((sum, times) => sum + times, 0);
  return [
    ...lines,
    "",
    `${messages.size} messages, ${same} of them without any difference; agreement ${agreement(all - differ, all)}`,
  ].join("\n");
}

function agreement(agree: number, of: number): string {
  return `${agree} of ${of}, ${(Math.floor((agree / of) * 10_000) / 100).toFixed(2)} %`;
}

/** For BODYSTRUCTURE and each field of ENVELOPE: what differs, or null. @param octets with CRLF */
function compareImap(octets: Uint8Array, theirs: DovecotAnswer): (ImapDifference | null)[] {
  const { envelope, body } = structureOf(octets);
  const [ours, other] = [readValue(writeEnvelope(envelope)), theirs.envelope];
  const field = (value: ImapValue, index: number) => (Array.isArray(value) ? (value[index] ?? null) : null);
  return [
    differ("bodystructure", readValue(writeBodyStructure(body, true)), theirs.bodyStructure),
    ...FIELDS.map((name, index) => differ(name, field(ours, index), field(other, index))),
  ];
}

/** Types and encodings are the same in any case; a language alone is a list of one; Dovecot folds white space, and has a word for no domain. */
function differ(item: ImapDifference["item"], mine: ImapValue, other: ImapValue): ImapDifference | null {
  const plain = (value: ImapValue) => JSON.stringify(item === "bodystructure" ? folded(value) : spaced(value));
  const [ours, theirs] = [plain(mine), plain(other)];
  return ours === theirs ? null : { item, ours, theirs };
}

function folded(value: ImapValue): ImapValue {
  if (Array.isArray(value)) return value.length === 1 ? folded(value[0] ?? null) : value.map(folded);
  return typeof value === "string" ? String(spaced(value)).toLowerCase() : value;
}

function spaced(value: ImapValue): ImapValue {
  if (Array.isArray(value)) return value.map(spaced);
  return typeof value === "string" ? value.replace("MISSING_DOMAIN", "").replace(/\s+/g, " ").trim() : value;
}
