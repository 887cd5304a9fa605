/** Whatever people, clients and failback do to a mailbox, with calls that fail and are repeated: it is as the model says. */
import { env } from "cloudflare:test";
import * as fc from "fast-check";
import { beforeEach, describe, it, vi } from "vitest";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { entryOf, NOON } from "../store/stored.ts";
import { FakeObject, FaultyDatabase } from "./faulty.ts";
import { newMailbox } from "./mailbox.ts";
import { Model, type World } from "./model.ts";
import { events } from "./model-events.ts";

const DOMAIN = 77;

async function newWorld(): Promise<World> {
  const faulty = new FaultyDatabase(env.SHARD_0);
  const object = new FakeObject();
  const box = { ...(await newMailbox({ DOMAIN: object.namespace })), db: faulty.db };
  const entries = new Map<string, ReturnType<typeof entryOf>[]>();
  return {
    box,
    domainId: DOMAIN,
    now: NOON,
    faulty,
    object,
    async arrive(name, count) {
      const mine = entries.get(name) ?? Array.from({ length: count }, () => entryOf(box.account, { domain: DOMAIN }));
      entries.set(name, mine);
      await indexMessage(faulty.db, mine, { portal: "waiting" });
    },
  };
}

// What is made to fail is told to the console, with its stack: that helps nobody.
beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
});

describe("a mailbox", { timeout: 300_000 }, () => {
  it("is as the model says after each step, for its owner and for three clients that follow its changes", async () => {
    await fc.assert(
      fc.asyncProperty(events(30), async (all) => {
        const model = await Model.begin(await newWorld());
        for (const event of all) await model.step(event);
        await model.end();
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });
});
