import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ORIGIN_CONNECTIONS, rehearse } from "../../src/local/kill/rehearsal.ts";
import { faults, summary } from "../../src/local/kill/report.ts";

/** Every kind of moment once, and every victim twice; `npm run kill` has fifty. */
const KILLS = 6;
/** A busy machine needs 20 s until a killed workerd answers again. */
const LIMIT = 600_000;

it("loses no message and doubles at most one a connection when workerd, gateway and both are killed at random moments", {
  timeout: LIMIT,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-kill-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const seed = Math.floor(Math.random() * 1_000_000);
  const lines: string[] = [`seed ${seed}`];
  const result = await rehearse({
    kills: KILLS,
    seed,
    switching: "manual",
    folder,
    say: (line) => lines.push(line),
  }).catch((error: Error) => {
    throw new Error(`${lines.join("\n")}\n${error.message}`);
  });
  const told = [...lines, ...summary(result)].join("\n");
  console.log(`seed ${seed}\n${summary(result).join("\n")}`);
  expect(faults(result), told).toEqual([]);
  expect(result.ledger, told).toMatchObject({
    sent: result.ledger.delivered,
    waiting: 0,
    refused: 0,
    lost: 0,
    changed: 0,
  });
  expect(result.archived.messages, told).toBe(result.ledger.sent);
  expect(result.kills.map(({ victim }) => victim).sort(), told).toEqual([
    "both",
    "both",
    "gateway",
    "gateway",
    "workerd",
    "workerd",
  ]);
  for (const { copies } of result.doubled) expect(copies, told).toBeLessThanOrEqual(ORIGIN_CONNECTIONS);
  // Mail was under way at the kills: else nothing was tried.
  expect(result.ledger.sent, told).toBeGreaterThan(100);
});
