/** Every wait for a store has an end. */

/** The store did not answer in time; whether it did the work is not known. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/**
 * @param milliseconds a limit from core/limits.ts
 * @param what for the log, such as `D1 batch`
 * @throws DeadlineError when the time is over; the work may be done all the same, so whoever repeats it must be idempotent
 */
export async function within<T>(work: Promise<T>, milliseconds: number, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(`${what}: no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
