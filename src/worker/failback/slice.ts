/** A slice of a failback run: everything that waits, oldest first, over a few connections, until something ends it. */
import { CONNECTIONS_PER_INVOCATION, READS_AT_ONCE } from "../../core/limits.ts";
import type { Outcome } from "../../core/outcome.ts";
import { invocationOf, SliceDesk } from "./desk.ts";
import { Lane } from "./lane.ts";
import { Octets } from "./octets.ts";
import type { Carrier, FailbackPorts } from "./ports.ts";
import type { Ramp } from "./ramp.ts";
import { recallAll } from "./recall.ts";

/**
 * `done`: the whole backlog was read. `cut`: the slice was full, go on. `stopped`: the mode changed. `unavailable`: no
 * connection, a timeout or 421. `deferrals`: five in a row, of different recipients. `storage`: D1 or R2 did not answer; `partly`:
 * the backlog was read but for that of a shard.
 */
export type SliceEnd = "done" | "partly" | "cut" | "stopped" | "unavailable" | "deferrals" | "storage";

export interface SliceResult {
  readonly end: SliceEnd;
  /** In words, for the event. */
  readonly why: string;
  readonly delivered: number;
  readonly refused: number;
  readonly deferred: number;
  /** Connections opened. */
  readonly connections: number;
  /** At the same time, at the most. */
  readonly peak: number;
  /** What became of the last message that was tried, or of the last connection. */
  readonly last: Outcome | null;
  /** Messages of this invocation. */
  readonly here: number;
  /** For the next slice of the run. */
  readonly ramp: Ramp;
}

export interface SliceOptions {
  /** That are tried, at most. */
  readonly messages: number;
  /** By one invocation. */
  readonly perInvocation: number;
  readonly connections: number;
  /** Milliseconds after which no further message is begun. */
  readonly time: number;
  /** Of messages that were deferred before: those whose pause is over, none, or all. */
  readonly deferred: "due" | "none" | "all";
  /** Of the slice before in the same run. */
  readonly ramp?: Ramp;
}

/** Never rejects. */
export function runSlice(ports: FailbackPorts, options: SliceOptions): Promise<SliceResult> {
  return new Slice(ports, options).run();
}

class Slice {
  readonly #ports: FailbackPorts;
  readonly #connections: number;
  readonly #desk: SliceDesk;
  readonly #stored: Octets;
  readonly #lanes = new Map<number, Promise<void>>();
  /** Connections that took nothing although there was something, or that were lost: not again in this slice. */
  readonly #done = new Set<number>();

  constructor(ports: FailbackPorts, options: SliceOptions) {
    this.#ports = ports;
    this.#connections = ports.carriers
      ? options.connections
      : Math.min(options.connections, CONNECTIONS_PER_INVOCATION);
    this.#stored = new Octets((key) => ports.raw(key), READS_AT_ONCE.object);
    this.#desk = new SliceDesk(ports, { ...options, connections: this.#connections }, () => this.#widen());
  }

  async run(): Promise<SliceResult> {
    const { carriers, flights, clock } = this.#ports;
    if (carriers) await recallAll(flights, carriers, clock);
    this.#widen();
    while (this.#lanes.size > 0) await Promise.race(this.#lanes.values());
    return this.#desk.conclude();
  }

  /** Starts as many lanes as the ramp allows. */
  #widen(): void {
    for (let slot = 0; slot < Math.min(this.#desk.allowed, this.#connections); slot++) {
      if (this.#lanes.has(slot) || this.#done.has(slot) || !this.#desk.goesOn(slot)) continue;
      const carrier = slot < CONNECTIONS_PER_INVOCATION ? null : this.#ports.carriers?.(invocationOf(slot));
      const before = this.#desk.claimedBy(slot);
      const lane = carrier ? this.#elsewhere(slot, carrier) : this.#here(slot);
      this.#lanes.set(
        slot,
        lane.finally(() => {
          this.#lanes.delete(slot);
          if (this.#desk.claimedBy(slot) === before) this.#done.add(slot);
          this.#widen();
        }),
      );
    }
  }

  async #here(slot: number): Promise<void> {
    const { open, clock } = this.#ports;
    const unheard = await new Lane(slot, this.#desk, { open, clock, stored: this.#stored }).run();
    this.#desk.take(slot, unheard);
    this.#desk.left(slot);
  }

  async #elsewhere(slot: number, carrier: Carrier): Promise<void> {
    try {
      this.#desk.take(slot, await carrier.carry(slot, this.#desk));
      return this.#desk.left(slot);
    } catch (error) {
      console.error("another invocation of a failback run is lost", String(error));
    }
    this.#done.add(slot);
    try {
      const { reports, busy } = await carrier.recall([slot]);
      this.#desk.take(
        slot,
        reports.filter((one) => one.slot === slot).map((one) => one.report),
      );
      if (!busy.includes(slot)) return this.#desk.left(slot);
    } catch (error) {
      console.error("it cannot be called back either: what it holds stays claimed", String(error));
    }
    this.#desk.lost(slot);
  }
}
