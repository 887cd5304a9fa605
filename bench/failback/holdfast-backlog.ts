/** A Holdfast with a backlog, and how long it takes to give it back. */
import { cpSync } from "node:fs";
import { type Job, Sender } from "../../src/local/demo/sender.ts";
import { Service } from "../../src/local/demo/service.ts";
import { until } from "../patience.ts";
import { during } from "../undo.ts";
import { DOMAIN, MAILBOXES } from "./mail.ts";
import type { Sink } from "./sink.ts";

const TOKEN = "operator-token-of-the-benchmark";
const FILL_CONNECTIONS = 8;
const FAILBACK_LIMIT_MS = 900_000;
const STEP_MS = 100;
/** Nobody is asked there while the backlog is filled. */
const DISCARD_PORT = 9;

interface DomainView {
  readonly backlog: { readonly waiting: number; readonly refused: number };
}

/** Takes all of the mail in emergency mode, through the MX port, and stops. @param state an empty folder */
export async function fillHoldfast(state: string, jobs: readonly Job[], show: (text: string) => void): Promise<void> {
  const service = await Service.start(state, TOKEN);
  await during(
    () => service.stop(),
    async () => {
      await route(service, DISCARD_PORT);
      for (const mailbox of MAILBOXES) await service.call("PUT", `/api/domains/${DOMAIN}/mailboxes/${mailbox}`, {});
      await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "emergency" });
      const sender = new Sender(service.addresses.mx.host, service.addresses.mx.port);
      await sender.send(jobs, FILL_CONNECTIONS, () =>
        show(`Holdfast's backlog: ${sender.sent.length} of ${jobs.length}`),
      );
      const { waiting } = await backlog(service);
      if (waiting !== jobs.length) throw new Error(`of ${jobs.length} messages ${waiting} wait in the portal`);
    },
  );
}

/**
 * @param full the state that `fillHoldfast` left: copied, never changed @param state a folder that is not there yet
 * @param port where the origin answers
 * @returns milliseconds from the switch to normal until nothing waits
 */
export async function failBack(
  full: string,
  state: string,
  messages: number,
  port: number,
  sink: Sink,
  show: (text: string) => void,
): Promise<number> {
  cpSync(full, state, { recursive: true });
  const service = await Service.start(state, TOKEN);
  return during(
    () => service.stop(),
    async () => {
      await route(service, port);
      const before = sink.messages;
      const began = performance.now();
      await service.call("PUT", `/api/domains/${DOMAIN}/mode`, { mode: "normal" });
      await until({ what: "Holdfast's failback", limit: FAILBACK_LIMIT_MS, step: STEP_MS }, async () => {
        const taken = sink.messages - before;
        show(`Holdfast gives back: ${taken} of ${messages}`);
        return taken >= messages && (await backlog(service)).waiting === 0;
      });
      const took = performance.now() - began;
      const { refused } = await backlog(service);
      if (refused > 0 || sink.messages - before !== messages) {
        throw new Error(`of ${messages} messages ${sink.messages - before} arrived, ${refused} were refused`);
      }
      return took;
    },
  );
}

async function backlog(service: Service): Promise<DomainView["backlog"]> {
  return (await service.call<DomainView>("GET", `/api/domains/${DOMAIN}`)).backlog;
}

async function route(service: Service, port: number): Promise<void> {
  await service.call("PUT", `/api/domains/${DOMAIN}`, {
    continuity: true,
    coverage: "all",
    switching: "manual",
    origin: { transport: "smtp", host: "127.0.0.1", port, tls: "none" },
  });
}
