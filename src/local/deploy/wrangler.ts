/** wrangler as a child process: what it is asked, what it answered, and how long it may take. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { QUIET } from "../bundle.ts";

export interface Answer {
  readonly ok: boolean;
  readonly stdout: string;
  /** Everything it said, without colours, for people to read. */
  readonly words: string;
}

export interface Wrangler {
  /** Never throws for what wrangler says: that is in the answer. */
  run(command: readonly string[], environment?: Readonly<Record<string, string>>): Promise<Answer>;
}

/** A step that cannot go on. The message is complete: what failed, wrangler's own words, what to do. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
  constructor(what: string, words: string, remedy: string) {
    super([what, ...(words ? [indented(words)] : []), remedy].join("\n"));
  }
}

/** An upload on a bad line takes minutes; a migration of a large database too. */
const COMMAND_LIMIT_MS = 600_000;

/** Path of the wrangler of this installation. */
export function installedWrangler(): string {
  return join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin", "wrangler.js");
}

/** @param program a script that Node.js runs */
export function wranglerAt(program: string, cwd: string): Wrangler {
  return { run: (command, environment = {}) => run(program, command, cwd, environment) };
}

function run(program: string, command: readonly string[], cwd: string, environment: Readonly<Record<string, string>>) {
  return new Promise<Answer>((resolve) => {
    // No terminal: wrangler asks nothing and takes its defaults; what is to be asked, we ask.
    const child = spawn(process.execPath, [program, ...command], {
      cwd,
      env: { ...process.env, ...QUIET, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: COMMAND_LIMIT_MS,
    });
    const parts: { readonly out: boolean; readonly octets: Buffer }[] = [];
    child.stdout.on("data", (octets: Buffer) => parts.push({ out: true, octets }));
    child.stderr.on("data", (octets: Buffer) => parts.push({ out: false, octets }));
    const text = (which: typeof parts) =>
      stripVTControlCharacters(Buffer.concat(which.map((p) => p.octets)).toString());
    const answer = (ok: boolean, addition: string) =>
      resolve({ ok, stdout: text(parts.filter((p) => p.out)), words: `${text(parts)}\n${addition}`.trim() });
    child.once("error", (error) => answer(false, `wrangler could not be started: ${error.message}`));
    child.once("close", (code, signal) =>
      answer(code === 0, signal ? `wrangler was ended by ${signal} (limit ${COMMAND_LIMIT_MS / 1000} s)` : ""),
    );
  });
}

/** Cloudflare's own number of an error, as wrangler prints it, or wrangler's sentence about a Worker that is not there. */
export function saysMissing({ ok, words }: Answer, what: "bucket" | "worker"): boolean {
  if (ok) return false;
  return what === "bucket"
    ? /\[code: 10006\]/.test(words)
    : /\[code: (10007|10090)\]/.test(words) || /Worker "[^"]*"[^\n]* not found/.test(words);
}

/** @throws StepFailed where it is no JSON of that shape: wrangler's format has changed, which is ours to mend */
export function json<T>(answer: Answer, parse: (value: unknown) => T, what: string): T {
  try {
    return parse(JSON.parse(answer.stdout));
  } catch (cause) {
    throw new StepFailed(
      `${what}: wrangler's answer was not understood (${(cause as Error).message.split("\n")[0]}).`,
      answer.words,
      "Use the version of wrangler in package.json (npm ci); nothing further was changed.",
    );
  }
}

export function indented(text: string): string {
  return text.replace(/^(?=[^\n])/gm, "    ");
}
