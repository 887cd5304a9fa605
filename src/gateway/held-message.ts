/** One message in memory, from 354 until it was handed over: as the frames in which it travels on. */
import { GATEWAY_FRAME_BYTES, MAX_MESSAGE_BYTES } from "../core/limits.ts";
import type { MemoryBudget } from "./memory.ts";

export type NotHeld = "too_large" | "no_memory";

export class HeldMessage {
  readonly #budget: MemoryBudget;
  readonly #maxBytes: number;
  #frames: Buffer[] = [];
  /** Octets used of the last frame. */
  #filled = GATEWAY_FRAME_BYTES;
  #size = 0;
  /** Why nothing is held any more; the rest of the message is counted and dropped. */
  dropped: NotHeld | null = null;

  constructor(budget: MemoryBudget, maxBytes: number = MAX_MESSAGE_BYTES) {
    this.#budget = budget;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#size;
  }

  /** Copies: a few octets of a socket's chunk must not keep all of it alive, or the budget would not be what is used. */
  add(octets: Uint8Array): void {
    this.#size += octets.length;
    if (this.dropped) return;
    if (this.#size > this.#maxBytes) this.#drop("too_large");
    else if (!this.#keep(octets)) this.#drop("no_memory");
  }

  /** In order, each full but the last. */
  frames(): Buffer[] {
    return this.#frames.map((frame, index) =>
      index === this.#frames.length - 1 ? frame.subarray(0, this.#filled) : frame,
    );
  }

  /** Gives the memory back; may be called again. */
  release(): void {
    this.#budget.release(this.#frames.length * GATEWAY_FRAME_BYTES);
    this.#frames = [];
    this.#filled = GATEWAY_FRAME_BYTES;
  }

  /** @returns false where the budget is used up */
  #keep(octets: Uint8Array): boolean {
    let rest = octets;
    while (rest.length > 0) {
      let frame = this.#frames.at(-1);
      if (!frame || this.#filled === GATEWAY_FRAME_BYTES) {
        if (!this.#budget.reserve(GATEWAY_FRAME_BYTES)) return false;
        frame = Buffer.allocUnsafeSlow(GATEWAY_FRAME_BYTES);
        this.#frames.push(frame);
        this.#filled = 0;
      }
      const part = rest.subarray(0, GATEWAY_FRAME_BYTES - this.#filled);
      frame.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
    }
    return true;
  }

  #drop(reason: NotHeld): void {
    this.dropped = reason;
    this.release();
  }
}
