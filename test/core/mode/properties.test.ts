import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { initialMode, type ModeEvent, type ModeState, transition } from "../../../src/core/mode.ts";
import type { Outcome } from "../../../src/core/outcome.ts";
import { delivered, failure, noConnection, pathFailure, refused, reply } from "./machine.ts";

const strong: Outcome[] = [
  noConnection,
  failure("connect", "timeout"),
  reply("mail", 451),
  reply("rcpt", 421),
  reply("auth", 535),
];
const weak: Outcome[] = [reply("rcpt", 451), reply("final", 451), failure("final", "timeout"), pathFailure];
const good: Outcome[] = [delivered, refused];

const recipient = fc.constantFrom("a@example.org", "b@example.org", "c@example.org", "d@example.org");
const since = fc.integer({ min: 0, max: 40_000 });
const delivery = (outcomes: readonly Outcome[]): fc.Arbitrary<(now: number) => ModeEvent> =>
  fc.tuple(fc.constantFrom(...outcomes), recipient, since).map(
    ([outcome, to, ago]) =>
      (now: number): ModeEvent => ({ kind: "delivery", recipient: to, outcome, began: now - ago }),
  );
const probe = (outcomes: readonly Outcome[]): fc.Arbitrary<(now: number) => ModeEvent> =>
  fc.tuple(fc.constantFrom(...outcomes), since).map(
    ([outcome, ago]) =>
      (now: number): ModeEvent => ({ kind: "probe", ok: outcome.kind === "delivered", outcome, began: now - ago }),
  );
const plain =
  (event: ModeEvent): (() => ModeEvent) =>
  () =>
    event;
const choice = fc.constantFrom("normal" as const, "emergency" as const, "auto" as const);
const other = fc.oneof(
  fc.boolean().map((ok) => plain({ kind: "proof", ok, text: "tried" })),
  fc.constant(plain({ kind: "time" })),
);
const chosen = choice.map((one) => plain({ kind: "choice", choice: one, actor: "admin@example.org" }));
const settings = fc
  .record({ continuity: fc.boolean(), switching: fc.constantFrom("manual" as const, "automatic" as const) })
  .map((one) => plain({ kind: "settings", ...one }));
const anything = fc.oneof(
  delivery([...strong, ...weak, ...good]),
  probe([noConnection, pathFailure, delivered]),
  other,
  chosen,
  settings,
);

/** Events with the milliseconds that pass before each; the clock may be set back. */
const history = (
  event: fc.Arbitrary<(now: number) => ModeEvent>,
  least = 0,
): fc.Arbitrary<[number, (now: number) => ModeEvent][]> =>
  fc.array(fc.tuple(fc.integer({ min: least, max: 60_000 }), event), { maxLength: 60 });

function* play(events: readonly [number, (now: number) => ModeEvent][], automatic = true) {
  let now = 1_000_000_000;
  let state: ModeState = initialMode(
    { continuity: true, switching: automatic ? "automatic" : "manual" },
    "normal",
    now,
  );
  for (const [pause, make] of events) {
    now += pause;
    const event = make(now);
    const next = transition(state, event, now);
    yield { before: state, event, ...next };
    state = next.state;
  }
}

describe("the mode machine, whatever happens", () => {
  it("never fails over on weak evidence of one recipient, nor on failures of our own path", () => {
    const one = delivery(weak).map(
      (make) =>
        (now: number): ModeEvent =>
          ({ ...make(now), recipient: "a@example.org" }) as ModeEvent,
    );
    fc.assert(
      fc.property(history(fc.oneof(one, probe([pathFailure, delivered]), other)), (events) => {
        for (const { state } of play(events)) expect(state.mode).toBe("normal");
      }),
    );
  });

  it("never fails over while the origin takes mail between any two failures", () => {
    fc.assert(
      fc.property(history(delivery(strong)), (events) => {
        const taken = (now: number): ModeEvent => ({
          kind: "delivery",
          recipient: "a@example.org",
          outcome: delivered,
          began: now,
        });
        const calm = events.flatMap((one): [number, (now: number) => ModeEvent][] => [one, [0, taken]]);
        for (const { state } of play(calm)) expect(state.mode).toBe("normal");
      }),
    );
  });

  it("lets a person's choice hold against everything but another choice and the end of continuity", () => {
    fc.assert(
      fc.property(history(anything, -60_000), (events) => {
        for (const { before, event, state } of play(events)) {
          if (state.choice) expect(state.mode).toBe(state.choice.mode);
          if (before.choice && event.kind !== "choice" && event.kind !== "settings")
            expect(state.mode).toBe(before.mode);
        }
      }),
    );
  });

  it("changes nothing by itself under manual switching", () => {
    fc.assert(
      fc.property(
        history(fc.oneof(delivery([...strong, ...weak, ...good]), probe([noConnection, delivered]), other)),
        (events) => {
          for (const { effects } of play(events, false))
            expect(effects.map((one) => one.kind)).not.toContain("changed");
        },
      ),
    );
  });

  it("is in normal mode while continuity is off", () => {
    fc.assert(
      fc.property(history(anything, -60_000), (events) => {
        for (const { state } of play(events)) if (!state.continuity) expect(state.mode).toBe("normal");
      }),
    );
  });

  it("never goes back in time, even when the clock does", () => {
    fc.assert(
      fc.property(history(anything, -60_000), (events) => {
        for (const { before, state } of play(events)) {
          expect(state.clock).toBeGreaterThanOrEqual(before.clock);
          expect(state.since).toBeGreaterThanOrEqual(before.since);
          expect(state.since).toBeLessThanOrEqual(state.clock);
        }
      }),
    );
  });

  it("says each change once, from the mode before to the mode after, and gives the backlog back with each return", () => {
    fc.assert(
      fc.property(history(anything), (events) => {
        for (const { before, state, effects } of play(events)) {
          const changes = effects.filter((one) => one.kind === "changed");
          expect(changes.length).toBe(before.mode === state.mode ? 0 : 1);
          if (changes[0]) expect([changes[0].from, changes[0].to]).toEqual([before.mode, state.mode]);
          expect(effects.some((one) => one.kind === "failback")).toBe(
            before.mode === "emergency" && state.mode === "normal",
          );
        }
      }),
    );
  });

  it("returns by itself only after a proof", () => {
    fc.assert(
      fc.property(
        history(fc.oneof(delivery([...strong, ...good]), probe([noConnection, delivered]), other)),
        (events) => {
          for (const { before, event, state } of play(events)) {
            if (before.mode === "emergency" && state.mode === "normal")
              expect(event).toMatchObject({ kind: "proof", ok: true });
          }
        },
      ),
    );
  });

  it("survives being stored as JSON", () => {
    fc.assert(
      fc.property(history(anything), (events) => {
        for (const { state } of play(events)) expect(JSON.parse(JSON.stringify(state))).toEqual(state);
      }),
    );
  });
});
