/** Messages a second through the MX port: gateway, Worker, R2 and D1 on this machine, and in normal mode the origin too. */
import type { Arguments } from "../arguments.ts";
import { loadMail } from "../failback/mail.ts";
import { Sink } from "../failback/sink.ts";
import type { Reporter } from "../reporter.ts";
import type { Organisation } from "../service/organisation.ts";
import { WorkerdProcess } from "../service/process.ts";
import { sendAll } from "../service/smtp-client.ts";
import { withOrganisation } from "../service/temporary.ts";
import { during } from "../undo.ts";

const CASES = [
  { mode: "emergency", connections: 1 },
  { mode: "emergency", connections: 8 },
  { mode: "normal", connections: 1 },
  { mode: "normal", connections: 8 },
] as const;
/** Before anything is measured, the first messages make mailboxes' inboxes and warm the code. */
const WARMING = 100;

export function measureReceiving({ messages }: Arguments, report: Reporter): Promise<void> {
  return withOrganisation((organisation, folder) => measure(organisation, folder, messages, report));
}

async function measure(organisation: Organisation, state: string, messages: number, report: Reporter): Promise<void> {
  const sink = await Sink.start();
  await during(
    () => sink.stop(),
    async () => {
      await organisation.setUp();
      await organisation.route(sink.port);
      const workerd = new WorkerdProcess(state);
      const { mx } = organisation.service.addresses;
      // Each message once: a repeat would cost less.
      const mail = loadMail(messages);
      await organisation.mode("emergency");
      await sendAll(mx, 8, mail.splice(0, Math.min(WARMING, Math.floor(messages / 5))), () => undefined);
      const each = Math.floor(mail.length / CASES.length);
      for (const { mode, connections } of CASES) {
        await organisation.mode(mode);
        const cpu = workerd.cpu();
        const took = await sendAll(mx, connections, mail.splice(0, each), (count) =>
          report.progress(`${mode}, ${connections} connections: ${count} of ${each}`),
        );
        report.result({
          bench: "receiving",
          mode,
          connections,
          messages: each,
          perSecond: Number(((each * 1000) / took).toFixed(1)),
          workerdCpuMsPerMessage: Number(((workerd.cpu() - cpu) / each).toFixed(2)),
        });
      }
    },
  );
}
