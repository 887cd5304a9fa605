/** `npm run reindex`: the index made anew from the stored messages and what the domains' objects remember. */
import { parseReindex } from "./options.ts";
import { runReindex, summary } from "./run.ts";
import { ReindexError, ReindexedService } from "./service.ts";

const parsed = parseReindex(process.argv.slice(2), process.env);
if (!parsed.ok) {
  for (const problem of parsed.problems) console.error(problem);
  process.exit(2);
}
const { settings } = parsed;
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());
const say = (line: string): void => console.log(line);

try {
  const service = await ReindexedService.open(settings, say);
  const result = await runReindex(service, settings, stop.signal, say);
  console.log(summary(result, settings.dryRun));
  process.exitCode = result.problems > 0 ? 1 : 0;
} catch (error) {
  if (stop.signal.aborted) {
    console.error("Stopped. The next run goes on from here.");
    process.exitCode = 130;
  } else if (error instanceof ReindexError) {
    console.error(error.message);
    process.exitCode = 1;
  } else throw error;
}
