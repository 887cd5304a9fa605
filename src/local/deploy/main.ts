/** `npm run deploy`. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { terminal } from "./ask.ts";
import { deploy } from "./deploy.ts";
import { dryRun } from "./dry-run.ts";
import { parseOptions } from "./options.ts";
import { installedWrangler, StepFailed, wranglerAt } from "./wrangler.ts";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));

const read = parseOptions(process.argv.slice(2), process.env);
if (read.kind === "usage") {
  console.log(read.text);
  process.exit(0);
}
if (read.kind === "problems") {
  for (const problem of read.problems) console.error(problem);
  process.exit(2);
}
const { options } = read;
try {
  await (options.dryRun ? dryRun : deploy)(options, {
    template: join(REPOSITORY, "wrangler.toml"),
    folder: join(REPOSITORY, ".deploy"),
    wrangler: wranglerAt(installedWrangler(), REPOSITORY),
    say: console.log,
    ask: terminal(),
    fetch,
  });
} catch (error) {
  if (!(error instanceof StepFailed)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}
