/** What was started is stopped again: at the end of its work, after an error, and when the benchmark is interrupted. */

const pending: (() => unknown)[] = [];

/** Does the work, then undoes what it needed, whatever came of it. */
export async function during<T>(undo: () => unknown, work: () => Promise<T>): Promise<T> {
  pending.push(undo);
  try {
    return await work();
  } finally {
    pending.splice(pending.lastIndexOf(undo), 1);
    await undo();
  }
}

/** From now on SIGINT and SIGTERM end the process only after everything that was started is down. */
export function undoOnSignals(): void {
  const end = async (code: number) => {
    for (let undo = pending.pop(); undo; undo = pending.pop()) {
      try {
        await undo();
      } catch (error) {
        console.error(`could not be undone: ${(error as Error).message}`);
      }
    }
    process.exit(code);
  };
  process.once("SIGINT", () => void end(130));
  process.once("SIGTERM", () => void end(143));
}
