/** Messages as Dovecot takes them apart: its ENVELOPE and BODYSTRUCTURE, for people. */
import { decodeWords } from "postal-mime";
import { askDovecot } from "../../src/local/structure/dovecot.ts";
import type { ImapValue } from "../../src/local/structure/imap-values.ts";

/** Where Debian has it. */
const IMAP = "/usr/lib/dovecot/imap";

type People = readonly (readonly [name: string, address: string])[];

export interface DovecotReading {
  readonly subject: string;
  readonly from: People;
  readonly to: People;
  readonly cc: People;
  /** Names of parts that have one, in order of the alphabet. */
  readonly files: readonly string[];
}

/** @param messages in base64 */
export async function readByDovecot(messages: readonly string[]): Promise<DovecotReading[]> {
  const answers = await askDovecot(
    IMAP,
    messages.map((raw) => Buffer.from(raw, "base64")),
  );
  return answers.map(({ envelope, bodyStructure }) => {
    // RFC 9051 §7.5.2: date, subject, from, sender, reply-to, to, cc …
    const [, subject, from, , , to, cc] = listOf(envelope);
    return {
      subject: words(subject),
      from: peopleOf(from),
      to: peopleOf(to),
      cc: peopleOf(cc),
      files: filesIn(bodyStructure).sort(),
    };
  });
}

const listOf = (value: ImapValue | undefined): readonly ImapValue[] => (Array.isArray(value) ? value : []);
const words = (value: ImapValue | undefined): string =>
  value === null || value === undefined ? "" : decodeWords(octets(String(value)).toString("utf8"));
/** One character for each octet. */
const octets = (text: string): Buffer => Buffer.from(text, "latin1");

function peopleOf(value: ImapValue | undefined): People {
  return listOf(value).map((one) => {
    const [name, , local, host] = listOf(one);
    return [words(name), `${String(local)}@${String(host)}`] as const;
  });
}

/** The FILENAME of each disposition, wherever in the structure one stands. */
function filesIn(value: ImapValue): string[] {
  return listOf(value).flatMap((one, at, all) => {
    if (typeof one !== "string" || !/^filename\*?$/i.test(one)) return filesIn(one);
    const name = String(all[at + 1]);
    // RFC 2231 §4: charset, language and percent-encoded octets.
    return [one.endsWith("*") ? decodeURIComponent(name.replace(/^utf-8'[^']*'/i, "")) : words(name)];
  });
}
