/** The origin, at each step of the conversation and in each way that servers have: while a sender waits, and in a run. */
import { expect } from "vitest";
import type { Step, Verb } from "../../support/origin-behaviour.ts";
import { letter } from "../receive/organisation.ts";
import { hasten } from "./haste.ts";
import { type Case, table, withScene } from "./matrix.ts";
import type { Scene, SceneOptions } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const PHASES = ["greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "final dot"] as const;
const VERBS: Readonly<Record<string, Verb>> = { "final dot": "final" };
/** A refusal at one of these is about the message; before, it is the server's own trouble (design, rule 6). */
const OF_THE_MESSAGE = new Set(["MAIL", "RCPT", "DATA", "final dot"]);

const WAYS: Readonly<Record<string, Step>> = {
  "a 4xx": "451 4.3.2 later",
  "a 5xx": "554 5.7.1 no",
  "421": { reply: "421 4.3.2 closing", drop: true },
  "hangs up": { drop: true },
  "no reply": { silent: true },
  "takes it, hangs up": { drop: true, taken: true },
  "takes it, no reply": { silent: true, taken: true },
};
const COLUMNS = Object.keys(WAYS);

/** Many times what a reply takes here; the sum over a message is limited too. */
const SOON = 300;
const WAITS_FOR_ORIGIN = ["deliver/socket.ts", "receive/budget.ts"];

/** The first of these steps goes wrong; after that the origin is well. */
function once(phase: string, way: string) {
  const step = WAYS[way] ?? null;
  return { steps: { [VERBS[phase] ?? phase.toLowerCase()]: [step, null] } };
}

/** Limits come soon where the origin says nothing; in all other ways a busy machine is no silent origin. */
async function soon(way: string, work: () => Promise<unknown>): Promise<void> {
  if (!way.endsWith("no reply")) {
    await work();
    return;
  }
  const limits = hasten(WAITS_FOR_ORIGIN, SOON, true);
  try {
    await work();
  } finally {
    limits.end();
  }
}

function everyPhase(
  options: SceneOptions,
  play: (scene: Scene, phase: string, way: string) => Promise<string>,
): Case[] {
  return PHASES.flatMap((row) =>
    COLUMNS.filter((column) => row === "final dot" || !column.startsWith("takes it")).map((column) => ({
      row,
      column,
      play: () =>
        withScene(
          { secure: true, ...options },
          (scene) => play(scene, row, column),
          // An origin that was slow at the final dot is known for it.
          row === "final dot" && column.endsWith("no reply") ? "changed" : "as it was",
        ),
    })),
  );
}

table(
  "the origin while a sender waits; covered",
  COLUMNS,
  everyPhase({}, (scene, ...at) => receive(scene, "ann", ...at)),
);
table(
  "the origin while a sender waits; not covered",
  COLUMNS,
  everyPhase({}, (scene, ...at) => receive(scene, "dan", ...at)),
);
table("the origin in a failback run", COLUMNS, everyPhase({ mode: "emergency" }, failback));

async function receive(scene: Scene, local: "ann" | "dan", phase: string, way: string): Promise<string> {
  const octets = letter();
  const subject = subjectOf(octets);
  const to = scene.address(local);
  const covered = local === "ann";
  const refused = way === "a 5xx" && OF_THE_MESSAGE.has(phase);
  const sender = new Sender("Email Routing", octets, [to]);
  await scene.mend(once(phase, way));
  await soon(way, () => sender.try());
  const first = sender.last(to);
  const { inInbox } = await scene.kept(subject);
  if (refused) expect(`${first?.code} ${first?.text}`, "the origin's own words").toContain("no");
  else if (covered) {
    expect(first?.code, "accepted").toBe(250);
    expect(inInbox.ann, "and kept, for the origin is not known to have it").toBe(1);
  } else expect(first?.code, "its sender keeps it").toBe(451);
  await sender.try();
  await scene.repair();
  await scene.rest();
  const last = await scene.kept(subject);
  expect(last.inInbox).toEqual({ ann: 0, bob: 0, dan: 0 });
  expect(last.inArchive).toEqual({ ann: covered && !refused ? 1 : 0, bob: 0, dan: 0 });
  // It took the message and did not say so: no server can know (RFC 5321 §4.2.5, §6.1), and twice is better than not at all.
  const unheard = way.startsWith("takes it");
  const [taken] = await scene.atOrigin(octets, [to]);
  expect(taken).toBe(refused ? 0 : unheard ? 2 : 1);
  if (refused) return `${sender.heard()} in its own words; nothing kept`;
  return `${sender.heard()}; ${covered ? "portal, given back" : "origin"}${unheard ? ": twice" : ""}`;
}

async function failback(scene: Scene, phase: string, way: string): Promise<string> {
  const letters = [];
  for (const local of ["ann", "bob"] as const) {
    const octets = letter();
    const to = scene.address(local);
    await new Sender("the gateway", octets, [to]).try();
    letters.push({ octets, to, local, subject: subjectOf(octets) });
  }
  await scene.mend(once(phase, way));
  await scene.domain.rpc.choose("normal", "admin@example.org");
  await soon(way, () => scene.domain.run(0));
  for (const { octets, to, local, subject } of letters) {
    const [taken = 0] = await scene.atOrigin(octets, [to]);
    expect(taken > 0 || (await scene.kept(subject)).inInbox[local] === 1, `to ${to}: safe`).toBe(true);
  }
  await scene.rest();
  const refused = way === "a 5xx" && OF_THE_MESSAGE.has(phase);
  const unheard = way.startsWith("takes it");
  const came: number[] = [];
  for (const { octets, to, local, subject } of letters) {
    came.push((await scene.atOrigin(octets, [to]))[0] ?? 0);
    const { inInbox, inArchive } = await scene.kept(subject);
    expect(inArchive[local]).toBe(1);
    expect(inInbox[local], "what was refused stays, everything else leaves").toBe(came.at(-1) === 0 ? 1 : 0);
  }
  expect(came.sort()).toEqual(refused ? [0, 1] : unheard ? [1, 2] : [1, 1]);
  const ends = (await scene.events()).filter(({ kind }) => kind === "failback_run").map(({ data }) => String(data.end));
  const inTurn = ends.filter((end, index) => end !== ends[index - 1]).join(", ");
  return `runs end: ${inTurn}; ${refused ? "refused, kept" : unheard ? "one twice" : "each once"}`;
}
