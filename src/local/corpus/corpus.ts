/**
 * `npm run corpus -- DIR`: a folder of messages through the real receive, archive and render path, a JSON line each. The last
 * line on standard error sums up. Exit code 0 unless octets differ somewhere or a message was neither accepted nor refused.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corpusFiles } from "./files.ts";
import { Tally } from "./line.ts";
import { parseOptions, USAGE } from "./options.ts";
import { CorpusRun } from "./run.ts";

const parsed = parseOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(`${parsed.problem}\n\n${USAGE}`);
  process.exit(2);
}
const { folder, match, from, limit } = parsed.options;
const files = corpusFiles(folder, match);
const last = Math.min(files.length, limit === null ? files.length : from - 1 + limit);
if (from > last) {
  console.error(`${folder} has ${files.length} such files: there is none to send from number ${from} on.`);
  process.exit(2);
}

let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    interrupted = true;
  });

const state = mkdtempSync(join(tmpdir(), "holdfast-corpus-"));
const tally = new Tally();
let next = from;
let began = performance.now();
try {
  const run = await CorpusRun.start(join(state, "holdfast"), parsed.options);
  try {
    began = performance.now();
    for (; next <= last && !interrupted; next++) {
      const file = files[next - 1] ?? "";
      const { line, reply } = await run.message(file, next);
      tally.add(line, reply);
      process.stdout.write(`${JSON.stringify(line)}\n`);
      if (process.stderr.isTTY)
        process.stderr.write(`\r\u001b[K${next} of ${last}, ${tally.failures} failures: ${file}`);
    }
  } finally {
    await run.stop();
  }
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof Error ? error.message : error);
} finally {
  rmSync(state, { recursive: true, force: true });
}
if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
if (tally.failures > 0) process.exitCode = 1;
if (next <= last) process.exitCode ??= 130;
const rest = next <= last ? `; stopped before file ${next} of ${last}, go on with --from ${next}` : "";
console.error(`${tally.summary((performance.now() - began) / 1000)}${rest}`);
// Whatever a message that hung still holds does not keep the run.
process.exit();
