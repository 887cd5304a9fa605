/** `npm run kill -- [--kills 50] [--seed N] [--switching manual|automatic]`: the rehearsal, with its account. Exit code 1 where anything is not as it must be. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ledgerLine } from "../demo/ledger.ts";
import { rehearse } from "./rehearsal.ts";
import { faults, summary } from "./report.ts";

const { values } = parseArgs({
  options: { kills: { type: "string" }, seed: { type: "string" }, switching: { type: "string" } },
});
const kills = Number(values.kills ?? "50");
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const switching = values.switching ?? "manual";
if (
  !Number.isInteger(kills) ||
  kills < 1 ||
  !Number.isInteger(seed) ||
  seed < 0 ||
  (switching !== "manual" && switching !== "automatic")
) {
  console.error("usage: npm run kill -- [--kills 1…] [--seed 0…] [--switching manual|automatic]");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "holdfast-kill-"));
console.log(`seed ${seed}`);
let clean = false;
try {
  const result = await rehearse({ kills, seed, switching, folder, say: console.log });
  for (const line of summary(result)) console.log(line);
  const found = faults(result);
  for (const fault of found) console.log(`FAULT ${fault}`);
  console.log(ledgerLine(result.ledger));
  clean = found.length === 0;
} finally {
  if (clean) rmSync(folder, { recursive: true, force: true });
  else console.log(`seed ${seed}; what is left lies in ${folder}`);
}
process.exitCode = clean ? 0 : 1;
