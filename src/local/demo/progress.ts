/** What happened when: one moving line on a terminal, plain lines elsewhere. */

export class Progress {
  readonly #began = Date.now();
  readonly #terminal = process.stdout.isTTY === true;
  readonly #events: string[] = [];

  /** Seconds since the beginning, such as `12.3 s`. */
  get elapsed(): string {
    return `${((Date.now() - this.#began) / 1000).toFixed(1)} s`;
  }

  /** A thing that happened; stays on the screen. */
  say(text: string): void {
    const line = `${this.elapsed.padStart(8)}  ${text}`;
    this.#events.push(line);
    this.#clear();
    console.log(line);
  }

  /** A state that changes; shown on a terminal only. */
  show(text: string): void {
    if (!this.#terminal) return;
    this.#clear();
    process.stdout.write(`${this.elapsed.padStart(8)}  ${text}`.slice(0, (process.stdout.columns ?? 80) - 1));
  }

  #clear(): void {
    if (this.#terminal) process.stdout.write("\r\u001b[K");
  }
}
