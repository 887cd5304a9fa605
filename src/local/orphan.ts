/**
 * What a killed service leaves behind: its workerd and its gateway go on with their ports open. Both carry a mark in
 * their environment that names the state folder, so nothing else is ever ended, however process ids were reused.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export const MARK = "HOLDFAST_PROCESS_OF";
export type Role = "workerd" | "gateway";

/** Unfinished writes are the databases' own business; a process that ignores SIGTERM this long is killed. */
const GRACE_MS = 5_000;
const STEP_MS = 50;

export function pidFile(state: string, role: Role | "host"): string {
  return join(state, `${role}.pid`);
}

/** What a child's environment carries. */
export function markOf(state: string, role: Role): string {
  return `${role}:${state}`;
}

/** @returns the process id that the file names, if that process still is ours, else null */
export function running(state: string, role: Role): number | null {
  const file = pidFile(state, role);
  if (!existsSync(file)) return null;
  const pid = Number(readFileSync(file, "utf8"));
  return Number.isInteger(pid) && pid > 1 && isOurs(pid, state, role) ? pid : null;
}

/**
 * Takes the folder for this process.
 * @returns gives it back
 * @throws where a living service has it: two on one folder would destroy it
 */
export function takeFolder(state: string): () => void {
  const file = pidFile(state, "host");
  if (existsSync(file)) {
    const [pid = "", ...birth] = readFileSync(file, "utf8").trim().split(" ");
    if (/^\d+$/.test(pid) && birth.join(" ") === born(Number(pid)))
      throw new Error(`${state} is in use by the service with process id ${pid}.`);
  }
  writeFileSync(file, `${process.pid} ${born(process.pid)}\n`);
  return () => rmSync(file, { force: true });
}

/** Ends workerd and gateway of a service that died, and says so. */
export async function endOrphans(state: string, say: (line: string) => void): Promise<void> {
  for (const role of ["gateway", "workerd"] as const) {
    const pid = running(state, role);
    if (pid !== null) {
      await end(pid, () => isOurs(pid, state, role));
      say(`ended the ${role} (process ${pid}) that a killed service had left behind`);
    }
    rmSync(pidFile(state, role), { force: true });
  }
}

async function end(pid: number, alive: () => boolean): Promise<void> {
  signal(pid, "SIGTERM");
  for (let waited = 0; alive(); waited += STEP_MS) {
    if (waited >= 2 * GRACE_MS) throw new Error(`Process ${pid} of a killed service cannot be ended.`);
    if (waited >= GRACE_MS) signal(pid, "SIGKILL");
    await pause(STEP_MS);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // It ended by itself in between.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The mark is the whole of one variable, so a folder whose name begins like ours is another's. */
function isOurs(pid: number, state: string, role: Role): boolean {
  const mark = `${MARK}=${markOf(state, role)}`;
  // A zombie has an empty environment: it holds no port any more.
  if (existsSync("/proc/self")) return proc(pid, "environ").split("\0").includes(mark);
  return ps(pid, "eww", "-o", "command=").includes(mark);
}

/** When the process began, in the system's own notation; empty where there is none. */
function born(pid: number): string {
  if (!existsSync("/proc/self")) return ps(pid, "-o", "lstart=").trim();
  const stat = proc(pid, "stat");
  // proc(5): field 22, counted from the name in brackets, which may hold spaces; a zombie (field 3) is gone.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? "" : (fields[19] ?? "");
}

function proc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return "";
    throw error;
  }
}

function ps(pid: number, ...options: string[]): string {
  try {
    return execFileSync("ps", [...options, "-p", String(pid)], { encoding: "utf8" });
  } catch (error) {
    // ps answers 1 for a process that is not there.
    if ((error as { status?: number }).status === 1) return "";
    throw error;
  }
}
