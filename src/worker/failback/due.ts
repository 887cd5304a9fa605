/** Which of the waiting messages are to be sent in this slice. */
import { FLIGHT_LEASE } from "../../core/limits.ts";
import type { FailbackPorts, Flight } from "./ports.ts";
import type { Settlement } from "./settle.ts";
import type { SliceOptions } from "./slice.ts";

/** What is settled already goes to D1, what pauses or was withdrawn is passed over. */
export function isDue(
  flight: Flight,
  { flights, clock }: Pick<FailbackPorts, "flights" | "clock">,
  deferred: SliceOptions["deferred"],
  settlement: Settlement,
): boolean {
  const known = flights.get(flight.key);
  switch (known?.state) {
    case "delivered":
      settlement.delivered(flight);
      return false;
    case "refused":
      settlement.refused(flight, known.reply ?? "null");
      return false;
    case "deferred":
      if (deferred === "all") return true;
      // One that a crash interrupted has not been deferred by anybody: it keeps its place.
      if (deferred === "none" && known.attempts > 0) return false;
      return known.dueAt <= clock();
    case "awaiting":
      return known.dueAt <= clock();
    case "withdrawn":
      return known.dueAt < flight.readAt;
    case "sending":
      return known.at < clock() - FLIGHT_LEASE;
    case undefined:
      break;
  }
  // An index that was set back to an earlier time shows it once more.
  if (!flights.fates.isDelivered(flight.key)) return true;
  settlement.delivered(flight);
  return false;
}
