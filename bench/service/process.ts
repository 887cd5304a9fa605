/** The workerd of a service on this machine, as Linux counts it. */
import { readFileSync, writeFileSync } from "node:fs";
import { running } from "../../src/local/orphan.ts";

/** Ticks of /proc/PID/stat a second: USER_HZ is 100 on every Linux. */
const TICKS = 100;

export class WorkerdProcess {
  readonly #pid: number;

  /** @param state the service's folder @throws where it does not run */
  constructor(state: string) {
    const pid = running(state, "workerd");
    if (pid === null) throw new Error("workerd is not running");
    this.#pid = pid;
  }

  /** Milliseconds of processor time so far. */
  cpu(): number {
    const stat = readFileSync(`/proc/${this.#pid}/stat`, "utf8");
    // The command's name, in brackets, may have spaces.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS;
  }

  /** MiB resident now, and at the most since the last `forgetPeak`. */
  memory(): { readonly now: number; readonly peak: number } {
    const status = readFileSync(`/proc/${this.#pid}/status`, "utf8");
    const mib = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024);
    return { now: mib("VmRSS"), peak: mib("VmHWM") };
  }

  forgetPeak(): void {
    writeFileSync(`/proc/${this.#pid}/clear_refs`, "5");
  }
}
