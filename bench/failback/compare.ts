/** Failback beside a Postfix that flushes the same messages to the same sink over the same line, in the same run. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Reporter } from "../reporter.ts";
import { failBack, fillHoldfast } from "./holdfast-backlog.ts";
import { Line } from "./line.ts";
import { loadMail } from "./mail.ts";
import { flushByPostfix } from "./postfix-queue.ts";
import { Sink } from "./sink.ts";

export interface FailbackOptions {
  readonly messages: number;
  /** Round trips, milliseconds. */
  readonly latencies: readonly number[];
}

export async function compareFailback(options: FailbackOptions, report: Reporter): Promise<void> {
  const { messages, latencies } = options;
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const full = join(folder, "full");
  const show = (text: string) => report.progress(text);
  try {
    const mail = loadMail(messages);
    const { seconds } = await fillHoldfast(full, mail, show);
    report.say(`${messages} messages wait in the portal, taken in ${seconds.toFixed(1)} s`);
    for (const [index, latency] of latencies.entries()) {
      const times = { holdfast: 0, postfix: 0 };
      // Whoever comes first may find the machine's caches colder.
      const order = index % 2 === 0 ? (["holdfast", "postfix"] as const) : (["postfix", "holdfast"] as const);
      for (const who of order) {
        times[who] = await overLine(latency, (port, sink) =>
          who === "holdfast"
            ? failBack(full, join(folder, `state-${latency}`), messages, port, sink, show)
            : flushByPostfix(mail, port, sink, show),
        );
        report.say(`${who}, ${latency} ms: ${(times[who] / 1000).toFixed(2)} s`);
      }
      rmSync(join(folder, `state-${latency}`), { recursive: true, force: true });
      report.result({
        bench: "failback",
        messages,
        latencyMs: latency,
        holdfastPerSecond: perSecond(messages, times.holdfast),
        postfixPerSecond: perSecond(messages, times.postfix),
        ratio: Number((times.postfix / times.holdfast).toFixed(2)),
        order: order.join(", "),
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function overLine(latency: number, run: (port: number, sink: Sink) => Promise<number>): Promise<number> {
  const sink = await Sink.start();
  try {
    const line = await Line.start(sink.port, latency);
    try {
      return await run(line.port, sink);
    } finally {
      await line.stop();
    }
  } finally {
    await sink.stop();
  }
}

function perSecond(messages: number, milliseconds: number): number {
  return Number(((messages * 1000) / milliseconds).toFixed(1));
}
