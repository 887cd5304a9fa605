/** The peak of workerd's resident memory while messages of the largest size come in, go through and are given back. */
import { randomBytes } from "node:crypto";
import { MAX_MESSAGE_BYTES } from "../../src/core/limits.ts";
import type { Arguments } from "../arguments.ts";
import { MAILBOXES } from "../failback/mail.ts";
import { Sink } from "../failback/sink.ts";
import { until } from "../patience.ts";
import type { Reporter } from "../reporter.ts";
import type { Organisation } from "../service/organisation.ts";
import { WorkerdProcess } from "../service/process.ts";
import { sendAll } from "../service/smtp-client.ts";
import { withOrganisation } from "../service/temporary.ts";
import { during } from "../undo.ts";

const MESSAGES = 8;
const CONNECTIONS = 4;
const FAILBACK_LIMIT_MS = 300_000;

export function measureMemory(_options: Arguments, report: Reporter): Promise<void> {
  return withOrganisation((organisation, folder) => measure(organisation, new WorkerdProcess(folder), report));
}

async function measure(organisation: Organisation, workerd: WorkerdProcess, report: Reporter): Promise<void> {
  const sink = await Sink.start();
  const result = (what: string) => {
    report.result({
      bench: "memory",
      what,
      messages: MESSAGES,
      connections: CONNECTIONS,
      messageMiB: Number((MAX_MESSAGE_BYTES / 2 ** 20).toFixed(1)),
      peakMiB: workerd.memory().peak,
    });
    workerd.forgetPeak();
  };
  const send = async (mode: "normal" | "emergency") => {
    await organisation.mode(mode);
    await sendAll(organisation.service.addresses.mx, CONNECTIONS, large(mode), (count) =>
      report.progress(`${mode}: ${count} of ${MESSAGES} large messages`),
    );
    result(`received, ${mode} mode`);
  };
  await during(
    () => sink.stop(),
    async () => {
      await organisation.setUp();
      await organisation.route(sink.port);
      result("started");
      await send("normal");
      await send("emergency");
      const before = sink.messages;
      await organisation.mode("normal");
      await until({ what: "the large messages to be given back", limit: FAILBACK_LIMIT_MS, step: 250 }, async () => {
        report.progress(`given back: ${sink.messages - before} of ${MESSAGES}`);
        return (await organisation.backlog()).waiting === 0;
      });
      result("given back");
    },
  );
}

/** Of exactly the largest size, each of its own: an attachment in base64. */
function large(name: string) {
  return Array.from({ length: MESSAGES }, (_, index) => {
    const header =
      `Message-ID: <${name}-${index}@example.net>\r\nFrom: <a@example.net>\r\nSubject: large ${index}\r\n` +
      "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    const octets = Buffer.alloc(MAX_MESSAGE_BYTES, header, "latin1");
    const line = 78;
    for (let at = header.length; at < octets.length; at += line) {
      const left = Math.min(line, octets.length - at);
      octets.write(
        `${randomBytes(57)
          .toString("base64")
          .slice(0, Math.max(0, left - 2))}\r\n`,
        at,
        "latin1",
      );
    }
    octets.write("\r\n", octets.length - 2, "latin1");
    return { from: "a@example.net", to: MAILBOXES[index] ?? "", octets };
  });
}
