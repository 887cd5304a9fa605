/**
 * How soon watchers hear of a message: 20 mailboxes, each watched over 5 WebSockets of gateways and 5 streams of events. From the
 * final dot's 250, which comes after the store, to each watcher; and what the watchers cost while nothing happens.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Arguments } from "../arguments.ts";
import { DOMAIN, loadMail, MAILBOXES } from "../failback/mail.ts";
import { until } from "../patience.ts";
import type { Reporter } from "../reporter.ts";
import { Organisation } from "../service/organisation.ts";
import { WorkerdProcess } from "../service/process.ts";
import { SmtpClient } from "../service/smtp-client.ts";
import { during } from "../undo.ts";
import { openEvents, openWebSocket, type Watcher } from "./watchers.ts";

const EACH = 5;
const PASSWORD = "correct horse battery";
/** Every watcher has its state, and the object has looked once more for mail that was planned before it came. */
const SETTLE_MS = 75_000;
const QUIET_MS = 60_000;
/** More say little more. */
const MOST_MESSAGES = 500;

export async function measurePush({ messages }: Arguments, report: Reporter): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  await during(
    () => rmSync(folder, { recursive: true, force: true }),
    async () => {
      const organisation = await Organisation.start(folder);
      await during(
        () => organisation.stop(),
        () => measure(organisation, folder, Math.min(messages, MOST_MESSAGES), report),
      );
    },
  );
}

async function measure(organisation: Organisation, state: string, messages: number, report: Reporter): Promise<void> {
  await organisation.setUp();
  await organisation.mode("emergency");
  const workerd = new WorkerdProcess(state);
  report.progress("watchers come");
  const watchers = await open(organisation, state);
  await during(
    () => {
      for (const watcher of watchers) watcher.close();
    },
    async () => {
      await pause(SETTLE_MS);
      const cpu = workerd.cpu();
      await pause(QUIET_MS);
      const quiet = { workerdCpuMsPerSecond: Number((((workerd.cpu() - cpu) * 1000) / QUIET_MS).toFixed(2)) };
      report.result({ bench: "push", what: "quiet", watchers: watchers.length, ...quiet });
      await tell(organisation, watchers, messages, report);
    },
  );
}

async function open({ service }: Organisation, state: string): Promise<Watcher[]> {
  const { http } = service.addresses;
  const { gatewaySecrets } = JSON.parse(readFileSync(join(state, "secrets.json"), "utf8")) as {
    gatewaySecrets: string;
  };
  const watchers: Watcher[] = [];
  for (const email of MAILBOXES) {
    const path = `/api/domains/${DOMAIN}/mailboxes/${email}`;
    const account = Number((await service.call<{ id: string }>("PUT", path, { password: PASSWORD })).id);
    const credentials = { email, password: PASSWORD };
    const { token } = await service.call<{ token: string }>("POST", "/api/session", credentials);
    for (let count = 0; count < EACH; count++) {
      watchers.push(await openWebSocket(http, gatewaySecrets, DOMAIN, account), await openEvents(http, token, account));
    }
  }
  return watchers;
}

/** One message after the other, so that nothing but the telling is measured. */
async function tell(
  { service }: Organisation,
  watchers: readonly Watcher[],
  messages: number,
  report: Reporter,
): Promise<void> {
  const heard = { websocket: [] as number[], events: [] as number[] };
  const { host, port } = service.addresses.mx;
  const client = await SmtpClient.connect(host, port);
  const mail = loadMail(messages);
  for (const [index, message] of mail.entries()) {
    const account = watchers[(index % MAILBOXES.length) * 2 * EACH]?.account;
    const mine = watchers.filter((watcher) => watcher.account === account);
    const times = new Map<Watcher, number>();
    for (const watcher of mine) watcher.heard = () => times.set(watcher, performance.now());
    await client.send(message, message.octets);
    const accepted = performance.now();
    const all = { what: `the watchers of message ${index + 1}`, limit: 30_000, step: 2 };
    await until(all, () => times.size === mine.length);
    // The telling may overtake the reply on its way through the gateway.
    for (const [{ kind }, at] of times) heard[kind].push(Math.max(0, at - accepted));
    report.progress(`${index + 1} of ${messages} messages told of`);
  }
  client.close();
  for (const kind of ["websocket", "events"] as const) {
    const times = heard[kind].sort((a, b) => a - b);
    const at = (part: number) => Number((times[Math.ceil(times.length * part) - 1] ?? 0).toFixed(1));
    const expected = messages * EACH;
    const figures = {
      changes: times.length,
      missed: expected - times.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
    report.result({ bench: "push", what: kind, watchers: watchers.length / 2, ...figures });
  }
}
