/** Postfix's `smtp-sink`: takes mail as fast as it comes and counts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const START_LIMIT_MS = 10_000;
const BACKLOG = "1000";

export class Sink {
  readonly #process: ChildProcess;
  readonly port: number;
  #messages = 0;

  private constructor(child: ChildProcess, port: number) {
    this.#process = child;
    this.port = port;
    // `sess=49 quit=49 mesg=50`, each over the one before.
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const last = [...text.matchAll(/mesg=(\d+)\r/g)].at(-1)?.[1];
      if (last !== undefined) this.#messages = Number(last);
    });
  }

  static async start(): Promise<Sink> {
    const port = await freePort();
    const child = spawn("smtp-sink", ["-c", "-u", "nobody", `127.0.0.1:${port}`, BACKLOG], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const failed = new Promise<never>((_, reject) => {
      child.once("error", (error) =>
        reject(new Error(`smtp-sink (of Postfix) could not be started: ${error.message}`)),
      );
      child.once("exit", (code) => reject(new Error(`smtp-sink ended with code ${code}`)));
    });
    // Only a start waits for it.
    failed.catch(() => undefined);
    await Promise.race([answers(port), failed]);
    return new Sink(child, port);
  }

  /** Accepted so far. */
  get messages(): number {
    return this.#messages;
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGTERM");
    await gone;
  }
}

async function answers(port: number): Promise<void> {
  const end = Date.now() + START_LIMIT_MS;
  while (!(await connects(port))) {
    if (Date.now() > end) throw new Error(`smtp-sink did not answer within ${START_LIMIT_MS / 1000} s`);
    await pause(50);
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.end();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}
