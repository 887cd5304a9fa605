/** The result of a run: how much agrees, and what differs, by kind. */
import { ASPECTS, type Aspect, type Difference } from "./compare.ts";
import { isDecided } from "./kinds.ts";

interface Seen {
  times: number;
  readonly file: string;
  readonly first: Difference;
}

/** Characters that are shown of a difference, and how many of them lie before it. */
const SHOWN = 160;
const BEFORE = 40;

export class Tally {
  messages = 0;
  /** Messages in which nothing differs. */
  #same = 0;
  readonly #compared = new Map<Aspect, number>();
  readonly #agreed = new Map<Aspect, number>();
  /** Differs, and a standard says who is right. */
  readonly #decided = new Map<Aspect, number>();
  readonly #kinds = new Map<string, Seen>();
  readonly #stored: number[] = [];

  /** @param stored characters of the row's column, if it has one */
  add(file: string, differences: ReadonlyMap<Aspect, Difference | null>, stored: number | null): void {
    this.messages++;
    if (stored !== null) this.#stored.push(stored);
    let same = true;
    for (const [aspect, difference] of differences) {
      count(this.#compared, aspect);
      if (!difference) {
        count(this.#agreed, aspect);
        continue;
      }
      same = false;
      if (isDecided(difference.kind)) count(this.#decided, aspect);
      const name = `${aspect}: ${difference.kind}`;
      const seen = this.#kinds.get(name);
      if (seen) seen.times++;
      else this.#kinds.set(name, { times: 1, file, first: difference });
    }
    if (same) this.#same++;
  }

  report(): string {
    const kinds = [...this.#kinds].sort(([, a], [, b]) => b.times - a.times);
    const lines = kinds.flatMap(([name, { times, file, first }]) => {
      const [ours, theirs] = shown(first);
      return [
        `${String(times).padStart(5)}  ${name}`,
        `       ${file}`,
        `         we   ${ours}`,
        `         they ${theirs}`,
      ];
    });
    const aspects = ASPECTS.filter((aspect) => this.#compared.has(aspect)).map((aspect) => {
      const [agreed, compared] = [this.#agreed.get(aspect) ?? 0, this.#compared.get(aspect) ?? 0];
      const decided = agreed + (this.#decided.get(aspect) ?? 0);
      const counts = `${String(agreed).padStart(6)} of ${String(compared).padStart(6)}`;
      return `${aspect.padEnd(10)} ${counts}  ${percent(agreed, compared)}, ${percent(decided, compared)} with what a standard decides`;
    });
    const [agreed, decided, compared] = [sum(this.#agreed), sum(this.#decided), sum(this.#compared)];
    const stored = this.#stored.toSorted((a, b) => a - b);
    const at = (part: number) => stored[Math.min(stored.length - 1, Math.floor(stored.length * part))] ?? 0;
    const mean = Math.round(stored.reduce((sum, one) => sum + one, 0) / Math.max(stored.length, 1));
    return [
      ...lines,
      ...(lines.length > 0 ? [""] : []),
      ...aspects,
      "",
      `structure in the row: median ${at(0.5)} characters, mean ${mean}, of a hundred the longest ${at(0.99)}, longest ${at(1)}; too long for it: ${this.messages - stored.length}`,
      `${this.messages} messages, ${this.#same} of them without any difference; agreement ${percent(agreed, compared)}, ${percent(agreed + decided, compared)} with what a standard decides`,
    ].join("\n");
  }
}

function count(counts: Map<Aspect, number>, aspect: Aspect): void {
  counts.set(aspect, (counts.get(aspect) ?? 0) + 1);
}

function sum(counts: ReadonlyMap<Aspect, number>): number {
  return [...counts.values()].reduce((all, one) => all + one, 0);
}

/** Rounded down. */
function percent(part: number, whole: number): string {
  return `${(Math.floor((part / Math.max(whole, 1)) * 10_000) / 100).toFixed(2)} %`;
}

/** Where they begin to differ. */
export function shown({ ours, theirs }: Pick<Difference, "ours" | "theirs">): [string, string] {
  let at = 0;
  while (at < ours.length && ours[at] === theirs[at]) at++;
  const from = Math.max(0, at - BEFORE);
  const cut = (text: string) => JSON.stringify(text.slice(from, from + SHOWN).toWellFormed());
  return [cut(ours), cut(theirs)];
}
