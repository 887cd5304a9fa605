/** A Holdfast with a backlog, and how long it takes to give it back. */
import { cpSync } from "node:fs";
import { type Job, Sender } from "../../src/local/demo/sender.ts";
import { until } from "../patience.ts";
import { Organisation, TO_PRIVATE_NAMES, type Via } from "../service/organisation.ts";
import { WorkerdProcess } from "../service/process.ts";
import { during } from "../undo.ts";
import type { Sink } from "./sink.ts";

const FILL_CONNECTIONS = 8;
const FAILBACK_LIMIT_MS = 900_000;
const STEP_MS = 100;

/** Takes all of the mail in emergency mode, through the MX port, and stops. @param state an empty folder */
export async function fillHoldfast(state: string, jobs: readonly Job[], show: (text: string) => void): Promise<void> {
  const organisation = await Organisation.start(state);
  await during(
    () => organisation.stop(),
    async () => {
      await organisation.setUp();
      await organisation.mode("emergency");
      const { host, port } = organisation.service.addresses.mx;
      const sender = new Sender(host, port);
      await sender.send(jobs, FILL_CONNECTIONS, () =>
        show(`Holdfast's backlog: ${sender.sent.length} of ${jobs.length}`),
      );
      const { waiting } = await organisation.backlog();
      if (waiting !== jobs.length) throw new Error(`of ${jobs.length} messages ${waiting} wait in the portal`);
    },
  );
}

/**
 * @param full the state that `fillHoldfast` left: copied, never changed @param state a folder that is not there yet
 * @param port where the origin answers
 * @param via who connects to it
 * @returns milliseconds from the switch to normal until nothing waits, and workerd's processor time
 */
export async function failBack(
  full: string,
  state: string,
  messages: number,
  port: number,
  sink: Sink,
  show: (text: string) => void,
  via: Via = "worker",
): Promise<{ readonly took: number; readonly cpu: number }> {
  cpSync(full, state, { recursive: true });
  const organisation = await Organisation.start(state, via === "gateway" ? TO_PRIVATE_NAMES : {});
  return during(
    () => organisation.stop(),
    async () => {
      await organisation.route(port, via);
      const workerd = new WorkerdProcess(state);
      const before = sink.messages;
      const cpu = workerd.cpu();
      const began = performance.now();
      await organisation.mode("normal");
      await until({ what: "Holdfast's failback", limit: FAILBACK_LIMIT_MS, step: STEP_MS }, async () => {
        const taken = sink.messages - before;
        show(`Holdfast gives back: ${taken} of ${messages}`);
        return taken >= messages && (await organisation.backlog()).waiting === 0;
      });
      const took = performance.now() - began;
      const { refused } = await organisation.backlog();
      if (refused > 0 || sink.messages - before !== messages) {
        throw new Error(`of ${messages} messages ${sink.messages - before} arrived, ${refused} were refused`);
      }
      return { took, cpu: workerd.cpu() - cpu };
    },
  );
}
