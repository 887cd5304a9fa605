/** Failback beside a Postfix that flushes the same messages to the same sink over the same line, in the same run. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Arguments } from "../arguments.ts";
import type { Reporter } from "../reporter.ts";
import { inFolder } from "../service/temporary.ts";
import { during } from "../undo.ts";
import { failBack, fillHoldfast } from "./holdfast-backlog.ts";
import { Line } from "./line.ts";
import { loadMail } from "./mail.ts";
import { flushByPostfix } from "./postfix-queue.ts";
import { Sink } from "./sink.ts";

/** Round robin over the latencies: whoever comes first may find the machine's caches colder. */
const ORDERS = [
  ["holdfast", "postfix"],
  ["postfix", "holdfast"],
] as const;

export async function compareFailback(
  { messages, latencies }: Pick<Arguments, "messages" | "latencies">,
  report: Reporter,
): Promise<void> {
  await inFolder(async (folder) => {
    const full = join(folder, "full");
    const show = (text: string) => report.progress(text);
    const mail = loadMail(messages);
    await fillHoldfast(full, mail, show);
    report.say(`${messages} messages wait in the portal`);
    for (const [index, latency] of latencies.entries()) {
      const times = { holdfast: 0, postfix: 0 };
      let cpu = 0;
      const order = ORDERS[index % ORDERS.length] ?? ORDERS[0];
      for (const who of order) {
        const state = join(folder, "state");
        await overLine(latency, async (port, sink) => {
          if (who === "postfix") times.postfix = await flushByPostfix(mail, port, sink, show);
          else ({ took: times.holdfast, cpu } = await failBack(full, state, messages, port, sink, show));
        });
        rmSync(state, { recursive: true, force: true });
        report.say(`${who}, ${latency} ms: ${(times[who] / 1000).toFixed(2)} s`);
      }
      report.result({
        bench: "failback",
        messages,
        latencyMs: latency,
        holdfastPerSecond: perSecond(messages, times.holdfast),
        postfixPerSecond: perSecond(messages, times.postfix),
        ratio: Number((times.postfix / times.holdfast).toFixed(2)),
        workerdCpuMsPerMessage: Number((cpu / messages).toFixed(2)),
        order: order.join(", "),
      });
    }
  });
}

/** A sink of its own, behind a line of that round trip. */
export async function overLine(latency: number, run: (port: number, sink: Sink) => Promise<void>): Promise<void> {
  const sink = await Sink.start();
  return during(
    () => sink.stop(),
    async () => {
      const line = await Line.start(sink.port, latency);
      return during(
        () => line.stop(),
        () => run(line.port, sink),
      );
    },
  );
}

export function perSecond(messages: number, milliseconds: number): number {
  return Number(((messages * 1000) / milliseconds).toFixed(1));
}
