/** Postfix's smtp-sink on loopback: a receiving server that fails as its options say (smtp-sink(1)). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const START_LIMIT = 20_000;

export class SmtpSink {
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#process = child;
    this.#folder = folder;
  }

  /** @param options such as `-f`, `RCPT` */
  static async start(host: string, port: number, options: readonly string[] = []): Promise<SmtpSink> {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-sink-"));
    // As root it gives its rights up before it writes.
    chmodSync(folder, 0o777);
    const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
    const child = spawn("smtp-sink", [...user, ...options, "-d", join(folder, "m."), `${host}:${port}`, "100"], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    // A rejection, should there be no smtp-sink.
    await once(child, "spawn");
    const sink = new SmtpSink(child, folder);
    try {
      await sink.#listens(host, port);
    } catch (error) {
      await sink.stop();
      throw error;
    }
    return sink;
  }

  /** The recipients of all that it took whole, or had when it failed. */
  recipients(): string[] {
    return readdirSync(this.#folder).flatMap((name) => {
      const dumped = readFileSync(join(this.#folder, name), "latin1");
      return [...dumped.matchAll(/^X-Rcpt-Args: <([^>]*)>/gm)].map(([, to = ""]) => to);
    });
  }

  /** SIGTERM, and forgets it. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGTERM");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #listens(host: string, port: number): Promise<void> {
    const end = Date.now() + START_LIMIT;
    while (!(await answers(host, port))) {
      if (this.#process.exitCode !== null) throw new Error(`smtp-sink ended with code ${this.#process.exitCode}`);
      if (Date.now() > end) throw new Error(`smtp-sink does not listen on ${host}:${port}`);
      await pause(20);
    }
  }
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Also after it was destroyed.
    socket.on("error", () => resolve(false));
  });
}
