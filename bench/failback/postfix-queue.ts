/** A Postfix whose queue is full and flushed: as an organisation's backup MX would have it after an outage, or its mail on its way out. */
import { setTimeout as pause } from "node:timers/promises";
import { type Job, Sender } from "../../src/local/demo/sender.ts";
import { Postfix } from "../../test/support/postfix.ts";
import { until } from "../patience.ts";
import { during } from "../undo.ts";
import { DOMAIN, ELSEWHERE } from "./mail.ts";
import type { Sink } from "./sink.ts";

const FILL_CONNECTIONS = 8;
const FILL_LIMIT_MS = 300_000;
const FLUSH_LIMIT_MS = 600_000;
const STEP_MS = 20;
/** After a start its queue manager is not back at once. */
const RESTART_MS = 2_000;

/**
 * Its own defaults: 20 connections to one destination, up to 100 processes, connections used again on demand.
 * @param port where the origin answers
 * @returns milliseconds from the flush until its queue is empty
 */
export async function flushByPostfix(
  jobs: readonly Job[],
  port: number,
  sink: Sink,
  show: (text: string) => void,
): Promise<number> {
  const postfix = await Postfix.start({
    relayTo: { host: "127.0.0.1", port },
    settings: [
      "minimal_backoff_time = 1h",
      "maximal_backoff_time = 1h",
      "queue_run_delay = 1h",
      `relay_domains = ${DOMAIN}, ${ELSEWHERE}`,
      "relay_transport = smtp",
      // Until it is flushed.
      "defer_transports = smtp",
    ],
  });
  return during(
    () => postfix.remove(),
    async () => {
      const sender = new Sender("127.0.0.1", postfix.port);
      await sender.send(jobs, FILL_CONNECTIONS, () => show(`Postfix's queue: ${sender.sent.length} of ${jobs.length}`));
      await until({ what: "Postfix's queue to fill", limit: FILL_LIMIT_MS, step: 250 }, () => {
        return postfix.queued("deferred") === jobs.length;
      });
      postfix.set("defer_transports =");
      await pause(RESTART_MS);
      const before = sink.messages;
      const began = performance.now();
      postfix.flush();
      await until({ what: "Postfix to flush its queue", limit: FLUSH_LIMIT_MS, step: STEP_MS }, () => {
        show(`Postfix flushes: ${sink.messages - before} of ${jobs.length}`);
        return sink.messages - before >= jobs.length && postfix.queued() === 0;
      });
      return performance.now() - began;
    },
  );
}
