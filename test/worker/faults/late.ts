/** An origin that answers the final dot later than the sender waits (decision 009). */
import { expect } from "vitest";
import { hasten } from "./haste.ts";
import type { Attempt } from "./matrix.ts";
import type { Scene } from "./scene.ts";
import type { Sender } from "./sender.ts";

/** Until it is given another behaviour. */
export const HELD = { steps: { final: { held: true } } } as const;
/** Milliseconds: what a message needs to come to its final dot here, and until the one who does not answer is given up. */
const PATIENCE = 2_000;
/** Another invocation hears of the end. */
const BEHIND = 3_000;
const POLL = 20;

/** The origin has the whole message, the sender's time is over, and redelivery goes on meanwhile; then the origin speaks. */
export async function comeLate(scene: Scene, sender: Sender, { fault }: Attempt): Promise<void> {
  const budget = hasten(["receive/budget.ts"], POLL, false, 0);
  const pauses = hasten(["domain/tell-final.ts"], POLL, true, 0);
  try {
    let over = false;
    const answered = async (): Promise<void> => {
      over = true;
      const before = await scene.dots();
      await scene.wake();
      await scene.domain.run(20);
      if (fault === null) expect(await scene.dots(), "redelivery leaves it alone").toBe(before);
      await scene.mend({});
    };
    const sending = sender.try(answered);
    await until(async () => over || (await scene.dots()) > 0, PATIENCE);
    budget.hurry();
    // Where nothing could be stored, the sender waits with us for the origin to speak.
    await until(async () => over, PATIENCE);
    if (!over) await scene.mend({});
    await sending;
    await until(async () => (await scene.backlog()).waiting === 0, BEHIND);
  } finally {
    budget.end();
    pauses.end();
  }
}

async function until(done: () => Promise<boolean>, milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await done()) && Date.now() < end) await scheduler.wait(POLL);
}
