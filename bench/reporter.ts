/** What a benchmark tells: people read lines, scripts read JSON lines on standard output. */

export type Figures = { readonly bench: string } & Readonly<Record<string, string | number | boolean | null>>;

export class Reporter {
  readonly #json: boolean;
  readonly #began = Date.now();
  readonly #terminal = process.stderr.isTTY === true;
  #shown = 0;

  /** @param json results go to standard output as JSON lines, everything else to standard error */
  constructor(json: boolean) {
    this.#json = json;
  }

  /** A state that changes: one moving line on a terminal, a line every ten seconds elsewhere. */
  progress(text: string): void {
    const now = Date.now();
    if (now - this.#shown < (this.#terminal ? 100 : 10_000)) return;
    this.#shown = now;
    if (this.#terminal) process.stderr.write(`\r\u001b[K${this.#elapsed} ${text}`);
    else process.stderr.write(`${this.#elapsed} ${text}\n`);
  }

  /** Something that happened. */
  say(text: string): void {
    process.stderr.write(`${this.#terminal ? "\r\u001b[K" : ""}${this.#elapsed} ${text}\n`);
  }

  result(figures: Figures): void {
    if (this.#terminal) process.stderr.write("\r\u001b[K");
    const { bench, ...rest } = figures;
    const words = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
    console.log(this.#json ? JSON.stringify(figures) : `${bench}: ${words.join(", ")}`);
  }

  get #elapsed(): string {
    return `${((Date.now() - this.#began) / 1000).toFixed(1)} s`.padStart(8);
  }
}
