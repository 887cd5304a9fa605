/** A Holdfast whose outgoing queue is full, and how long it takes to send it. */
import { cpSync } from "node:fs";
import { type Job, Sender } from "../../src/local/demo/sender.ts";
import { startNameServer } from "../../src/local/kill/name-server.ts";
import { DOMAIN, ELSEWHERE } from "../failback/mail.ts";
import type { Sink } from "../failback/sink.ts";
import { until } from "../patience.ts";
import { DISCARD_PORT, Organisation, TO_PRIVATE_NAMES, type Via } from "../service/organisation.ts";
import { WorkerdProcess } from "../service/process.ts";
import { during } from "../undo.ts";

const FILL_CONNECTIONS = 8;
const SEND_LIMIT_MS = 900_000;
const STEP_MS = 100;
const MOST_RECIPIENTS = 1_000_000;

/** Takes all of the mail through the submission port while its smart host is away, and stops. @param state an empty folder */
export async function fillQueue(state: string, jobs: readonly Job[], show: (text: string) => void): Promise<void> {
  const organisation = await Organisation.start(state);
  await during(
    () => organisation.stop(),
    async () => {
      await organisation.setUp();
      const { service } = organisation;
      const limits = { domainHour: MOST_RECIPIENTS, domainDay: MOST_RECIPIENTS };
      await goOut(organisation, { transport: "smarthost", host: "127.0.0.1", port: DISCARD_PORT, tls: "none", limits });
      await service.call("POST", `/api/domains/${DOMAIN}/relays`, { address: "127.0.0.1" });
      const { host, port } = service.addresses.submission;
      const sender = new Sender(host, port);
      await sender.send(jobs, FILL_CONNECTIONS, () =>
        show(`Holdfast's queue: ${sender.sent.length} of ${jobs.length}`),
      );
      const [refused] = sender.bounced;
      if (refused) throw new Error(`${refused.job.name} was refused: ${refused.reply}`);
      const waiting = await waitingIn(organisation);
      if (waiting !== jobs.length) throw new Error(`of ${jobs.length} messages ${waiting} wait in the queue`);
    },
  );
}

/**
 * @param full the state that `fillQueue` left: copied, never changed @param state a folder that is not there yet
 * @param port where the smart host answers, or the recipients' server
 * @returns milliseconds from "try all now" until nothing waits, and workerd's processor time
 */
export async function sendQueue(
  full: string,
  state: string,
  messages: number,
  { port, via }: { readonly port: number; readonly via: Via },
  sink: Sink,
  show: (text: string) => void,
): Promise<{ readonly took: number; readonly cpu: number }> {
  cpSync(full, state, { recursive: true });
  const names = await startNameServer({
    [ELSEWHERE]: { mx: [[10, `mx.${ELSEWHERE}`]] },
    [`mx.${ELSEWHERE}`]: { a: ["127.0.0.1"] },
  });
  return during(
    () => names.close(),
    async () => {
      const gateway = {
        ...TO_PRIVATE_NAMES,
        HOLDFAST_NAME_SERVERS: names.address,
        HOLDFAST_MX_HOST_PORT: String(port),
      };
      const organisation = await Organisation.start(state, via === "gateway" ? gateway : {});
      return during(
        () => organisation.stop(),
        async () => {
          const route = { transport: "smarthost", host: "127.0.0.1", port, tls: "none" };
          await goOut(organisation, via === "worker" ? route : { transport: "gateway" });
          const workerd = new WorkerdProcess(state);
          const before = sink.messages;
          const cpu = workerd.cpu();
          const began = performance.now();
          await organisation.service.call("POST", `/api/domains/${DOMAIN}/outgoing/retry`);
          await until({ what: "Holdfast's queue to empty", limit: SEND_LIMIT_MS, step: STEP_MS }, async () => {
            const taken = sink.messages - before;
            show(`Holdfast sends: ${taken} of ${messages}`);
            return taken >= messages && (await waitingIn(organisation)) === 0;
          });
          const took = performance.now() - began;
          if (sink.messages - before !== messages)
            throw new Error(`of ${messages} messages ${sink.messages - before} arrived`);
          return { took, cpu: workerd.cpu() - cpu };
        },
      );
    },
  );
}

async function goOut({ service }: Organisation, outgoing: Readonly<Record<string, unknown>>): Promise<void> {
  await service.call("PUT", `/api/domains/${DOMAIN}`, { outgoing });
}

async function waitingIn({ service }: Organisation): Promise<number> {
  const queue = await service.call<{ waiting: number }>("GET", `/api/domains/${DOMAIN}/outgoing?limit=1`);
  return queue.waiting;
}
