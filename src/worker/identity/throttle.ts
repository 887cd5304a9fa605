/**
 * Slows down the guessing of passwords: after a few failures a login must wait, twice as long each time. Kept in the
 * isolate's memory: a guesser who reaches many isolates gains a few guesses, and no write to D1 is theirs to cause.
 */
import {
  FIRST_SIGN_IN_WAIT,
  FREE_ADDRESS_FAILURES,
  FREE_SIGN_IN_FAILURES,
  LAST_SIGN_IN_WAIT,
  MAX_THROTTLED,
} from "../../core/limits.ts";

interface Failures {
  count: number;
  /** Unix milliseconds. */
  until: number;
}

export class SignInThrottle {
  readonly #failures = new Map<string, Failures>();

  /** @returns milliseconds that this login must still wait from this address; 0: go ahead */
  wait(login: string, ip: string, now: number): number {
    const until = Math.max(...keys(login, ip).map(({ key }) => this.#failures.get(key)?.until ?? 0));
    return Math.max(0, until - now);
  }

  failed(login: string, ip: string, now: number): void {
    for (const { key, free } of keys(login, ip)) {
      const count = (this.#failures.get(key)?.count ?? 0) + 1;
      const over = count - free;
      const pause = over < 0 ? 0 : Math.min(LAST_SIGN_IN_WAIT, FIRST_SIGN_IN_WAIT * 2 ** Math.min(over, 20));
      // Deleted first, so that the map's order is the order of the last failure.
      this.#failures.delete(key);
      this.#failures.set(key, { count, until: now + pause });
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= MAX_THROTTLED) break;
      this.#failures.delete(key);
    }
  }

  /** The address's own count stays: one known password must not pay for guessing others. */
  succeeded(login: string, ip: string): void {
    this.#failures.delete(loginKey(login, ip));
  }
}

const loginKey = (login: string, ip: string): string => `${ip} ${login}`;

function keys(login: string, ip: string): { key: string; free: number }[] {
  return [
    { key: loginKey(login, ip), free: FREE_SIGN_IN_FAILURES },
    { key: ip, free: FREE_ADDRESS_FAILURES },
  ];
}
