/** Mail that redelivery has in hand while its mailbox moves to another shard: it is given back once, and what is known of it stays. */
import { env } from "cloudflare:test";
import { beforeAll, beforeEach, expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { flightKey } from "../../../src/worker/failback/ports.ts";
import { moveMailboxes } from "../../../src/worker/move/drive.ts";
import { json } from "../access/client.ts";
import { Scene } from "../faults/scene.ts";
import { letter, send } from "../receive/organisation.ts";
import { beginMove, contents, find, finish, leftovers, shard } from "./mailbox.ts";

let scene: Scene;
let ann = "";
let bob = "";

beforeAll(async () => {
  scene = await Scene.open({});
  ann = scene.address("ann");
  bob = scene.address("bob");
});
beforeEach(() => scene.begin({ mode: "emergency" }));

async function waiting(to: string, count: number): Promise<Uint8Array<ArrayBuffer>[]> {
  const letters = Array.from({ length: count }, () => letter());
  for (const octets of letters) expect((await send([to], octets)).final?.code).toBe(250);
  return letters;
}

/** The mailbox goes to the shard where it is not, up to the switch or to the end. */
async function moves(address: string, how: "switched" | "done" = "done"): Promise<void> {
  const target = 1 - (await find(address)).shard;
  await beginMove(address, target);
  if (how === "done") await finish(address);
  else
    for (let run = 0; (await find(address)).shard !== target; run++) {
      if (run === 50) throw new Error("it was never switched");
      await moveMailboxes(env as Env, Date.now, (await find(address)).id, 1);
    }
}

interface Item {
  readonly id: string;
  readonly waiting: boolean;
}
const inboxOf = async (local: string) =>
  (await json("GET", "/api/mail/messages?folder=inbox&limit=200", { token: scene.mailbox(local).token })).body
    .items as Item[];

/** Final dots that the origin has seen. */
const dots = async () => (await scene.origin.report()).transcript.filter((line) => line === "C: (message) .").length;

async function expectOnce(letters: readonly Uint8Array[], to: string): Promise<void> {
  await scene.rest();
  for (const octets of letters) expect(await scene.atOrigin(octets, [to])).toEqual([1]);
  expect(await scene.backlog()).toMatchObject({ waiting: 0 });
}

it.each(["switched", "done"] as const)(
  "a run whose messages are at the origin as their mailbox moves (%s) sends none of them again",
  async (how) => {
    const letters = [...(await waiting(ann, 12)), ...(await waiting(bob, 3))];
    await scene.origin.set({ steps: { final: [null, null, { held: true }] } });
    await scene.domain.rpc.choose("normal", "admin@example.org");
    const running = scene.domain.run(0);
    await expect.poll(dots, { timeout: 30_000 }).toBeGreaterThan(2);
    await moves(ann, how);
    // A person sees it on the new shard, and may not take it from there: it is being sent.
    const items = await inboxOf("ann");
    const oldest = items.at(-1);
    const asked = await json("DELETE", `/api/mail/messages/${oldest?.id}`, { token: scene.mailbox("ann").token });
    expect([items.length > 0, asked.status]).toEqual([true, 409]);
    await scene.origin.set({});
    await running;
    if (how === "switched") await finish(ann);
    await expectOnce(letters.slice(0, 12), ann);
    await expectOnce(letters.slice(12), bob);
    expect(await inboxOf("ann")).toEqual([]);
  },
);

it("a run that meets the move in every one of its steps gives each message back once", async () => {
  const letters = await waiting(ann, 30);
  await scene.origin.set({ steps: { final: { delay: 20 } } });
  await scene.domain.rpc.choose("normal", "admin@example.org");
  let over = false;
  const running = scene.domain.run(0).finally(() => {
    over = true;
  });
  const target = 1 - (await find(ann)).shard;
  const { id } = await beginMove(ann, target);
  for (let step = 0; step < 50 && (await find(ann)).shard !== target; step++) {
    await moveMailboxes(env as Env, Date.now, id, 1);
    if (over) await scene.domain.run(0);
  }
  await running;
  await scene.origin.set({});
  await finish(ann);
  await expectOnce(letters, ann);
  expect(await leftovers(shard(1 - target), id)).toBe(0);
  expect((await contents(shard(target), id)).placements.filter(({ gone }) => gone === null)).toEqual([]);
});

it("what the origin has deferred is deferred still, and goes when its time comes", async () => {
  const letters = await waiting(ann, 1);
  await scene.domain.rpc.choose("normal", "admin@example.org");
  await scene.mend({ recipients: { [ann]: "451 4.2.0 later" } });
  await scene.domain.run(1);
  expect((await scene.domain.rpc.status())?.deferred).toBe(1);
  await moves(ann);
  expect((await scene.domain.rpc.status())?.deferred).toBe(1);
  await scene.domain.run(1);
  expect(await scene.atOrigin(letters[0] as Uint8Array, [ann])).toEqual([0]);
  await scene.mend({});
  await expectOnce(letters, ann);
});

it("what the origin refuses as its mailbox moves is marked on the new shard, and stays in the inbox", async () => {
  const [octets] = await waiting(ann, 1);
  await scene.origin.set({ steps: { final: { held: true } } });
  await scene.domain.rpc.choose("normal", "admin@example.org");
  const running = scene.domain.run(0);
  await expect.poll(dots, { timeout: 30_000 }).toBeGreaterThan(0);
  await moves(ann);
  await scene.origin.set({ steps: { final: "550 5.7.1 not like this" } });
  await running;
  await scene.rest();
  expect(await scene.atOrigin(octets as Uint8Array, [ann])).toEqual([0]);
  expect(await inboxOf("ann")).toHaveLength(1);
  expect(await scene.backlog()).toMatchObject({ waiting: 0, refused: 1 });
});

it("what the origin takes late leaves the inbox on the new shard at once", async () => {
  const [octets] = await waiting(bob, 1);
  const { objects } = await env.MAIL.list({ include: ["customMetadata"] });
  const object = objects.at(-1);
  const keys = [flightKey(object?.key ?? "", bob)];
  await scene.domain.rpc.hold(keys, 600_000);
  await moves(bob);
  const outcome = { kind: "delivered", reply: { code: 250, enhanced: "2.0.0", text: "late" } } as const;
  await scene.domain.rpc.settleFinal({ keys, at: Number(object?.customMetadata?.at), outcome });
  expect(await inboxOf("bob")).toEqual([]);
  await scene.repair();
  await scene.rest();
  expect(await scene.atOrigin(octets as Uint8Array, [bob])).toEqual([0]);
});
