/** The command line of `npm run corpus`, read once. */
import { statSync } from "node:fs";
import { parseArgs } from "node:util";

export interface CorpusOptions {
  readonly folder: string;
  /** `hand-over`: octets as they are, as `email()` and a gateway bring them. `mx`: by SMTP, as strangers send. */
  readonly by: "hand-over" | "mx";
  /** Files that have LF alone get CRLF before they are sent. */
  readonly crlf: boolean;
  /** The number of the first file, from 1. */
  readonly from: number;
  /** How many files; null: all. */
  readonly limit: number | null;
  /** Files whose path below the folder, or name, fits; null: all but `.json`. */
  readonly match: string | null;
}

export type ParsedOptions =
  | { readonly ok: true; readonly options: CorpusOptions }
  | { readonly ok: false; readonly problem: string };

export const USAGE = `npm run corpus -- DIR [--mx] [--crlf] [--match GLOB] [--from N] [--limit N]

Sends every file below DIR as one message through the whole service and reads it back: a JSON line each on standard output.
  --mx          by SMTP through the MX port, not by the gateway's hand-over (a bare CR or LF is refused there)
  --crlf        line ends of files that have LF alone become CRLF first
  --match GLOB  only files whose path below DIR, or name, fits; without it all but .json
  --from N      begin with the Nth file (from 1)
  --limit N     so many files at most`;

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
  const from = whole(values.from ?? "1");
  const limit = values.limit === undefined ? null : whole(values.limit);
  if (from === undefined) return wrong("--from must be a whole number from 1.");
  if (limit === undefined) return wrong("--limit must be a whole number from 1.");
  const { mx = false, crlf = false, match = null } = values;
  return { ok: true, options: { folder, by: mx ? "mx" : "hand-over", crlf, from, limit, match } };
}

function read(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      mx: { type: "boolean" },
      crlf: { type: "boolean" },
      match: { type: "string" },
      from: { type: "string" },
      limit: { type: "string" },
    },
  });
}

function whole(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}

function wrong(problem: string): ParsedOptions {
  return { ok: false, problem };
}
