/**
 * Mail on its way out, and mail that is given back, by the Worker's own connections and by a gateway's, beside a Postfix that flushes
 * the same messages to the same sink over the same line, in the same run.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Arguments } from "../arguments.ts";
import { overLine, perSecond } from "../failback/compare.ts";
import { failBack, fillHoldfast } from "../failback/holdfast-backlog.ts";
import { loadMail, loadOutgoing } from "../failback/mail.ts";
import { flushByPostfix } from "../failback/postfix-queue.ts";
import type { Reporter } from "../reporter.ts";
import { inFolder } from "../service/temporary.ts";
import { fillQueue, sendQueue } from "./holdfast-queue.ts";

const WAYS = [
  { what: "sent to a smart host", act: "send", via: "worker" },
  { what: "sent through a gateway", act: "send", via: "gateway" },
  { what: "given back by the Worker", act: "failback", via: "worker" },
  { what: "given back through a gateway", act: "failback", via: "gateway" },
] as const;

export async function compareSending(
  { messages, latencies }: Pick<Arguments, "messages" | "latencies">,
  report: Reporter,
): Promise<void> {
  await inFolder(async (folder) => {
    const show = (text: string) => report.progress(text);
    const full = { send: join(folder, "queue"), failback: join(folder, "backlog") };
    const state = join(folder, "state");
    await fillQueue(full.send, loadOutgoing(messages), show);
    await fillHoldfast(full.failback, loadMail(messages), show);
    report.say(`${messages} messages wait in the queue, as many in the portal`);
    for (const latency of latencies) {
      let postfix = 0;
      await overLine(latency, async (port, sink) => {
        postfix = await flushByPostfix(loadOutgoing(messages), port, sink, show);
      });
      report.say(`Postfix, ${latency} ms: ${(postfix / 1000).toFixed(2)} s`);
      for (const { what, act, via } of WAYS) {
        let taken = { took: 0, cpu: 0 };
        await overLine(latency, async (port, sink) => {
          taken =
            act === "send"
              ? await sendQueue(full.send, state, messages, { port, via }, sink, show)
              : await failBack(full.failback, state, messages, port, sink, show, via);
        });
        rmSync(state, { recursive: true, force: true });
        report.result({
          bench: "sending",
          what,
          messages,
          latencyMs: latency,
          holdfastPerSecond: perSecond(messages, taken.took),
          postfixPerSecond: perSecond(messages, postfix),
          ratio: Number((postfix / taken.took).toFixed(2)),
          workerdCpuMsPerMessage: Number((taken.cpu / messages).toFixed(2)),
        });
      }
    }
  });
}
