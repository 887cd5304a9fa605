/** Whatever people, clients and failback do to a mailbox, with calls that fail and are repeated: it is as the model says. */
import { env } from "cloudflare:test";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { indexMessage } from "../../../src/worker/archive/index.ts";
import { entryOf, NOON } from "../store/stored.ts";
import { FaultyDatabase, InjectedError } from "./faulty.ts";
import { newMailbox } from "./mailbox.ts";
import { Model, type World } from "./model.ts";
import { events } from "./model-events.ts";

const DOMAIN = 77;

async function newWorld(): Promise<World> {
  const faulty = new FaultyDatabase(env.SHARD_0);
  const box = { ...(await newMailbox()), db: faulty.db };
  const entries = new Map<string, ReturnType<typeof entryOf>[]>();
  return {
    box,
    domainId: DOMAIN,
    now: NOON,
    fault: (kind, skip) => faulty.fault(kind, skip),
    calm: () => faulty.calm(),
    isFault: (error) => error instanceof InjectedError,
    async arrive(name, count) {
      const mine = entries.get(name) ?? Array.from({ length: count }, () => entryOf(box.account, { domain: DOMAIN }));
      entries.set(name, mine);
      await indexMessage(faulty.db, mine, { portal: "waiting" });
    },
  };
}

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
