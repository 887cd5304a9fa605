/** The domain's object ends at each write of its own storage, in the middle of a run, and begins anew. */
import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { letter } from "../receive/organisation.ts";
import { COLUMNS, type Crash, named, runUntil } from "./ending.ts";
import { table, withScene } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const learned: string[] = [];
await withScene({ mode: "emergency" }, (scene) => play(scene, null, learned));

table(
  "the domain's object ends in a failback run",
  COLUMNS,
  named(learned).flatMap((row, index) =>
    COLUMNS.map((column, after) => ({
      row,
      column,
      play: () =>
        withScene({ mode: "emergency" }, (scene) => play(scene, { write: index + 1, after: after === 1 }, [])),
    })),
  ),
);

/** A message that is delivered, one that is refused, one that is deferred once, and one behind them. */
async function play(scene: Scene, crash: Crash | null, writes: string[]): Promise<string> {
  const letters = [];
  for (const local of ["ann", "bob", "info", "ann"] as const) {
    const octets = letter();
    const to = scene.address(local);
    await new Sender("the gateway", octets, [to]).try();
    letters.push({ octets, to, subject: subjectOf(octets), refused: local === "bob" });
  }
  await scene.mend({
    recipients: { [scene.address("bob")]: "550 5.7.1 not here", [scene.address("info")]: ["451 4.2.0 later", null] },
  });
  await scene.domain.rpc.choose("normal", "admin@example.org");
  const fired = await runInDurableObject(scene.domain.object, (object: DomainObject, state) =>
    runUntil(object, state.storage.sql, crash, writes),
  );
  expect(fired, "the write was made").toBe(crash !== null);
  await scene.restart();
  await scene.rest();
  const extra: number[] = [];
  for (const { octets, to, subject, refused } of letters) {
    const [taken = 0] = await scene.atOrigin(octets, [to]);
    extra.push(refused ? taken : taken - 1);
    const { inInbox, inArchive } = await scene.kept(subject);
    const holders = Object.keys(inArchive).filter((local) => inArchive[local] === 1);
    expect(holders.length, "the archive has it").toBeGreaterThan(0);
    for (const local of holders) expect(inInbox[local], "only what was refused stays").toBe(refused ? 1 : 0);
  }
  expect(Math.min(...extra), "nothing is lost").toBe(0);
  const twice = extra.reduce((sum, count) => sum + count, 0);
  // One connection: the one whose 250 was not recorded any more (design, rule 5).
  expect(twice, "at most the one message in flight is sent again").toBeLessThan(2);
  return twice === 0 ? "each once" : "the one in flight twice";
}
