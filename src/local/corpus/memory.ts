/** The most memory that a process has held, by Linux's own count; elsewhere nothing is known. */
import { readFileSync, writeFileSync } from "node:fs";

/** proc(5): writing 5 to clear_refs resets the peak resident set. */
const RESET_PEAK = "5";

/** From here on the peak is counted anew. @returns false where that cannot be done */
export function resetPeak(pid: number | null): boolean {
  if (pid === null || process.platform !== "linux") return false;
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, RESET_PEAK);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** @returns octets; null where the process is gone or the system does not tell */
export function peakOf(pid: number | null): number | null {
  if (pid === null || process.platform !== "linux") return null;
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM";
}
