/** Starts, kills and reads the demonstration's origin (origin-process.ts). */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface OriginMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly octets: Buffer;
  /** Unix milliseconds. */
  readonly at: number;
  /** Its 250 went out; false where the process died between storing and answering. */
  readonly answered: boolean;
}

export class Origin {
  readonly #folder: string;
  #process: ChildProcess | null = null;
  #port = 0;
  readonly #slow: number;

  /**
   * @param folder where it keeps what it took, over all its lives
   * @param slow it answers the final dot up to so many milliseconds after the message is on disk
   */
  constructor(folder: string, slow = 0) {
    this.#folder = folder;
    this.#slow = slow;
  }

  get port(): number {
    return this.#port;
  }

  get alive(): boolean {
    return this.#process !== null;
  }

  /** On the same port as in its last life. @param answer what it says to RCPT */
  async start(answer: "250" | "451" = "250"): Promise<void> {
    const program = fileURLToPath(new URL("./origin-process.ts", import.meta.url));
    const child = fork(program, [this.#folder, String(this.#port)], {
      env: { ...process.env, DEMO_ORIGIN_BUSY: answer === "451" ? "1" : "0", DEMO_ORIGIN_SLOW: String(this.#slow) },
    });
    this.#process = child;
    this.#port = await new Promise<number>((resolve, reject) => {
      child.once("message", (message: { port: number }) => resolve(message.port));
      child.once("exit", (code) => reject(new Error(`the origin did not start, exit code ${code}`)));
    });
  }

  answer(answer: "250" | "451"): void {
    this.#process?.send({ answer });
  }

  /** Without a word: SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  count(): number {
    return this.#files().length;
  }

  messages(): OriginMessage[] {
    const journal = join(this.#folder, "answered");
    const answered = new Set(existsSync(journal) ? readFileSync(journal, "utf8").split("\n") : []);
    return this.#files().map((file) => {
      const name = file.slice(0, -".eml".length);
      const envelope = JSON.parse(readFileSync(join(this.#folder, `${name}.json`), "utf8")) as Omit<
        OriginMessage,
        "octets" | "answered"
      >;
      return { ...envelope, octets: readFileSync(join(this.#folder, file)), answered: answered.has(name) };
    });
  }

  #files(): string[] {
    return existsSync(this.#folder) ? readdirSync(this.#folder).filter((file) => file.endsWith(".eml")) : [];
  }
}
