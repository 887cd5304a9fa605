/** What a million messages cost: counted operations times list prices, storage and purge included. */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ARCHIVE_DAYS, FATE_DAYS } from "../../src/core/limits.ts";
import type { Arguments } from "../arguments.ts";
import type { Reporter } from "../reporter.ts";
import { FAILBACK, type Operations, PURGE_ROWS, ROWS, type Row } from "./operations.ts";
import { PRICES, PRICES_OF } from "./prices.ts";

const MESSAGES = 1_000_000;
const MONTHS = ARCHIVE_DAYS / 30;
/** Octets of an ordinary message of these years, HTML and small pictures included: an assumption; storage goes with it. */
const MESSAGE_BYTES = 75_000;
/** Octets of a message's rows with their indexes and full text, measured by the growth benchmark. */
const INDEX_BYTES = 2_500;
/** Milliseconds of processor time a message, as `receiving` and `failback` see it with D1 and R2 simulated beside it: too much. */
const CPU_MS = { arrival: 30, failback: 5 };
/** Seconds that an object of 128 MB is kept busy by one call. */
const CALL_SECONDS = 0.01;
const OBJECT_GB = 0.128;
/** Giving back: rows that the domain's object writes (claim with its key, outcome, fate, and their removal), and seconds of it and its carriers at 100 messages a second. */
const FAILBACK_OBJECT_ROWS = 7;
const FAILBACK_OBJECT_SECONDS = 5 / 100;
/** Octets of what the object remembers of one message that was given back, for FATE_DAYS: its key, with the recipient, and times. */
const FATE_BYTES = 150;

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const COUNT_LIMIT_MS = 300_000;

export async function reportCosts(_options: Arguments, report: Reporter): Promise<void> {
  report.progress("the operations are counted");
  await countOperations();
  for (const row of Object.values(ROWS) as Row[]) {
    const { what, operations } = row;
    const arrival =
      operationsCost(operations) + PRICES.request + CPU_MS.arrival * PRICES.cpuMs + calls(operations.objectRequests);
    const storage = row.stored ? storageCost() + PURGE_ROWS * PRICES.rowWritten : 0;
    report.result({
      bench: "costs",
      row: what,
      ...operations,
      dollarsArrival: dollars(arrival),
      dollarsStorageAndPurge: dollars(storage),
      dollarsPerMillion: dollars(arrival + storage),
      prices: PRICES_OF,
    });
  }
  const failback =
    operationsCost(FAILBACK) +
    FAILBACK_OBJECT_ROWS * PRICES.objectRowWritten +
    FAILBACK_OBJECT_SECONDS * OBJECT_GB * PRICES.objectGbSecond +
    (FATE_DAYS / 30) * (FATE_BYTES / 1e9) * PRICES.objectStorage +
    CPU_MS.failback * PRICES.cpuMs;
  report.result({
    bench: "costs",
    row: "given back to the origin",
    ...FAILBACK,
    dollarsPerMillion: dollars(failback),
    prices: PRICES_OF,
  });
}

/** @throws where a message does anything else than the list says */
async function countOperations(): Promise<void> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
  const files = ["test/worker/costs.test.ts", "test/worker/store/costs.test.ts"];
  try {
    await promisify(execFile)(process.execPath, [vitest, "run", "--project", "worker", ...files], {
      cwd: REPOSITORY,
      timeout: COUNT_LIMIT_MS,
      maxBuffer: 16 * 1024 * 1024,
    });
  } catch (error) {
    const { stdout = "", message } = error as Error & { stdout?: string };
    throw new Error(`the operations are not those of bench/costs/operations.ts: ${stdout.slice(-2_000) || message}`);
  }
}

function operationsCost(operations: Operations): number {
  return (
    operations.classA * PRICES.classA +
    operations.classB * PRICES.classB +
    operations.rowsWritten * PRICES.rowWritten +
    operations.objectRequests * PRICES.objectRequest
  );
}

function calls(requests: number): number {
  return requests * CALL_SECONDS * OBJECT_GB * PRICES.objectGbSecond;
}

function storageCost(): number {
  return MONTHS * ((MESSAGE_BYTES / 1e9) * PRICES.r2Storage + (INDEX_BYTES / 1e9) * PRICES.d1Storage);
}

function dollars(one: number): number {
  return Number((one * MESSAGES).toFixed(2));
}
