/**
 * While a test waits for an answer that never comes, the limits of the product come sooner; the product reads its own as
 * always. Which limits is told by the file that sets the timer: a server that is only slow must keep its time.
 */

export interface Haste {
  /** The answer is being waited for: timers that are set, and those that run, come soon. */
  hurry(): void;
  /** Timers that are set from now on keep their time. */
  end(): void;
}

interface Hasty {
  /** Ends of paths, such as `store/deadline.ts`. */
  readonly files: readonly string[];
  /** Milliseconds, of the shortest limit; longer ones take longer, for they stand around others. */
  readonly shortest: number;
  /** What longer ones take more, at most. */
  readonly more: number;
  begun: boolean;
}

/** Shorter timers are no limits of a wait for somebody else. */
const LONG = 500;
/** How often a timer that runs looks whether it is to come soon. */
const STEP = 40;
/** A limit comes that many times sooner, after the shortest. */
const PART = 25;
const MOST = 2_000;

const all = new Set<Hasty>();

/** From now on; with `begun` at once, else from `hurry` on. */
export function hasten(files: readonly string[], shortest: number, begun: boolean, more: number = MOST): Haste {
  const mine = { files, shortest, more, begun };
  all.add(mine);
  return {
    hurry() {
      mine.begun = true;
    },
    end() {
      all.delete(mine);
    },
  };
}

const setRealTimeout = globalThis.setTimeout;
const clearRealTimeout = globalThis.clearTimeout;

/** A timer in steps. Each belongs to the invocation that set it, as the platform wants it. */
class Steps {
  #timer: ReturnType<typeof setTimeout>;

  constructor(fire: () => void, milliseconds: number, mine: Hasty) {
    const soon = mine.shortest + Math.min(milliseconds / PART, mine.more);
    const step = (left: number): ReturnType<typeof setTimeout> =>
      mine.begun || left <= STEP
        ? setRealTimeout(fire, Math.min(left, soon))
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
  if (all.size === 0 || milliseconds < LONG) return setRealTimeout(fire, milliseconds);
  // Not who waits for who sets it: those are behind.
  const [stack = ""] = (new Error("who sets this timer").stack ?? "").split("    at async ");
  const mine = [...all].findLast(({ files }) => files.some((file) => stack.includes(file)));
  return mine ? new Steps(fire, milliseconds, mine) : setRealTimeout(fire, milliseconds);
});

replaceGlobal("clearTimeout", (timer: Parameters<typeof clearTimeout>[0] | Steps) => {
  if (timer instanceof Steps) timer.clear();
  else clearRealTimeout(timer);
});
