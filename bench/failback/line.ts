/** A line with latency in front of a server: netem without its privileges. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

export class Line {
  readonly #process: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#process = child;
    this.port = port;
  }

  /** @param roundTrip milliseconds */
  static async start(target: number, roundTrip: number): Promise<Line> {
    const program = fileURLToPath(new URL("./line-process.ts", import.meta.url));
    const child = fork(program, [String(target), String(roundTrip)]);
    const port = await new Promise<number>((resolve, reject) => {
      child.once("message", (message: { port: number }) => resolve(message.port));
      child.once("exit", (code) => reject(new Error(`the line did not start, exit code ${code}`)));
    });
    return new Line(child, port);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGTERM");
    await gone;
  }
}
