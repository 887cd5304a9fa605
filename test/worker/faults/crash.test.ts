/** The domain's object ends at each write of its own storage, in the middle of a run, and begins anew. */
import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { letter } from "../receive/organisation.ts";
import { table, withScene } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";
import { describeStatements, isWrite } from "./statement.ts";

const COLUMNS = ["it ends before", "it ends after"];

interface Crash {
  readonly write: number;
  readonly after: boolean;
}

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

/** Runs the alarm. After that write nothing is stored any more, whatever the object still tries. @returns whether it came to it */
async function runUntil(
  object: DomainObject,
  sql: SqlStorage,
  crash: Crash | null,
  writes: string[],
): Promise<boolean> {
  const exec = sql.exec.bind(sql);
  let count = 0;
  let dead = false;
  Object.defineProperty(sql, "exec", {
    configurable: true,
    value: (query: string, ...values: unknown[]) => {
      if (dead) throw new Error("this object has ended");
      if (!isWrite(query)) return exec(query, ...values);
      count++;
      writes.push(describeStatements([query]));
      dead = count === crash?.write;
      if (dead && !crash?.after) throw new Error("this object has ended");
      const cursor = exec(query, ...values);
      if (!dead) return cursor;
      cursor.toArray(); // what RETURNING gives is to be read, or the statement is not over
      throw new Error("this object has ended");
    },
  });
  try {
    await object.alarm();
  } catch (error) {
    if (!dead) throw error;
  } finally {
    Reflect.deleteProperty(sql, "exec");
  }
  return dead;
}

/** `writes flight (3)`: which write of that kind. */
function named(writes: readonly string[]): string[] {
  return writes.map((name, index) => {
    const nth = writes.slice(0, index + 1).filter((other) => other === name).length;
    return nth === 1 ? name : `${name} (${nth})`;
  });
}
