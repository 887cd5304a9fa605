/** How often an address may come: a count for each in the minute that is running, and none remembered beyond it. */
const MINUTE = 60_000;

export class MinuteRate {
  readonly #most: number;
  #minute = 0;
  readonly #counts = new Map<string, number>();

  /** @param most in a minute; 0: without a limit */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param now milliseconds. @returns false where it is one too many */
  allows(address: string, now: number): boolean {
    if (this.#most === 0) return true;
    const minute = Math.floor(now / MINUTE);
    if (minute !== this.#minute) this.#counts.clear();
    this.#minute = minute;
    const count = (this.#counts.get(address) ?? 0) + 1;
    this.#counts.set(address, count);
    return count <= this.#most;
  }
}
