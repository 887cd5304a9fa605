/** A message that waits although its sender heard 451, and that the index does not recognise when it comes again. */
import { env } from "cloudflare:test";
import { expect, it } from "vitest";
import type { Env } from "../../../src/worker/env.ts";
import { Scene } from "../faults/scene.ts";
import { subjectOf } from "../faults/sender.ts";
import { letter, send } from "./organisation.ts";

const shard = (other: Partial<Record<"batch" | "prepare", unknown>>): Env => ({
  ...(env as Env),
  SHARD_0: new Proxy(env.SHARD_0, {
    get(target, name) {
      if (name in other) return other[name as keyof typeof other];
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }),
});

/** It writes, and nobody hears of it. */
const mute = shard({
  batch: async (statements: D1PreparedStatement[]) => {
    await env.SHARD_0.batch(statements);
    throw new Error("the answer is lost");
  },
});
/** It does not say what it has. */
const blind = shard({
  prepare: (sql: string) => {
    if (sql.startsWith("SELECT id, key, at, size")) throw new Error("no answer");
    return env.SHARD_0.prepare(sql);
  },
});

it("goes to the origin once: what waits is taken for delivered when the origin has taken the second try", async () => {
  const scene = await Scene.open({});
  await scene.begin({ origin: { steps: { final: "451 4.3.0 not now" } } });
  const ann = scene.address("ann");
  const octets = letter();
  expect((await send([ann], octets, { env: mute })).final?.code).toBe(451);
  expect((await scene.kept(subjectOf(octets))).inInbox).toMatchObject({ ann: 1 });
  await scene.mend({});
  expect((await send([ann], octets, { env: blind })).final?.code).toBe(250);
  await scene.repair();
  await scene.rest();
  expect(await scene.atOrigin(octets, [ann])).toEqual([1]);
  const kept = await scene.kept(subjectOf(octets));
  expect([kept.inInbox.ann, kept.inArchive.ann]).toEqual([0, 1]);
});
