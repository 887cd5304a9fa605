/** Octets of messages that the process holds, over all connections: a counter that says no. */
export class MemoryBudget {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  reserve(octets: number): boolean {
    if (this.#used + octets > this.#max) return false;
    this.#used += octets;
    return true;
  }

  release(octets: number): void {
    this.#used -= octets;
  }

  get used(): number {
    return this.#used;
  }
}
