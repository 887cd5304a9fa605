/** Redelivery lets go of waiting messages before a person takes them; those that it is just sending stay where they are. */
import { err, ok, type Result } from "../../core/result.ts";
import type { Taken } from "../failback/fates.ts";
import { flightKey } from "../failback/ports.ts";
import { withdrawn } from "../failback/withdraw.ts";
import type { Chosen } from "../store/placement-changes.ts";
import type { Known } from "../store/placements.ts";
import { type Mailbox, type Refusal, refusal } from "./contract.ts";

/** What the object is to remember of one mailbox's copy. */
export const copyOf = ({ key, to }: Known, account: number): Omit<Taken, "how"> => ({
  flight: flightKey(key, to),
  account,
});

export interface Released<T> {
  readonly result: T;
  /** Of the waiting ones, those that were taken. */
  readonly taken: readonly number[];
}

/** Withdrawals tried: each time without those that turn out to be under way. */
const TRIES = 3;

/**
 * @param waiting the placements that wait and are to be taken
 * @param ids all that the act is about
 * @param act is told which of the waiting ones are free; it leaves the others alone
 * @param became what the act did to which placement; of those that did not wait it does not matter
 */
export async function release<T>(
  mailbox: Mailbox,
  waiting: readonly Known[],
  ids: readonly number[],
  act: (chosen: Chosen) => Promise<T>,
  became: (result: T) => readonly { readonly id: number; readonly how: Taken["how"] }[],
): Promise<Result<Released<T>, Refusal>> {
  const { env, domain, account } = mailbox;
  let free = waiting;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const byId = new Map(free.map((row) => [row.id, row]));
    const flights = [...new Set(free.map(({ key, to }) => flightKey(key, to)))];
    const done = await withdrawn(
      env,
      domain,
      flights,
      () => act({ account, ids, released: [...byId.keys()] }),
      (result) =>
        became(result).flatMap(({ id, how }) => {
          const row = byId.get(id);
          return row ? [{ ...copyOf(row, account), how }] : [];
        }),
    );
    if (done.kind === "unreachable") return err(refusal("not_asked"));
    if (done.kind === "done") {
      const taken = became(done.value).flatMap(({ id }) => (byId.has(id) ? [id] : []));
      return ok({ result: done.value, taken });
    }
    const sending = new Set(done.flights);
    free = free.filter(({ key, to }) => !sending.has(flightKey(key, to)));
  }
  // They go out one after the other as fast as they are asked for.
  return ok({ result: await act({ account, ids, released: [] }), taken: [] });
}
