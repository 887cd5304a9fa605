/** Python's email package as another reader: a process that is given paths and answers with a line each. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { person, plainText, type Reading, type ReadLeaf } from "./reading.ts";

const PROGRAM = fileURLToPath(new URL("./python_email.py", import.meta.url));
/** Of one message; the largest of a corpus takes a second. */
const TIMEOUT = 60_000;

/** An exception of Python's. */
interface Failed {
  readonly error: string;
}

interface Line {
  readonly error?: string;
  readonly tree: string;
  readonly leaves: readonly {
    readonly type: string;
    readonly name: string | null | Failed;
    readonly size: number | null;
    readonly text: string | null;
  }[];
  readonly subject: string | Failed;
  readonly messageId: string | Failed;
  readonly date: number | null | Failed;
  readonly from: readonly [string, string][] | Failed;
  readonly to: readonly [string, string][] | Failed;
  readonly cc: readonly [string, string][] | Failed;
}

export class PythonEmail {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#process = spawn("python3", [PROGRAM], { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** @throws where Python is not there, says nothing in time or ends */
  async read(path: string): Promise<Reading> {
    this.#process.stdin.write(`${path}\n`);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`python3 says nothing of ${path}`)), TIMEOUT);
    });
    const failed = new Promise<never>((_, reject) => this.#process.once("error", reject));
    try {
      const line = await Promise.race([this.#lines.next(), late, failed]);
      if (line.done) throw new Error(`python3 ended at ${path}`);
      return readingOf(JSON.parse(line.value) as Line);
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.#process.stdin.end();
    this.#process.kill();
  }
}

/** What raised an exception it does not say: it is not compared, and counted by the tally. */
export function readingOf(line: Line): Reading {
  if (line.error !== undefined) throw new Error(line.error);
  const said = <T>(value: T | Failed): T | null => (isFailed(value) ? null : value);
  const people = (list: readonly [string, string][] | Failed) =>
    said(list)?.map(([name, address]) => person(name, address)) ?? null;
  const date = said(line.date);
  return {
    subject: said(line.subject),
    messageId: said(line.messageId)?.replace(/^\s*<|>\s*$/g, "") ?? null,
    date: isFailed(line.date) ? null : (date ?? Number.NaN),
    from: people(line.from),
    to: people(line.to),
    cc: people(line.cc),
    tree: line.tree,
    bodies: null,
    leaves: line.leaves.map(
      ({ type, name, size, text }): ReadLeaf => ({
        type,
        name: said(name),
        size,
        text: text === null ? null : plainText(text),
      }),
    ),
  };
}

const isFailed = (value: unknown): value is Failed => typeof value === "object" && value !== null && "error" in value;
