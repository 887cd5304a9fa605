/**
 * Learns which calls a piece of work makes to what stands in front of the bindings (bindings.ts), and makes one of them fail.
 */
import { vi } from "vitest";
import { type Haste, hasten } from "./haste.ts";

/**
 * `before`: throws without effect. `after`: takes effect, then throws. `never`: no effect and no answer. `neverAfter`: takes
 * effect, and the answer never comes.
 */
export type Fault = "before" | "after" | "never" | "neverAfter";

export const FAULTS: Readonly<Record<Fault, string>> = {
  before: "fails before",
  after: "fails after",
  never: "never answers",
  neverAfter: "never answers, done",
};

/** What only reads has no effect to take: two ways of failing are the same. */
const READS = /: (?:reads |get$|head$|list$|plan$|events$|status$)/;

export function faultsOf({ name }: Call): Fault[] {
  return READS.test(name) ? ["before", "never"] : ["before", "after", "never", "neverAfter"];
}

/** The n-th call of one kind. */
export interface Call {
  readonly name: string;
  readonly nth: number;
}

export class InjectedFault extends Error {
  override readonly name = "InjectedFault";
}

interface Watch {
  readonly counts: Map<string, number>;
  readonly fault: { readonly call: Call; readonly kind: Fault } | null;
  readonly limits: readonly Haste[];
  fired: boolean;
}

/** Waits of the product for others than bindings, and how much more than the shortest the longer of them take. */
export interface Waits {
  readonly files: readonly string[];
  readonly more?: number | undefined;
}

const NO_MORE: Waits = { files: [] };

/** The product's waits for a binding. */
const WAITS = ["store/deadline.ts"];

let watch: Watch | null = null;

/** Runs `work` without faults. @returns the calls that it made, by name */
export async function learn(work: () => Promise<unknown>): Promise<Call[]> {
  const { counts } = await watched(null, work);
  const calls = [...counts].flatMap(([name, count]) =>
    Array.from({ length: count }, (_, index) => ({ name, nth: index + 1 })),
  );
  return calls.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.nth - b.nth));
}

/**
 * Runs `work` with that call failing.
 * @param waits further ones, for whoever does not answer
 * @returns whether the call was made
 */
export async function withFault(
  call: Call,
  kind: Fault,
  work: () => Promise<unknown>,
  waits: Waits = NO_MORE,
): Promise<boolean> {
  return (await watched({ call, kind }, work, waits)).fired;
}

async function watched(fault: Watch["fault"], work: () => Promise<unknown>, waits: Waits = NO_MORE): Promise<Watch> {
  // Whoever waits for an answer that never comes need not wait for the whole of its limit.
  const silent = fault?.kind === "never" || fault?.kind === "neverAfter";
  const limits = silent ? [hasten(WAITS, QUICK, false), hasten(waits.files, QUICK, false, waits.more)] : [];
  const mine: Watch = { counts: new Map(), fault, limits, fired: false };
  watch = mine;
  // What is made to fail is told to the console, hundreds of times with its stack: that helps nobody.
  const silenced = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
  for (const spy of silenced) spy.mockImplementation(() => undefined);
  try {
    await work();
    return mine;
  } finally {
    watch = null;
    for (const limit of limits) limit.end();
    for (const spy of silenced) spy.mockRestore();
  }
}

let called: ((name: string) => Promise<void>) | null = null;

/** What is to happen before each call; null: nothing. */
export function beforeEachCall(hook: typeof called): void {
  called = hook;
}

/** Whether the call that is to fail has been made. */
export const hasStruck = (): boolean => watch?.fired === true;

/** One call of a binding. The work begins in the same turn, as it would without an injector. */
export async function through<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (called) await called(name);
  const kind = strikes(name);
  if (kind === null) return work();
  if (kind === "after" || kind === "neverAfter") await work();
  if (kind === "before" || kind === "after") throw new InjectedFault(`${name}: this call was made to fail`);
  return new Promise<never>(() => undefined);
}

/** Counts a call of that name. @returns how it fails, if it is to */
export function strikes(name: string): Fault | null {
  if (!watch) return null;
  const nth = (watch.counts.get(name) ?? 0) + 1;
  watch.counts.set(name, nth);
  const { fault } = watch;
  if (fault?.call.name !== name || fault.call.nth !== nth) return null;
  watch.fired = true;
  for (const limit of watch.limits) limit.hurry();
  return fault.kind;
}

/** Milliseconds: many times what a call to a binding takes here. */
const QUICK = 150;
