/** The mode machine of one domain: each state is stored, with what is to be logged, before anyone acts on it. */
import { type Effect, type ModeEvent, type ModeState, probeInterval, transition } from "../../core/mode.ts";
import type { EventLog } from "./log.ts";
import type { DomainMemory, Remembered } from "./memory.ts";

export class DomainMachine {
  readonly #memory: DomainMemory;
  readonly #log: EventLog;
  /** Told after the mode has changed and is stored. */
  readonly #changed: () => void;
  /** Milliseconds between probes of a healthy origin. */
  readonly healthy: number;

  constructor(memory: DomainMemory, log: EventLog, healthy: number, changed: () => void) {
    this.#memory = memory;
    this.#log = log;
    this.healthy = healthy;
    this.#changed = changed;
  }

  /**
   * All of it happens in one turn of the object, so it is stored as one.
   * @returns whether a proof is asked for
   */
  apply(event: ModeEvent, now: number): { readonly prove: boolean } {
    const held = this.#memory.held;
    if (!held) return { prove: false };
    const { state, effects } = transition(held.mode, event, now);
    const change = this.#changeOf(held, state, effects, now);
    // What would be the same after a restart is not written: successes come with each message while in doubt.
    if (Object.keys(change).length > 0 || lasting(state) !== lasting(held.mode)) {
      this.#memory.update({ ...change, mode: state });
    } else {
      this.#memory.note(state);
    }
    for (const effect of effects) this.#record(effect, now);
    return { prove: effects.some((effect) => effect.kind === "prove") };
  }

  /** After a probe that began then. */
  scheduleProbe(began: number, now: number): void {
    const held = this.#memory.held;
    if (!held) return;
    this.#memory.update({ probeAt: Math.max(began + probeInterval(held.mode, this.healthy), now) });
  }

  #changeOf(held: Remembered, state: ModeState, effects: readonly Effect[], now: number): Partial<Remembered> {
    const kinds = new Set(effects.map((effect) => effect.kind));
    return {
      ...(kinds.has("changed")
        ? { unsaved: true, probeAt: Math.min(held.probeAt, now + probeInterval(state, this.healthy)) }
        : {}),
      ...(kinds.has("probe") ? { probeAt: Math.min(held.probeAt, now) } : {}),
      ...(kinds.has("failback") ? { failbackAt: now } : {}),
    };
  }

  #record(effect: Effect, now: number): void {
    if (effect.kind === "changed") {
      const { from, to, cause, actor } = effect;
      this.#log.append({ kind: "mode_changed", actor, data: { from, to, cause } }, now);
      this.#changed();
    } else if (effect.kind === "log") {
      this.#log.append({ kind: effect.event, actor: effect.actor, data: effect.data }, now);
    }
  }
}

function lasting(state: ModeState): string {
  return JSON.stringify({ ...state, clock: 0, scales: { ...state.scales, lastGood: 0 } });
}
