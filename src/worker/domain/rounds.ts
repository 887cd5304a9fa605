/** What the alarm of a domain's object does: tell D1 the mode, probe, prove, give the backlog back. */
import { MODE_RETRY } from "../../core/limits.ts";
import { saveMode } from "./directory.ts";
import type { FailbackParts } from "./failback.ts";
import { DomainFailback } from "./failback.ts";
import { LateFinals } from "./late-finals.ts";
import type { DomainMachine } from "./machine.ts";
import { waitAtMost } from "./patience.ts";
import type { ProbeRing } from "./probes.ts";

export interface RoundParts extends FailbackParts {
  readonly probes: ProbeRing;
}

export class Rounds {
  readonly #parts: RoundParts;
  readonly failback: DomainFailback;
  readonly lateFinals: LateFinals;
  readonly machine: DomainMachine;
  /** Not before this is D1 told of a mode again, unix milliseconds. */
  #saveAt = 0;

  constructor(parts: RoundParts) {
    this.#parts = parts;
    this.machine = parts.machine;
    this.failback = new DomainFailback(parts);
    this.lateFinals = new LateFinals(parts, this.failback);
  }

  /** Unix milliseconds of the next thing to do, or null. */
  dueAt(): number | null {
    const held = this.#parts.memory.held;
    if (!held) return null;
    const due = [this.#probeAt(), this.failback.dueAt(), held.unsaved ? this.#saveAt : null];
    const times = due.filter((one) => one !== null);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** All that is due; while a slice of failback runs, probes go on. */
  async run(): Promise<void> {
    const { machine, world } = this.#parts;
    machine.apply({ kind: "time" }, world().now());
    await this.tellDirectory();
    const slice = this.#isDue(this.failback.dueAt()) ? this.#slice() : null;
    try {
      for (;;) {
        if (this.#isDue(this.#probeAt()) && (await this.#probe())) {
          await slice?.ended;
          await this.#prove();
        }
        if (!slice || slice.over) break;
        await this.#untilProbe(slice.ended);
      }
    } finally {
      await slice?.ended;
    }
  }

  /** Tells D1 of a mode change that it has not heard of. Never rejects: the alarm tries again. */
  async tellDirectory(): Promise<void> {
    const { memory, env, world } = this.#parts;
    const held = memory.held;
    if (!held?.unsaved || world().now() < this.#saveAt) return;
    this.#saveAt = world().now() + MODE_RETRY;
    try {
      await saveMode(env, held.domain.id, held.mode.mode, held.mode.since);
    } catch (error) {
      console.error("the directory has not heard of a change of mode yet", held.domain.name, String(error));
      return;
    }
    this.#saveAt = 0;
    // Another change may have come meanwhile: then it is still unsaved.
    if (memory.held?.mode.since === held.mode.since) memory.update({ unsaved: false });
  }

  /** Unix milliseconds; null where nobody wants to know: without continuity, or without a route. */
  #probeAt(): number | null {
    const held = this.#parts.memory.held;
    return held?.domain.continuity === true && held.domain.route ? held.probeAt : null;
  }

  #isDue(at: number | null): boolean {
    return at !== null && at <= this.#parts.world().now();
  }

  #slice(): { readonly ended: Promise<void>; over: boolean } {
    const slice = { ended: Promise.resolve(), over: false };
    slice.ended = this.failback.slice().finally(() => {
      slice.over = true;
    });
    return slice;
  }

  async #untilProbe(ended: Promise<void>): Promise<void> {
    const at = this.#probeAt();
    if (at === null) return ended;
    await waitAtMost(Math.max(0, at - this.#parts.world().now()), ended);
  }

  /** @returns whether a proof is asked for */
  async #probe(): Promise<boolean> {
    const { memory, machine, probes, world } = this.#parts;
    const route = memory.held?.domain.route;
    if (!route) return false;
    const began = world().now();
    const result = await world().probe(route);
    const now = world().now();
    probes.add(result, began);
    const { prove } = machine.apply({ kind: "probe", ok: result.ok, outcome: result.outcome, began }, now);
    machine.scheduleProbe(began, now);
    await this.tellDirectory();
    return prove;
  }

  async #prove(): Promise<void> {
    const { machine, log, world } = this.#parts;
    const proof = await this.failback.prove();
    if (!proof) return;
    const { delivered, refused, deferred, connections } = proof.slice;
    if (delivered + refused + deferred > 0) {
      log.append(
        {
          kind: "failback_proof",
          actor: "failback",
          data: { delivered, refused, deferred, connections, text: proof.text },
        },
        world().now(),
      );
    }
    machine.apply({ kind: "proof", ok: proof.ok, text: proof.text }, world().now());
    await this.tellDirectory();
  }
}
