import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { outgoingSummary } from "../../src/local/kill/outgoing/account.ts";
import { CONNECTIONS, rehearseOutgoing } from "../../src/local/kill/outgoing/rehearsal.ts";

/** Every victim in each phase would be six; `npm run kill -- --outgoing` has 24. */
const KILLS = 6;
/** A few have no answer, and are not tried again. */
const LETTERS = 510;
const LIMIT = 600_000;
/** In memory where there is such a place: processes are killed, not the machine. */
const PLACE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

it("sends each of 500 letters in the queue once, and tells their writers what became of them, while workerd and the gateway are killed", {
  timeout: LIMIT,
}, async () => {
  const folder = mkdtempSync(join(PLACE, "holdfast-kill-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const seed = Math.floor(Math.random() * 1_000_000);
  const lines: string[] = [`seed ${seed}`];
  const result = await rehearseOutgoing({
    kills: KILLS,
    letters: LETTERS,
    seed,
    folder,
    say: (line) => lines.push(line),
  }).catch((error: Error) => {
    throw new Error(`${lines.join("\n")}\n${error.message}`);
  });
  const summary = outgoingSummary(result, result);
  console.log(`seed ${seed}\n${summary.join("\n")}`);
  const told = [...lines, ...summary].join("\n");
  expect(result.faults, told).toEqual([]);
  expect(result.queued, told).toBeGreaterThanOrEqual(480);
  // Some of each kind: else nothing was tried.
  expect(result.delivered, told).toBeGreaterThan(300);
  expect(result.refused, told).toBeGreaterThan(50);
  expect(result.kills.map(({ victim, during }) => `${victim} ${during}`).sort(), told).toEqual([
    "both sending",
    "both sending",
    "gateway sending",
    "gateway submitting",
    "workerd sending",
    "workerd submitting",
  ]);
  for (const copies of result.doubled.values()) expect(copies, told).toBeLessThanOrEqual(CONNECTIONS);
});
