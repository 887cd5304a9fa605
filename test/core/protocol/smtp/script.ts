/**
 * A dialogue as a script. `S:` is what the server sends; `C:` what the client must have sent by then. Behind `S:` on the same
 * line `|` means another line in the same packet. Other steps: `S: (hangs up)`, `S: (silence)`, `TLS` (a handshake).
 */
import type { Timing, Wire } from "../../../../src/core/protocol/smtp/wire.ts";

export class ScriptedWire implements Wire {
  readonly #steps: string[];
  #sent = "";
  #reading: ((octets: Uint8Array | null) => void) | null = null;
  /** What went differently. */
  readonly complaints: string[] = [];
  closed = false;

  constructor(script: string) {
    this.#steps = script
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
  }

  /** Steps that did not come to pass. */
  get left(): readonly string[] {
    this.#proceed();
    return this.#steps;
  }

  read(): Promise<Uint8Array | null> {
    return new Promise((resolve) => {
      this.#reading = resolve;
      this.#proceed();
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("closed");
    this.#sent += new TextDecoder().decode(bytes);
    this.#proceed();
  }

  async startTls(): Promise<void> {
    this.#proceed();
    const step = this.#steps.shift();
    if (step === "TLS (fails)") throw new Error("certificate not trusted");
    if (step !== "TLS") this.complaints.push(`a handshake instead of ${step}`);
  }

  close(): void {
    this.closed = true;
    this.#reading?.(null);
    this.#reading = null;
  }

  /** Compares what the client sent, then lets the server speak where it is the server's turn and somebody listens. */
  #proceed(): void {
    this.#matchClient();
    const step = this.#steps[0];
    if (this.#reading === null || !step?.startsWith("S: ")) return;
    this.#steps.shift();
    // Nobody will ever hear anything of this read.
    if (step === "S: (silence)") return;
    const lines = step.slice(3).split("|");
    const octets = new TextEncoder().encode(lines.map((line) => `${line}\r\n`).join(""));
    this.#reading(step === "S: (hangs up)" ? null : octets);
    this.#reading = null;
  }

  #matchClient(): void {
    while (this.#steps[0]?.startsWith("C: ")) {
      const end = this.#sent.indexOf("\r\n");
      if (end < 0) return;
      const line = this.#sent.slice(0, end);
      this.#sent = this.#sent.slice(end + 2);
      const expected = this.#steps.shift()?.slice(3);
      if (line !== expected) this.complaints.push(`sent "${line}" instead of "${expected}"`);
    }
    if (this.#sent !== "") {
      this.complaints.push(`sent ahead: ${JSON.stringify(this.#sent)}`);
      this.#sent = "";
    }
  }
}

/** Time that a test moves: `advance` lets every timer fire that is due. */
export class ManualTiming implements Timing {
  #now = 0;
  #timers: { at: number; fire: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, fire: () => void): () => void {
    const timer = { at: this.#now + milliseconds, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves on, timer by timer, and lets what waits for them run in between. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await settled();
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = end;
  }

  get pending(): number {
    return this.#timers.length;
  }
}

/** Lets every promise that can go on do so. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
