/**
 * The mode machine: probe results, delivery results, a person's choice and time decide where a domain's mail goes. Pure;
 * its owner (worker/domain) stores each state before it acts on the effects.
 */
import {
  age,
  EMPTY_SCALES,
  inDoubt,
  type Observation,
  type Scales,
  signOf,
  verdict,
  weakened,
  weigh,
} from "./evidence.ts";
import { FLAP_WINDOW, MAX_STEADY_TIME, PROBE_IN_DOUBT, STEADY_TIME } from "./limits.ts";
import { describeOutcome, type Outcome } from "./outcome.ts";

export type Mode = "normal" | "emergency";
export type Switching = "manual" | "automatic";

/** A person's choice, which wins over the automatism until it is released. `at` in unix milliseconds. */
export interface Choice {
  readonly mode: Mode;
  readonly actor: string;
  readonly at: number;
}

/** What people and pages see of the machine. */
export interface ModeView {
  readonly mode: Mode;
  /** Unix milliseconds. */
  readonly since: number;
  /** In words: who or what changed it, such as `3 failed probes in 16 s: connect, no_connection`. */
  readonly cause: string;
  readonly switching: Switching;
  readonly choice: Choice | null;
  /** There is evidence against the origin that has not been settled. */
  readonly doubt: boolean;
  /** Since when probes have been good without a break; null where they are not. */
  readonly goodSince: number | null;
}

/** All times in unix milliseconds. Goes through JSON unchanged. */
export interface ModeState {
  readonly mode: Mode;
  readonly since: number;
  readonly cause: string;
  readonly continuity: boolean;
  readonly switching: Switching;
  readonly choice: Choice | null;
  readonly scales: Scales;
  readonly goodSince: number | null;
  /** When mail last began to go to the origin again. */
  readonly failbackAt: number | null;
  /** Failovers that came soon after a failback; each doubles the wait before the next one. */
  readonly flaps: number;
  /** The latest time that was seen: a clock that is set back does not turn the machine back. */
  readonly clock: number;
}

export type ModeEvent =
  | { readonly kind: "probe"; readonly ok: boolean; readonly outcome: Outcome; readonly began: number }
  | {
      readonly kind: "delivery";
      readonly recipient: string;
      readonly outcome: Outcome;
      readonly began: number;
      /** The reply to the final dot was waited for longer than a sender waits: a failure is weak evidence. */
      readonly late?: boolean;
    }
  | { readonly kind: "choice"; readonly choice: Mode | "auto"; readonly actor: string }
  | { readonly kind: "settings"; readonly continuity: boolean; readonly switching: Switching }
  /** One backlog message, or MAIL, RCPT and RSET, was tried: the effect `prove` asked for it. */
  | { readonly kind: "proof"; readonly ok: boolean; readonly text: string }
  | { readonly kind: "time" };

export type Effect =
  | { readonly kind: "changed"; readonly from: Mode; readonly to: Mode; readonly cause: string; readonly actor: string }
  | {
      readonly kind: "log";
      readonly event: string;
      readonly actor: string;
      readonly data: Readonly<Record<string, unknown>>;
    }
  /** Look at the origin now, not at the next turn. */
  | { readonly kind: "probe" }
  /** Send one backlog message, with none MAIL, RCPT and RSET, and say what came of it. */
  | { readonly kind: "prove" }
  /** The backlog may go to the origin. */
  | { readonly kind: "failback" };

export interface Transition {
  readonly state: ModeState;
  readonly effects: readonly Effect[];
}

export function initialMode(
  settings: { readonly continuity: boolean; readonly switching: Switching },
  mode: Mode,
  since: number,
): ModeState {
  const { continuity, switching } = settings;
  return {
    mode: continuity ? mode : "normal",
    since,
    cause: "as recorded in the directory",
    continuity,
    switching,
    choice: null,
    scales: EMPTY_SCALES,
    goodSince: null,
    failbackAt: null,
    flaps: 0,
    clock: since,
  };
}

export function viewOf(state: ModeState): ModeView {
  const { mode, since, cause, switching, choice, goodSince } = state;
  return { mode, since, cause, switching, choice, doubt: inDoubt(state.scales), goodSince };
}

/** @returns milliseconds from the beginning of one probe to that of the next */
export function probeInterval(state: ModeState, healthy: number): number {
  return inDoubt(state.scales) || state.mode === "emergency" ? Math.min(PROBE_IN_DOUBT, healthy) : healthy;
}

/** @param now unix milliseconds; where it lies before an earlier event, that event's time holds */
export function transition(before: ModeState, event: ModeEvent, now: number): Transition {
  const clock = Math.max(before.clock, now);
  const state = { ...before, clock, scales: age(before.scales, clock) };
  switch (event.kind) {
    case "probe":
      return observed(state, probed(event, clock), event.ok);
    case "delivery":
      return observed(state, handed(event, clock), false);
    case "choice":
      return chosen(state, event.choice, event.actor);
    case "settings":
      return settled(state, event.continuity, event.switching);
    case "proof":
      return proved(state, event.ok, event.text);
    case "time":
      return { state, effects: [] };
  }
}

function probed(event: Extract<ModeEvent, { kind: "probe" }>, ended: number): Observation {
  const sign = event.ok ? "answered" : signOf(event.outcome);
  return { sign, began: Math.min(event.began, ended), ended, recipient: null, text: inWords(event.outcome) };
}

function handed(event: Extract<ModeEvent, { kind: "delivery" }>, ended: number): Observation {
  const { outcome, recipient } = event;
  const sign = event.late === true ? weakened(signOf(outcome)) : signOf(outcome);
  return { sign, began: Math.min(event.began, ended), ended, recipient, text: inWords(outcome) };
}

function inWords(outcome: Outcome): string {
  if (outcome.kind !== "unavailable") return describeOutcome(outcome);
  return outcome.reply ? describeOutcome(outcome) : `${outcome.phase}, ${outcome.reason}`;
}

/** What was seen of the origin goes on the scales; then they are read. */
function observed(before: ModeState, seen: Observation, goodProbe: boolean): Transition {
  const scales = weigh(before.scales, seen);
  const bad = seen.sign === "unreachable" || seen.sign === "not_taking";
  const goodSince = bad ? null : goodProbe ? (before.goodSince ?? before.clock) : before.goodSince;
  const state = { ...before, scales, goodSince };
  const flipped = failover(state);
  if (flipped) return flipped;
  if (goodProbe && mayFailBack(state) && state.clock - (goodSince ?? state.clock) >= steadyTime(state.flaps)) {
    return { state, effects: [{ kind: "prove" }] };
  }
  // A delivery that went badly is followed by a look at once: a dead server must be known as dead within a minute.
  const look = seen.recipient !== null && (bad || seen.sign === "hint" || seen.sign === "deferred");
  return { state, effects: look ? [{ kind: "probe" }] : [] };
}

function automatic(state: ModeState): boolean {
  return state.continuity && state.switching === "automatic" && state.choice === null;
}

function mayFailBack(state: ModeState): boolean {
  return automatic(state) && state.mode === "emergency";
}

/** @returns the change to emergency mode, or null where it is not due or not allowed */
function failover(state: ModeState): Transition | null {
  if (!automatic(state) || state.mode !== "normal") return null;
  const cause = verdict(state.scales);
  if (cause === null) return null;
  return change({ ...state, flaps: flapsAt(state), goodSince: null }, "emergency", cause, "probe", []);
}

/** Flaps after a failover now: one more soon after a failback, else one less for each quiet FLAP_WINDOW. */
function flapsAt(state: ModeState): number {
  if (state.failbackAt === null) return 0;
  const quiet = Math.floor((state.clock - state.failbackAt) / FLAP_WINDOW);
  return quiet === 0 ? state.flaps + 1 : Math.max(0, state.flaps - quiet);
}

/** @returns milliseconds of good probes without a break before a failback is tried */
export function steadyTime(flaps: number): number {
  return Math.min(MAX_STEADY_TIME, STEADY_TIME * 2 ** Math.min(flaps, 20));
}

function change(state: ModeState, to: Mode, cause: string, actor: string, more: readonly Effect[]): Transition {
  const back: Effect[] = to === "normal" ? [{ kind: "failback" }] : [];
  return {
    state: {
      ...state,
      mode: to,
      since: state.clock,
      cause,
      failbackAt: to === "normal" ? state.clock : state.failbackAt,
    },
    effects: [{ kind: "changed", from: state.mode, to, cause, actor }, ...more, ...back],
  };
}

function chosen(state: ModeState, choice: Mode | "auto", actor: string): Transition {
  if (choice === "auto") return released(state, actor);
  if (choice === "emergency" && !state.continuity) return { state, effects: [] };
  const held = { ...state, choice: { mode: choice, actor, at: state.clock } };
  if (choice !== state.mode) return change(held, choice, `chosen by ${actor}`, actor, [{ kind: "probe" }]);
  return { state: held, effects: [{ kind: "log", event: "mode_held", actor, data: { mode: choice } }] };
}

function released(held: ModeState, actor: string): Transition {
  if (!held.choice) return { state: held, effects: [] };
  const state = { ...held, choice: null };
  const log: Effect = { kind: "log", event: "mode_released", actor, data: { mode: held.choice.mode } };
  // The evidence of the time of the hold counts from now on.
  const flipped = failover(state);
  if (flipped) return { state: flipped.state, effects: [log, ...flipped.effects] };
  return { state, effects: [log, { kind: "probe" }] };
}

function settled(before: ModeState, continuity: boolean, switching: Switching): Transition {
  if (before.continuity === continuity && before.switching === switching) return { state: before, effects: [] };
  const log: Effect = { kind: "log", event: "settings_changed", actor: "system", data: { continuity, switching } };
  const state = { ...before, continuity, switching };
  if (!continuity) {
    const clean = { ...state, choice: null, scales: EMPTY_SCALES, goodSince: null, flaps: 0 };
    if (state.mode === "normal") return { state: clean, effects: [log] };
    return change(clean, "normal", "continuity was switched off", "system", [log]);
  }
  const flipped = failover(state);
  if (flipped) return { state: flipped.state, effects: [log, ...flipped.effects] };
  return { state, effects: [log, { kind: "probe" }] };
}

function proved(before: ModeState, ok: boolean, text: string): Transition {
  if (!mayFailBack(before)) return { state: before, effects: [] };
  if (ok) {
    const state = { ...before, scales: { ...EMPTY_SCALES, lastGood: before.clock } };
    return change(state, "normal", `the origin takes mail again: ${text}`, "probe", []);
  }
  const log: Effect = { kind: "log", event: "proof_failed", actor: "failback", data: { text } };
  return { state: { ...before, goodSince: null }, effects: [log] };
}
