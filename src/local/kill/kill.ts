/**
 * `npm run kill -- [--kills 50] [--seed N] [--switching manual|automatic]`: the rehearsal of mail that comes in, with its account;
 * `npm run kill -- --outgoing [--kills 24] [--letters 1000] [--seed N]`: of mail that goes out. Exit code 1 where anything is not as it
 * must be.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ledgerLine } from "../demo/ledger.ts";
import { outgoingSummary } from "./outgoing/account.ts";
import { rehearseOutgoing } from "./outgoing/rehearsal.ts";
import { rehearse } from "./rehearsal.ts";
import { faults, summary } from "./report.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string" },
    seed: { type: "string" },
    switching: { type: "string" },
    outgoing: { type: "boolean", default: false },
    letters: { type: "string" },
  },
});
const { outgoing } = values;
const kills = Number(values.kills ?? (outgoing ? "24" : "50"));
const letters = Number(values.letters ?? "1000");
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const switching = values.switching ?? "manual";
const whole = (value: number, least: number) => Number.isInteger(value) && value >= least;
if (
  !whole(kills, outgoing ? 3 : 1) ||
  !whole(seed, 0) ||
  !whole(letters, 100) ||
  (switching !== "manual" && switching !== "automatic") ||
  (outgoing ? values.switching : values.letters) !== undefined
) {
  console.error("usage: npm run kill -- [--kills 1…] [--seed 0…] [--switching manual|automatic]");
  console.error("       npm run kill -- --outgoing [--kills 3…] [--letters 100…] [--seed 0…]");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "holdfast-kill-"));
console.log(`seed ${seed}`);
let clean = false;
try {
  const found = outgoing ? await goesOut() : await comesIn(switching);
  for (const fault of found) console.log(`FAULT ${fault}`);
  clean = found.length === 0;
} finally {
  if (clean) rmSync(folder, { recursive: true, force: true });
  else console.log(`seed ${seed}; what is left lies in ${folder}`);
}
process.exitCode = clean ? 0 : 1;

/** @returns what is not as it must be */
async function comesIn(switching: "manual" | "automatic"): Promise<readonly string[]> {
  const result = await rehearse({ kills, seed, switching, folder, say: console.log });
  for (const line of summary(result)) console.log(line);
  console.log(ledgerLine(result.ledger));
  return faults(result);
}

/** The same of mail that goes out. */
async function goesOut(): Promise<readonly string[]> {
  const result = await rehearseOutgoing({ kills, letters, seed, folder, say: console.log });
  for (const line of outgoingSummary(result, result)) console.log(line);
  return result.faults;
}
