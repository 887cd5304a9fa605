/**
 * While a test waits for an answer that never comes, the limits of the product come sooner; the product reads its own as
 * always. Which limits is told by the file that sets the timer: a server that is only slow must keep its time.
 */

interface Haste {
  /** Ends of paths, such as `store/deadline.ts`. */
  readonly files: readonly string[];
  /** Milliseconds, of the shortest limit; longer ones take longer, for they stand around others. */
  readonly shortest: number;
  /** The answer is being waited for: timers that are set, and those that run, come soon. */
  begun: boolean;
}

/** Shorter timers are no limits of a wait for somebody else. */
const LONG = 1_000;
/** How often a timer that runs looks whether it is to come soon. */
const STEP = 40;
/** A limit comes that many times sooner, after the shortest. */
const PART = 25;
const MOST = 1_200;

let haste: Haste | null = null;

/** From now on; with `begun` at once, else from `hurry` on. */
export function hasten(files: readonly string[], shortest: number, begun: boolean): void {
  haste = { files, shortest, begun };
}

export function hurry(): void {
  if (haste) haste.begun = true;
}

export function calm(): void {
  haste = null;
}

const setRealTimeout = globalThis.setTimeout;
const clearRealTimeout = globalThis.clearTimeout;

/** A timer in steps. Each belongs to the invocation that set it, as the platform wants it. */
class Steps {
  #timer: ReturnType<typeof setTimeout>;

  constructor(fire: () => void, milliseconds: number, mine: Haste) {
    const step = (left: number): ReturnType<typeof setTimeout> =>
      mine.begun || left <= STEP
        ? setRealTimeout(fire, Math.min(left, mine.shortest + Math.min(milliseconds / PART, MOST)))
        : setRealTimeout(() => {
            this.#timer = step(left - STEP);
          }, STEP);
    this.#timer = step(milliseconds);
  }

  clear(): void {
    clearRealTimeout(this.#timer);
  }
}

function replaceGlobal(name: "setTimeout" | "clearTimeout", value: unknown): void {
  Object.defineProperty(globalThis, name, { configurable: true, writable: true, value });
}

replaceGlobal("setTimeout", (fire: () => void, milliseconds = 0) => {
  const mine = haste;
  if (!mine || milliseconds < LONG) return setRealTimeout(fire, milliseconds);
  const stack = new Error("who sets this timer").stack ?? "";
  return mine.files.some((file) => stack.includes(file))
    ? new Steps(fire, milliseconds, mine)
    : setRealTimeout(fire, milliseconds);
});

replaceGlobal("clearTimeout", (timer: Parameters<typeof clearTimeout>[0] | Steps) => {
  if (timer instanceof Steps) timer.clear();
  else clearRealTimeout(timer);
});
