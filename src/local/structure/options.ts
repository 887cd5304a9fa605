/** The command line of `npm run structure`, read once. */
import { statSync } from "node:fs";
import { parseArgs } from "node:util";

export interface StructureOptions {
  readonly folder: string;
  /** `python`: its email package. `json`: what lies beside each file, from another parser. */
  readonly against: "python" | "json";
  /** Dovecot's `imap`, whose ENVELOPE and BODYSTRUCTURE are compared with ours instead; null: not. */
  readonly dovecot: string | null;
  /** Files whose path below the folder, or name, fits; null: all but `.json`. */
  readonly match: string | null;
  /** Every difference on standard output, not only the first of each kind. */
  readonly all: boolean;
}

export type ParsedOptions =
  | { readonly ok: true; readonly options: StructureOptions }
  | { readonly ok: false; readonly problem: string };

export const USAGE = `npm run structure -- DIR [--json | --dovecot PROGRAM] [--match GLOB] [--all]

Compares what we make of every message below DIR with what another parser makes of it: header fields, tree of parts, decoded text,
names and sizes. Prints the differences by kind, with the first of each, and the agreement (docs/structure-agreement.md).
  (without --json)  the other is python3 with its email package
  --json            the other's answer lies beside each file: FILE.json for FILE.eml, and FILE.crlf.json for the same with CRLF
  --dovecot PROGRAM Dovecot 2.3's imap, such as /usr/lib/dovecot/imap: ENVELOPE and BODYSTRUCTURE of the same with CRLF
  --match GLOB      only files whose path below DIR, or name, fits; without it all but .json
  --all             every difference, a JSON line each`;

export function parseOptions(args: readonly string[]): ParsedOptions {
  let parsed: ReturnType<typeof read>;
  try {
    parsed = read(args);
  } catch (error) {
    return wrong((error as Error).message);
  }
  const { values, positionals } = parsed;
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) return wrong("Name one folder.");
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return wrong(`${folder} is no folder.`);
  const { json = false, dovecot = null, match = null, all = false } = values;
  if (json && dovecot !== null) return wrong("Either --json or --dovecot.");
  return { ok: true, options: { folder, against: json ? "json" : "python", dovecot, match, all } };
}

function read(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: "boolean" },
      dovecot: { type: "string" },
      match: { type: "string" },
      all: { type: "boolean" },
    },
  });
}

function wrong(problem: string): ParsedOptions {
  return { ok: false, problem };
}
