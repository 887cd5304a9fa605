/** Giving back what waits: a run over messages that are delivered, refused and deferred, with each of its calls failing. */
import { expect } from "vitest";
import { asOperator } from "../access/client.ts";
import { letter } from "../receive/organisation.ts";
import { type Attempt, matrix, onStage } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import { Sender, subjectOf } from "./sender.ts";

interface Waiting {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly subject: string;
  readonly to: string;
  readonly holders: readonly string[];
  readonly fate: "delivered" | "refused";
}

const LARGE = 1_100_000;
const EMERGENCY = { mode: "emergency", origin: "down" } as const;

matrix(
  "failback of several messages, after a person's choice",
  onStage(EMERGENCY, (scene, attempt) => failback(scene, attempt, "choice")),
);
matrix(
  "failback, when cron finds what waits",
  onStage(EMERGENCY, (scene, attempt) => failback(scene, attempt, "cron")),
);

async function failback(scene: Scene, attempt: Attempt, cause: "choice" | "cron"): Promise<string> {
  const all = [await wait(scene, "ann", ["ann"], "delivered"), await wait(scene, "bob", ["bob"], "refused")];
  if (cause === "choice") {
    all.push(await wait(scene, "info", ["ann", "bob"], "delivered"));
    all.push(await wait(scene, "ann", ["ann"], "delivered", LARGE));
  }
  await scene.mend({
    recipients: { [scene.address("bob")]: "550 5.7.1 not here", [scene.address("info")]: ["451 4.2.0 later", null] },
  });
  const toNormal = () => asOperator("PUT", `/api/domains/${scene.domain.name}/mode`, { mode: "normal" });
  if (cause === "cron") {
    // What a lost report comes to: the object knows of nothing.
    await scene.domain.rpc.choose("normal", "admin@example.org");
  }
  await attempt.run(async () => {
    if (cause === "choice" && (await toNormal()).status >= 500) await toNormal();
    // A cron that fails is logged by the platform, and comes again the next minute.
    else await scene.wake().catch(() => scene.wake());
    await scene.domain.run(60);
  });
  for (const one of all) await expectSafe(scene, one);
  await scene.rest();
  for (const { octets, subject, to, holders, fate } of all) {
    const delivered = fate === "delivered";
    expect(await scene.atOrigin(octets, [to]), `to ${to}: once`).toEqual([delivered ? 1 : 0]);
    const each = (count: number) => Object.fromEntries(holders.map((holder) => [holder, count]));
    const none = { ann: 0, bob: 0, dan: 0 };
    const { inInbox, inArchive } = await scene.kept(subject);
    expect(inInbox, "what was delivered leaves the inbox, what was refused stays").toEqual({
      ...none,
      ...each(delivered ? 0 : 1),
    });
    expect(inArchive).toEqual({ ...none, ...each(1) });
    await scene.expectShown(subject, holders);
  }
  // Those of the cases before lie there too.
  expect(await scene.backlog()).toMatchObject({ waiting: 0 });
  // In which run each of them goes is a matter of what is read ahead, and no two times the same.
  const refused = all.filter(({ fate }) => fate === "refused").length;
  return `${all.length - refused} delivered, ${refused} refused; each once`;
}

async function wait(
  scene: Scene,
  local: string,
  holders: readonly string[],
  fate: Waiting["fate"],
  size?: number,
): Promise<Waiting> {
  const octets = letter(undefined, size === undefined ? undefined : `${"y".repeat(size)}\r\n`);
  const to = scene.address(local);
  const sender = new Sender("the gateway", octets, [to]);
  await sender.try();
  expect(sender.last(to)?.code).toBe(250);
  return { octets, subject: subjectOf(octets), to, holders, fate };
}

async function expectSafe(scene: Scene, { octets, subject, to, holders }: Waiting): Promise<void> {
  const [taken = 0] = await scene.atOrigin(octets, [to]);
  const { inInbox } = await scene.kept(subject);
  expect(taken > 0 || holders.every((holder) => inInbox[holder] === 1), `to ${to}: safe`).toBe(true);
  expect(taken).toBeLessThan(2);
}
