/** The gateway between us and the origin breaks, or falls silent, at each thing that the Worker says to it: mail that is given back. */
import { expect } from "vitest";
import { letter } from "../receive/organisation.ts";
import { type Attempt, matrix, onStage } from "./matrix.ts";
import { FINAL_DOT, RELAY } from "./relay.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

matrix(
  "through a gateway; failback of two messages",
  onStage({ transport: "gateway", mode: "emergency", origin: "down" }, failback),
  RELAY,
);

async function failback(scene: Scene, attempt: Attempt): Promise<string> {
  const letters = [];
  for (const local of ["ann", "bob"] as const) {
    const octets = letter();
    const to = scene.address(local);
    await new Sender("the gateway", octets, [to]).try();
    letters.push({ octets, to, local, subject: subjectOf(octets) });
  }
  await scene.mend({});
  await scene.domain.rpc.choose("normal", "admin@example.org");
  await attempt.run(() => scene.domain.run(0));
  for (const { octets, to, local, subject } of letters) {
    const [taken = 0] = await scene.atOrigin(octets, [to]);
    expect(taken > 0 || (await scene.kept(subject)).inInbox[local] === 1, `to ${to}: safe`).toBe(true);
  }
  expect(await scene.isBlamed(), "no evidence against the origin").toBe(false);
  expect((await scene.domain.rpc.status())?.deferred, "nothing was deferred by the origin").toBe(0);
  await scene.rest();
  const came: number[] = [];
  for (const { octets, to, local, subject } of letters) {
    came.push((await scene.atOrigin(octets, [to]))[0] ?? 0);
    const { inInbox, inArchive } = await scene.kept(subject);
    expect(inArchive[local]).toBe(1);
    expect(inInbox[local]).toBe(0);
  }
  // The final dot had been taken, and the answer was lost with the gateway.
  const unheard = attempt.call.startsWith(FINAL_DOT) && (attempt.fault === "after" || attempt.fault === "neverAfter");
  expect(came.sort()).toEqual(unheard ? [1, 2] : [1, 1]);
  const ends = (await scene.events()).filter(({ kind }) => kind === "failback_run").map(({ data }) => String(data.end));
  const inTurn = ends.filter((end, index) => end !== ends[index - 1]).join(", ");
  return `runs end: ${inTurn}; ${unheard ? "one twice" : "each once"}`;
}
