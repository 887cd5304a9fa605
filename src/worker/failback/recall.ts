/** Before a slice: what other invocations were sending for one that ended without a word. */
import { invocationOf } from "./desk.ts";
import type { Flights } from "./flights.ts";
import type { Carrier } from "./ports.ts";

/**
 * There is one object of a name, and it answers for its connections: what it has ended is known or was not sent. Where it does
 * not answer, or still waits for a reply, its claims hold until their lease ends. Never rejects.
 */
export async function recallAll(
  flights: Flights,
  carriers: (invocation: number) => Carrier,
  clock: () => number,
): Promise<void> {
  const byInvocation = Map.groupBy(flights.heldElsewhere(), invocationOf);
  await Promise.all(
    [...byInvocation].map(async ([invocation, slots]) => {
      try {
        const { reports, busy } = await carriers(invocation).recall(slots);
        for (const { slot, report } of reports) flights.settleClaim(slot, report, clock());
        for (const slot of slots) if (!busy.includes(slot)) flights.release(slot);
      } catch (error) {
        console.error("an invocation of an earlier run cannot be called back", String(error));
      }
    }),
  );
}
