/** What the SMTP client needs of a runtime: octets both ways, and time. Worker and gateway each bring theirs. */

/** A connection. One `read` and one `write` at a time; an error rejects. */
export interface Wire {
  /** @returns null at the end of what the server sends */
  read(): Promise<Uint8Array | null>;
  /** Resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves after the handshake, with the certificate verified. No `read` or `write` is under way. */
  startTls(): Promise<void>;
  /** At once and for good; a `read` under way ends in some way. Never throws. */
  close(): void;
}

/** What a wire rejects with where the way to the server broke, a gateway of our own, and not the server. */
export class PathBrokenError extends Error {
  override readonly name = "PathBrokenError";
}

export interface Timing {
  /** Milliseconds; only differences count. */
  now(): number;
  /** Calls `fire` once after so many milliseconds. @returns cancels it */
  after(milliseconds: number, fire: () => void): () => void;
}

export type Raced<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "timeout" };

/** Waits for `work`, but no longer than so many milliseconds; what comes of it later is ignored, a rejection too. */
export function within<T>(timing: Timing, milliseconds: number, work: Promise<T>): Promise<Raced<T>> {
  return new Promise((resolve) => {
    const cancel = timing.after(Math.max(0, milliseconds), () => resolve({ kind: "timeout" }));
    const end = (raced: Raced<T>) => {
      cancel();
      resolve(raced);
    };
    work.then(
      (value) => end({ kind: "done", value }),
      (error: unknown) => end({ kind: "failed", error }),
    );
  });
}
