/** The gateway as a process of its own, with its relay port, for tests that run in workerd. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../src/gateway/main.ts", import.meta.url));
const START_LIMIT = 60_000;

export interface RelayProcess {
  readonly port: number;
  close(): Promise<void>;
}

/** It trusts the tests' authority by the environment, as Node.js reads it at its start. */
export async function startRelayProcess(secrets: string): Promise<RelayProcess> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    env: {
      ...process.env,
      HOLDFAST_WORKER_URL: "http://127.0.0.1:9",
      HOLDFAST_GATEWAY_SECRETS: secrets,
      HOLDFAST_MX_PORT: "0",
      HOLDFAST_RELAY_PORT: "0",
      HOLDFAST_HOSTNAME: "gw.holdfast.test",
      // Servers that take strangers' mail are the tests' own.
      HOLDFAST_RELAY_PRIVATE_NAMES: "allow",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { port: await portOf(child), close: () => end(child) };
}

async function portOf(child: ChildProcess): Promise<number> {
  if (!child.stdout) throw new Error("the gateway has no output");
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, "line", { signal: AbortSignal.timeout(START_LIMIT) })) as [string];
  return (JSON.parse(line) as { relay: { port: number } }).relay.port;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}
