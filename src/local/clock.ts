/** Crons do not fire in a local workerd: this timer calls `scheduled()` as Cloudflare would. */
import type { Miniflare } from "miniflare";

const MINUTE = 60_000;
/** Of wrangler.toml: each minute, and at this minute of each hour. */
const EACH_MINUTE = "* * * * *";
const HOURLY = "17 * * * *";
const HOURLY_MINUTE = 17;

/** @returns stops it, and waits for the run that is under way */
export function startClock(miniflare: Miniflare, say: (line: string) => void): () => Promise<void> {
  let stopped = false;
  let running: Promise<void> | null = null;

  async function run(time: Date): Promise<void> {
    const crons = time.getUTCMinutes() === HOURLY_MINUTE ? [EACH_MINUTE, HOURLY] : [EACH_MINUTE];
    for (const cron of crons) {
      try {
        const worker = await miniflare.getWorker();
        const { outcome } = await worker.scheduled({ cron, scheduledTime: time });
        if (outcome !== "ok") say(`the run of "${cron}" ended with ${outcome}`);
      } catch (error) {
        if (!stopped) say(`the run of "${cron}" failed: ${(error as Error).message}`);
      }
    }
  }

  function tick(): void {
    timer = setTimeout(tick, MINUTE - (Date.now() % MINUTE));
    // A run that takes longer than a minute is not doubled.
    running ??= run(new Date()).finally(() => {
      running = null;
    });
  }

  let timer = setTimeout(tick, MINUTE - (Date.now() % MINUTE));
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}
