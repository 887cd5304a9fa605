/** How many connections go to one host: a server that keeps all of its own waiting must not take those of the others. */
export class HostCount {
  readonly most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.most = most;
  }

  /** @returns what gives the place back, to be called once; null where there is none */
  enter(host: string): (() => void) | null {
    const count = this.#counts.get(host) ?? 0;
    if (count >= this.most) return null;
    this.#counts.set(host, count + 1);
    return () => {
      const left = (this.#counts.get(host) ?? 1) - 1;
      if (left > 0) this.#counts.set(host, left);
      else this.#counts.delete(host);
    };
  }
}
