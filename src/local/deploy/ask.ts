/** Questions on the terminal. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import type { Ask } from "./deploy.ts";

/** @returns null where nobody sits there */
export function terminal(): Ask | null {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return null;
  return {
    text: (question) => asked(question, true),
    secret: (question) => asked(question, false),
    yes: async (question) => /^y(es)?$/i.test((await asked(`${question} [y/N] `, true)).trim()),
  };
}

async function asked(question: string, echo: boolean): Promise<string> {
  if (!echo) process.stdout.write(question);
  const silent = new Writable({ write: (_octets, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: echo ? process.stdout : silent, terminal: true });
  // Ctrl-C at a question ends the deployment, not only the question.
  lines.once("SIGINT", () => process.exit(130));
  try {
    return await lines.question(echo ? question : "");
  } finally {
    lines.close();
    if (!echo) process.stdout.write("\n");
  }
}
