/** How long the origin may keep a waiting sender: the sum over all steps of one message, not each alone. */
import { RECEIVE_BUDGET } from "../../core/limits.ts";

export class Budget {
  #left: number;

  /** @param milliseconds in all */
  constructor(milliseconds: number = RECEIVE_BUDGET) {
    this.#left = milliseconds;
  }

  /** Milliseconds that are left, at least 0. */
  get left(): number {
    return Math.max(0, this.#left);
  }

  /** Waits for `step` as long as the budget allows; then `late` says what it comes to instead. Time between steps is free. */
  async spend<T>(step: () => Promise<T>, late: () => T): Promise<T> {
    if (this.left === 0) return late();
    const began = Date.now();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const limit = new Promise<T>((resolve) => {
      timer = setTimeout(() => resolve(late()), this.left);
    });
    try {
      return await Promise.race([step(), limit]);
    } finally {
      clearTimeout(timer);
      this.#left -= Date.now() - began;
    }
  }
}
