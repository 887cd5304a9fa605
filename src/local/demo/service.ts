/** The running service, as a script sees it: `npm start` in a process of its own, and its API. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const READY = "holdfast ready";
/** A few seconds; on a machine that does much else besides, a minute and more. */
const START_LIMIT = 180_000;

export interface Addresses {
  /** `http://127.0.0.1:8787` */
  readonly http: string;
  readonly mx: { readonly host: string; readonly port: number };
  readonly submission: { readonly host: string; readonly port: number };
  readonly submissions: { readonly host: string; readonly port: number };
}

export class Service {
  readonly #process: ChildProcess;
  readonly addresses: Addresses;
  readonly #token: string;

  private constructor(child: ChildProcess, addresses: Addresses, token: string) {
    this.#process = child;
    this.addresses = addresses;
    this.#token = token;
  }

  /**
   * @param state an empty folder, or one of a service that ran before
   * @param own in a process group of its own: Ctrl-C in the terminal is then the caller's alone, who stops the service
   * @param said takes its log; without, its errors go where the caller's go
   * @param settings environment variables over the caller's
   */
  static async start(
    state: string,
    token: string,
    {
      own = false,
      said,
      settings = {},
    }: { own?: boolean; said?: (line: string) => void; settings?: Readonly<Record<string, string>> } = {},
  ): Promise<Service> {
    const child = spawn(process.execPath, [fileURLToPath(new URL("../start.ts", import.meta.url))], {
      env: {
        ...process.env,
        ...settings,
        HOLDFAST_STATE: state,
        HOLDFAST_HTTP_PORT: "0",
        HOLDFAST_MX_PORT: "0",
        HOLDFAST_SUBMISSION_PORT: "0",
        HOLDFAST_SUBMISSIONS_PORT: "0",
        HOLDFAST_OPERATOR_TOKEN: token,
      },
      stdio: ["ignore", "pipe", said ? "pipe" : "inherit"],
      detached: own,
    });
    if (said && child.stderr) createInterface({ input: child.stderr }).on("line", said);
    const ready = new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`the service was not ready in ${START_LIMIT / 1000} s`)),
        START_LIMIT,
      );
      child.once("exit", (code) => reject(new Error(`the service ended with code ${code} before it was ready`)));
      if (!child.stdout) return reject(new Error("the service has no output"));
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line !== READY) return said?.(line);
        clearTimeout(late);
        resolve();
      });
    });
    try {
      await ready;
    } catch (error) {
      // It may still come up: nobody would end it then.
      child.kill("SIGTERM");
      throw error;
    }
    return new Service(child, readAddresses(state), token);
  }

  /** JSON in, JSON out, as the operator or as `token`. @throws with the problem's text */
  async call<T>(method: string, path: string, body?: unknown, token = this.#token): Promise<T> {
    const response = await this.fetch(method, path, body, token);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  async fetch(method: string, path: string, body?: unknown, token = this.#token): Promise<Response> {
    return fetch(new URL(path, this.addresses.http), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGTERM");
    await gone;
  }

  /** Until the process ends by itself or by a signal from the terminal. */
  async ended(): Promise<void> {
    if (this.#process.exitCode === null) await new Promise((resolve) => this.#process.once("exit", resolve));
  }
}

function readAddresses(state: string): Addresses {
  return JSON.parse(readFileSync(join(state, "addresses.json"), "utf8")) as Addresses;
}
