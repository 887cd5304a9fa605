/** What the origin has decided goes to D1, in batches. */
import { BACKLOG_PAGE } from "../../core/limits.ts";
import type { FailbackPorts, Flight } from "./ports.ts";

type Writes = Pick<FailbackPorts, "removeDelivered" | "markRefused" | "flights" | "clock">;

const BATCHES_BEHIND = 3;

interface Refusal {
  readonly flight: Flight;
  readonly reply: string;
}

export class Settlement {
  readonly #ports: Writes;
  #delivered: Flight[] = [];
  #refused: Refusal[] = [];
  #failure: unknown = null;
  /** Batches follow one another. */
  #flushing: Promise<void> = Promise.resolve();

  constructor(ports: Writes) {
    this.#ports = ports;
  }

  /** What D1 said when it did not take a batch. The flights remember: the next run settles them first. */
  get failure(): unknown {
    return this.#failure;
  }

  delivered(flight: Flight): void {
    this.#delivered.push(flight);
  }

  /** @param reply JSON of the origin's reply */
  refused(flight: Flight, reply: string): void {
    this.#refused.push({ flight, reply });
  }

  /** Where a batch is full it goes, in the background; only where D1 falls far behind is it waited for. */
  async step(): Promise<void> {
    const size = this.#size();
    if (size >= BACKLOG_PAGE) this.#flushing = this.#flushing.then(() => this.#flush());
    if (size >= BATCHES_BEHIND * BACKLOG_PAGE) await this.#flushing;
  }

  /** Never rejects; see `failure`. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  #size(): number {
    const flights = [...this.#delivered, ...this.#refused.map((one) => one.flight)];
    return flights.reduce((sum, flight) => sum + flight.placements.length, 0);
  }

  async #flush(): Promise<void> {
    const delivered = this.#delivered;
    const refused = this.#refused;
    this.#delivered = [];
    this.#refused = [];
    try {
      for (const [shard, ids] of byShard(delivered)) await this.#ports.removeDelivered(shard, ids);
      for (const [reply, flights] of byReply(refused)) {
        for (const [shard, ids] of byShard(flights)) await this.#ports.markRefused(shard, ids, reply);
        // So that a person may have them sent again.
        this.#ports.flights.forgetRefused(
          flights.map((flight) => flight.key),
          this.#ports.clock(),
        );
      }
    } catch (error) {
      this.#failure = error;
    }
  }
}

function byReply(refused: readonly Refusal[]): Map<string, Flight[]> {
  const map = new Map<string, Flight[]>();
  for (const { flight, reply } of refused) map.set(reply, [...(map.get(reply) ?? []), flight]);
  return map;
}

/** Batches of at most BACKLOG_PAGE placements. */
function byShard(flights: readonly Flight[]): [number, number[]][] {
  const map = new Map<number, number[]>();
  for (const { shard, id } of flights.flatMap((flight) => flight.placements)) {
    map.set(shard, [...(map.get(shard) ?? []), id]);
  }
  return [...map].flatMap(([shard, ids]) => {
    const batches: [number, number[]][] = [];
    for (let at = 0; at < ids.length; at += BACKLOG_PAGE) batches.push([shard, ids.slice(at, at + BACKLOG_PAGE)]);
    return batches;
  });
}
