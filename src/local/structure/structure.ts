/**
 * `npm run structure -- DIR`: what we make of messages beside what another parser makes of them. The last line is the agreement.
 * Exit code 0 when all were compared, whatever differs; 1 where that was not possible, 2 where the command line is none.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, parse } from "node:path";
import { corpusFiles, withCrlf } from "../corpus/files.ts";
import { compare } from "./compare.ts";
import { imapReport } from "./imap.ts";
import { readMailParser } from "./mail-parser.ts";
import { parseOptions, type StructureOptions, USAGE } from "./options.ts";
import { readOurs } from "./ours.ts";
import { PythonEmail } from "./python.ts";
import type { Reading } from "./reading.ts";
import { shown, Tally } from "./tally.ts";

const parsed = parseOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(`${parsed.problem}\n\n${USAGE}`);
  process.exit(2);
}
const { options } = parsed;
const tally = new Tally();
try {
  if (options.dovecot === null) await run(options, tally);
  else console.log(await runDovecot(options, options.dovecot));
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : error);
}
if (tally.messages > 0) console.log(tally.report());

function filesOf({ folder, match }: StructureOptions): string[] {
  const files = corpusFiles(folder, match);
  if (files.length === 0) throw new Error(`There is no such file below ${folder}.`);
  return files;
}

function runDovecot(options: StructureOptions, program: string): Promise<string> {
  const octets = (file: string) => withCrlf(readFileSync(join(options.folder, file)));
  const messages = new Map(filesOf(options).map((file) => [file, octets(file)]));
  return imapReport(program, messages, (file, difference) => {
    if (!options.all) return;
    const [we, they] = shown(difference);
    console.log(JSON.stringify({ file, item: difference.item, we, they }));
  });
}

async function run(options: StructureOptions, tally: Tally): Promise<void> {
  const { folder, against } = options;
  const files = filesOf(options);
  if (against === "json") {
    for (const file of files) for (const pair of pairsOf(join(folder, file))) await add(tally, file, ...pair);
    if (tally.messages === 0) throw new Error("No file has a .json beside it.");
    return;
  }
  const python = new PythonEmail();
  try {
    for (const [index, file] of files.entries()) {
      const path = join(folder, file);
      await add(tally, file, readFileSync(path), await python.read(path));
      if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${index + 1} of ${files.length}: ${file}`);
    }
  } finally {
    python.stop();
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  }
}

async function add(tally: Tally, file: string, octets: Buffer, theirs: Reading): Promise<void> {
  const ours = await readOurs(octets);
  const differences = compare(octets, ours, theirs);
  tally.add(file, differences, ours.stored);
  if (!options.all) return;
  for (const difference of differences.values()) {
    if (!difference) continue;
    const [we, they] = shown(difference);
    console.log(JSON.stringify({ file, aspect: difference.aspect, kind: difference.kind, we, they }));
  }
}

/** As it is, and with CRLF. */
function pairsOf(path: string): [Buffer, Reading][] {
  const { dir, name } = parse(path);
  const octets = readFileSync(path);
  const pairs: [string, Buffer][] = [
    [join(dir, `${name}.json`), octets],
    [join(dir, `${name}.crlf.json`), withCrlf(octets)],
  ];
  return pairs.flatMap(([answer, message]) =>
    existsSync(answer) ? [[message, readMailParser(readFileSync(answer, "utf8"))] as [Buffer, Reading]] : [],
  );
}
