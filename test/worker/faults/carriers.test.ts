/** A failback run in several invocations: each call between them fails. */
import { env, runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { CONNECTIONS_PER_INVOCATION, MESSAGES_PER_RAMP } from "../../../src/core/limits.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { Flights } from "../../../src/worker/failback/flights.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { letter } from "../receive/organisation.ts";
import { type Call, hasStruck } from "./injector.ts";
import { type Attempt, matrix, onStage } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

const EMERGENCY = { mode: "emergency", origin: "down" } as const;
/** That answer well before a run takes the connections of another invocation: 1, 2, 4, and then more. */
const RAMP = 3 * MESSAGES_PER_RAMP;
const MESSAGES = RAMP + 2 * CONNECTIONS_PER_INVOCATION;
/** How many calls there are is a matter of chance: who of them takes which message. */
const ONLY = { only: ({ name, nth }: Call) => name.startsWith("another invocation") && nth <= 2 };
/** Milliseconds: of the other invocation with all of its messages. */
const PATIENCE = 3_000;
const POLL = 20;

matrix("failback in two invocations", onStage(EMERGENCY, failback), ONLY);
matrix("failback, after the domain's object died while another invocation sent", onStage(EMERGENCY, recalled), ONLY);

interface Waiting {
  readonly octets: Uint8Array;
  readonly to: string;
  readonly subject: string;
}

async function waiting(scene: Scene, count: number): Promise<Waiting[]> {
  const letters = Array.from({ length: count }, () => letter());
  const to = scene.address("ann");
  await Promise.all(letters.map((octets) => new Sender("the gateway", octets, [to]).try()));
  return letters.map((octets) => ({ octets, to, subject: subjectOf(octets) }));
}

async function expectGivenBack(scene: Scene, letters: readonly Waiting[]): Promise<string> {
  await expectSafe(scene, letters);
  expect(await scene.isBlamed(), "no evidence against the origin").toBe(false);
  await scene.rest();
  const taken = await scene.accepted();
  await Promise.all(
    letters.map(async ({ octets, to, subject }) => {
      expect(taken(octets, to), "sent once").toBe(1);
      expect(await scene.kept(subject)).toMatchObject({ inInbox: { ann: 0 }, inArchive: { ann: 1 } });
    }),
  );
  return "each once";
}

async function expectSafe(scene: Scene, letters: readonly Waiting[]): Promise<void> {
  const taken = await scene.accepted();
  for (const { octets, to, subject } of letters) {
    if (taken(octets, to) === 0) expect((await scene.kept(subject)).inInbox.ann, "safe").toBe(1);
  }
}

async function failback(scene: Scene, attempt: Attempt): Promise<string> {
  const letters = await waiting(scene, MESSAGES);
  // The connections of the object itself are kept busy until the other invocation is through, or its call has failed.
  const busy = Array.from({ length: CONNECTIONS_PER_INVOCATION }, () => ({ held: true }));
  await scene.mend({ steps: { final: [...Array.from({ length: RAMP }, () => null), ...busy, null] } });
  await scene.domain.rpc.choose("normal", "admin@example.org");
  await attempt.run(async () => {
    const running = scene.domain.run(0);
    await until(async () => hasStruck() || (await accepted(scene)) >= MESSAGES - CONNECTIONS_PER_INVOCATION);
    await scene.mend({});
    await running;
  });
  return expectGivenBack(scene, letters);
}

/** Of an earlier run, whose object has forgotten everything but what it stored. */
async function recalled(scene: Scene, attempt: Attempt): Promise<string> {
  const letters = await waiting(scene, 2);
  const { to, subject } = letters[0] ?? { to: "", subject: "" };
  const key = await env.SHARD_0.prepare("SELECT key FROM message WHERE subject = ?1")
    .bind(subject)
    .first<string>("key");
  await runInDurableObject(scene.domain.object, (_object, state) => {
    const { now } = scene.domain;
    new Flights(openDatabase(state.storage)).claim(
      flightKey(key ?? "", to),
      CONNECTIONS_PER_INVOCATION,
      now,
      now,
      false,
    );
  });
  await scene.restart();
  await scene.mend({});
  await scene.domain.rpc.choose("normal", "admin@example.org");
  await attempt.run(() => scene.domain.run(0));
  return expectGivenBack(scene, letters);
}

const accepted = async (scene: Scene): Promise<number> =>
  (await scene.origin.messages()).filter(({ accepted }) => accepted).length;

async function until(done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await done()) && Date.now() < end) await scheduler.wait(POLL);
}
