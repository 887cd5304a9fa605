/** A mode machine with a clock, for tests: what happens to a domain, in the order in which it happens. */
import {
  type Effect,
  initialMode,
  type ModeEvent,
  type ModeState,
  type Switching,
  transition,
} from "../../../src/core/mode.ts";
import type { Delivered, Outcome, Phase, Unavailable } from "../../../src/core/outcome.ts";

export const delivered: Delivered = { kind: "delivered", reply: { code: 250, enhanced: "2.0.0", text: "queued" } };
export const refused: Outcome = {
  kind: "refused",
  phase: "rcpt",
  reply: { code: 550, enhanced: "5.1.1", text: "no such user" },
};
export const noConnection: Unavailable = {
  kind: "unavailable",
  where: "origin",
  phase: "connect",
  reason: "no_connection",
};
export const pathFailure: Unavailable = { ...noConnection, where: "path" };

export function failure(phase: Phase, reason: Unavailable["reason"]): Unavailable {
  return { kind: "unavailable", where: "origin", phase, reason };
}

export function reply(phase: Phase, code: number): Unavailable {
  return { kind: "unavailable", where: "origin", phase, reason: "reply", reply: { code, text: "not now" } };
}

export class Machine {
  now = 1_000_000_000;
  state: ModeState;
  effects: Effect[] = [];

  constructor(switching: Switching = "automatic", continuity = true) {
    this.state = initialMode({ continuity, switching }, "normal", this.now);
  }

  event(event: ModeEvent): readonly Effect[] {
    const { state, effects } = transition(this.state, event, this.now);
    this.state = state;
    this.effects.push(...effects);
    return effects;
  }

  wait(seconds: number): this {
    this.now += seconds * 1000;
    return this;
  }

  /** A probe that takes that many seconds. */
  probe(outcome: Outcome = delivered, seconds = 0): readonly Effect[] {
    const began = this.now;
    this.wait(seconds);
    return this.event({ kind: "probe", ok: outcome.kind === "delivered", outcome, began });
  }

  deliver(outcome: Outcome, recipient = "ada@example.org", seconds = 0): readonly Effect[] {
    const began = this.now;
    this.wait(seconds);
    return this.event({ kind: "delivery", recipient, outcome, began });
  }

  choose(choice: "normal" | "emergency" | "auto", actor = "admin@example.org"): readonly Effect[] {
    return this.event({ kind: "choice", choice, actor });
  }

  /** Probes every `every` seconds until one asks for a proof. @returns seconds that it took, or null after `limit` */
  untilProof(every = 5, limit = 4000): number | null {
    const began = this.now;
    while (this.now - began < limit * 1000) {
      if (this.probe().some((effect) => effect.kind === "prove")) return (this.now - began) / 1000;
      this.wait(every);
    }
    return null;
  }

  /** The origin dies: emergency mode, by probes. */
  die(): this {
    for (let i = 0; i < 4; i++) {
      this.probe(noConnection);
      this.wait(5);
    }
    return this;
  }

  /** Good probes, and the proof. */
  recover(): this {
    this.untilProof();
    this.event({ kind: "proof", ok: true, text: "delivered" });
    return this;
  }

  kinds(): string[] {
    return this.effects.map((effect) => effect.kind);
  }
}
