/**
 * `npm run bench`: what a message costs, how fast mail is received, given back and sent, how that and a person's acts grow, and how
 * soon those who watch hear of it. `--only NAME` (again and again) picks benchmarks, `--json` writes JSON lines; Ctrl-C ends it and what it
 * has started.
 */
import { cpus, release, totalmem } from "node:os";
import { type Arguments, type Name, parseArguments } from "./arguments.ts";
import { reportCosts } from "./costs/costs.ts";
import { compareFailback } from "./failback/compare.ts";
import { measureGrowth, measureMailbox } from "./growth/growth.ts";
import { measureMemory } from "./memory/memory.ts";
import { measurePush } from "./push/push.ts";
import { measureReceiving } from "./receiving/receiving.ts";
import { Reporter } from "./reporter.ts";
import { compareSending } from "./sending/compare.ts";
import { undoOnSignals } from "./undo.ts";

const BENCHMARKS: Readonly<Record<Name, (options: Arguments, report: Reporter) => Promise<void>>> = {
  costs: reportCosts,
  receiving: measureReceiving,
  failback: compareFailback,
  sending: compareSending,
  memory: measureMemory,
  growth: measureGrowth,
  mailbox: measureMailbox,
  push: measurePush,
};

let options: Arguments;
try {
  options = parseArguments(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exit(2);
}
undoOnSignals();
const report = new Reporter(options.json);
report.result({
  bench: "machine",
  processors: cpus().length,
  model: cpus()[0]?.model ?? "unknown",
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
});
for (const name of options.names) {
  report.say(`${name} …`);
  try {
    await BENCHMARKS[name](options, report);
  } catch (error) {
    // The others are measured all the same.
    report.say(`${name} failed: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
