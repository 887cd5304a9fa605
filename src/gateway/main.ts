/** The gateway: a process that speaks SMTP where a Worker cannot listen. Stateless; run as many as you like. */
import { GATEWAY_MEMORY_BYTES } from "../core/limits.ts";
import { configure } from "./configuration.ts";
import { MemoryBudget } from "./memory.ts";
import { listenMx } from "./mx.ts";
import { listenRelay } from "./relay.ts";
import type { SmtpPort } from "./smtp-port.ts";
import { listenSubmission } from "./submission.ts";

const configured = configure(process.env);
if (!configured.ok) {
  for (const problem of configured.problems) console.error(problem);
  process.exit(2);
}
const { configuration } = configured;
// Over all ports: the memory is the process's.
const shared = { budget: new MemoryBudget(GATEWAY_MEMORY_BYTES) };
const mx = await listenMx(configuration, undefined, shared);
const submission = await submissionOn(configuration.submissionPort, false);
const submissions = await submissionOn(configuration.submissionsPort, true);
const relay = configuration.relay ? await listenRelay(configuration) : null;
const ports = { mx, submission, submissions, relay };
const listening = Object.entries(ports).flatMap(([name, port]) =>
  port ? [[name, { host: port.host, port: port.port }] as const] : [],
);
console.log(JSON.stringify(Object.fromEntries(listening)));

async function submissionOn(port: number | null, secure: boolean): Promise<SmtpPort | null> {
  return port === null ? null : listenSubmission(configuration, port, secure, undefined, shared);
}

let closing = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (closing) return;
    closing = true;
    // Transactions under way may need the relay until their end.
    void Promise.all([mx.close(), submission?.close(), submissions?.close()])
      .then(() => relay?.close())
      .then(() => process.exit(0));
  });
}
