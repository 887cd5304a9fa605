/** How what Holdfast does grows with what is stored: run in the tests' workerd, where the rows can be counted. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Arguments } from "../arguments.ts";
import type { Figures, Reporter } from "../reporter.ts";
import { during } from "../undo.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const LIMIT_MS = 30 * 60_000;

/** Receiving and redelivering. */
export const measureGrowth = ({ sizes }: Arguments, report: Reporter): Promise<void> =>
  measure("growth", sizes ?? [1_000, 10_000, 100_000], report);

/** What a mailbox costs its owner. */
export const measureMailbox = ({ sizes }: Arguments, report: Reporter): Promise<void> =>
  measure("mailbox", sizes ?? [1_000, 100_000, 1_000_000], report);

/** @param of the file in test/worker/bench */
async function measure(of: string, sizes: readonly number[], report: Reporter): Promise<void> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", "--project", "worker", `--testTimeout=${LIMIT_MS}`], {
    cwd: REPOSITORY,
    // What vitest.config.ts then runs instead of the tests.
    env: {
      ...process.env,
      HOLDFAST_GROWTH_OF: of,
      HOLDFAST_GROWTH_SIZES: [...sizes].sort((a, b) => a - b).join(","),
      NO_COLOR: "1",
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LIMIT_MS,
  });
  const stop = () => {
    child.kill("SIGTERM");
  };
  await during(stop, async () => {
    const last: string[] = [];
    const read = (line: string) => {
      const figures = /^BENCH (\{.*\})$/.exec(line.trim())?.[1];
      if (figures !== undefined) report.result(JSON.parse(figures) as Figures);
      else if (line.trim() !== "") last.push(line);
      report.progress("the shard is filled and measured");
    };
    createInterface({ input: child.stdout }).on("line", read);
    createInterface({ input: child.stderr }).on("line", read);
    const code = await new Promise((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(last.slice(-30).join("\n"));
  });
}
