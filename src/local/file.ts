/** Files that are whole or not there, also after a power cut. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";

/** @param mode permission bits; secrets have 0o600 */
export function writeWhole(path: string, content: string, mode = 0o644): void {
  const half = `${path}.${process.pid}.part`;
  const file = openSync(half, "w", mode);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(half, path);
}

/**
 * @param advice what to do with a file that is no JSON
 * @returns undefined where there is none
 * @throws never with the content or the parser's own message: it may quote a secret
 */
export function readJson(path: string, advice: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON; ${advice}`);
  }
}
