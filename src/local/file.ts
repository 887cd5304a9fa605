/** Files that are whole or not there, also after a power cut. */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from "node:fs";

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
