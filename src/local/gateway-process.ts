/** The gateway as a process of its own, as in production; one that dies is started again on the same port. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { MARK, markOf, pidFile } from "./orphan.ts";

export interface GatewayOptions {
  readonly state: string;
  /** The gateway's own settings, HOLDFAST_*. */
  readonly settings: Readonly<Record<string, string>>;
  readonly say: (line: string) => void;
  /** Path of its main file. */
  readonly program: string;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
}

export interface Ports {
  readonly mx: Listener;
  readonly submission?: Listener;
  readonly submissions?: Listener;
}

export interface Gateway {
  readonly ports: Ports;
  /** SIGTERM: transactions under way may end; then it is gone. */
  stop(): Promise<void>;
}

/** The line that it prints once its ports listen. */
const listener = z.object({ host: z.string(), port: z.number().int().min(1).max(65_535) });
const Listening = z.object({ mx: listener, submission: listener.optional(), submissions: listener.optional() });

/** The setting that has a gateway which is started again listen where it did. */
const PORT_SETTING = {
  mx: "HOLDFAST_MX_PORT",
  submission: "HOLDFAST_SUBMISSION_PORT",
  submissions: "HOLDFAST_SUBMISSIONS_PORT",
} as const;

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;
const PAUSE_MS = { first: 500, most: 30_000 };

/** @throws where it does not listen at the first try: a port in use is for the operator to see at once */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { state, say } = options;
  let stopping = false;
  let wait = PAUSE_MS.first;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess;

  async function start(before: Ports | null): Promise<Ports> {
    child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", options.program], {
      env: {
        ...withoutOperator(process.env),
        ...options.settings,
        ...(before ? portSettings(before) : {}),
        [MARK]: markOf(state, "gateway"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (child.pid !== undefined) writeFileSync(pidFile(state, "gateway"), `${child.pid}\n`);
    return listening(child, say);
  }

  function guard(ports: Ports): void {
    const guarded = child;
    guarded.once("exit", (code, signal) => {
      if (stopping) return;
      say(`the gateway has ended (${signal ?? `code ${code}`}) and is started again in ${wait / 1000} s`);
      timer = setTimeout(() => void restart(ports), wait);
      wait = Math.min(wait * 2, PAUSE_MS.most);
    });
  }

  async function restart(ports: Ports): Promise<void> {
    try {
      const begun = start(ports);
      guard(ports);
      await begun;
      wait = PAUSE_MS.first;
    } catch (error) {
      say(`the gateway: ${(error as Error).message}`);
      child.kill("SIGKILL");
    }
  }

  let ports: Ports;
  try {
    ports = await start(null);
  } catch (error) {
    await end();
    throw error;
  }
  guard(ports);

  async function end(): Promise<void> {
    stopping = true;
    clearTimeout(timer);
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await gone;
      clearTimeout(late);
    }
    rmSync(pidFile(state, "gateway"), { force: true });
  }

  return { ports, stop: end };
}

function portSettings(ports: Ports): Record<string, string> {
  const names = Object.keys(PORT_SETTING) as (keyof Ports)[];
  return Object.fromEntries(
    names.flatMap((name) => {
      const port = ports[name]?.port;
      return port === undefined ? [] : [[PORT_SETTING[name], String(port)]];
    }),
  );
}

function present({ mx, submission, submissions }: z.infer<typeof Listening>): Ports {
  return { mx, ...(submission ? { submission } : {}), ...(submissions ? { submissions } : {}) };
}

/** The gateway faces strangers: what opens the panel is not there to be found. */
function withoutOperator(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("HOLDFAST_OPERATOR_")));
}

/** Waits for the line with the ports; other lines, before and after, are the gateway's log. */
function listening(child: ChildProcess, say: (line: string) => void): Promise<Ports> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`The gateway did not listen within ${START_LIMIT_MS / 1000} s.`)),
      START_LIMIT_MS,
    );
    child.once("error", (error) => {
      clearTimeout(late);
      reject(new Error(`The gateway could not be started: ${error.message}`));
    });
    child.once("exit", (code, signal) => {
      clearTimeout(late);
      reject(new Error(`The gateway ended (${signal ?? `code ${code}`}) before it listened.`));
    });
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const ports = readPorts(line);
      if (ports === null) return say(line);
      clearTimeout(late);
      resolve(ports);
    });
  });
}

function readPorts(line: string): Ports | null {
  if (!line.startsWith("{")) return null;
  try {
    const read = Listening.safeParse(JSON.parse(line));
    return read.success ? present(read.data) : null;
  } catch (error) {
    // A line of the log that begins like JSON.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
