/** The files of a corpus, and their octets as they are sent. */
import { readdirSync } from "node:fs";
import { basename, join, matchesGlob, relative } from "node:path";

const CR = 0x0d;
const LF = 0x0a;

/**
 * Sub-folders too, in the order of their paths; what is neither file nor folder is left out.
 * @returns paths below the folder
 */
export function corpusFiles(folder: string, match: string | null): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) =>
      match === null ? !path.endsWith(".json") : matchesGlob(path, match) || matchesGlob(basename(path), match),
    )
    .sort();
}

/** LF to CRLF, in a file that has no CR. One that has some is what it is: mended line ends would be another message. */
export function withCrlf(octets: Buffer): Buffer {
  if (octets.includes(CR)) return octets;
  const parts: Buffer[] = [];
  let from = 0;
  for (let lf = octets.indexOf(LF); lf !== -1; lf = octets.indexOf(LF, from)) {
    parts.push(octets.subarray(from, lf), Buffer.from("\r\n"));
    from = lf + 1;
  }
  return Buffer.concat([...parts, octets.subarray(from)]);
}

/** What SMTP can carry: the final dot stands on a line of its own (RFC 5321 §4.1.1.4). */
export function withLastLineEnd(octets: Buffer): Buffer {
  const ended = octets.length === 0 || (octets.at(-2) === CR && octets.at(-1) === LF);
  return ended ? octets : Buffer.concat([octets, Buffer.from("\r\n")]);
}

/** As a message is on the wire: a bare CR or LF has become CRLF, and the last line has its end (RFC 5321 §2.3.8, §4.1.1.4). */
export function onTheWire(octets: Buffer): Buffer {
  const text = octets.toString("latin1").replace(/\r\n|\r|\n/g, "\r\n");
  return Buffer.from(text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`, "latin1");
}
