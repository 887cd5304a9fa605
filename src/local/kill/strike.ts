/** SIGKILL of what runs, and the wait until all of it answers again. */
import { setTimeout as pause } from "node:timers/promises";
import type { Service } from "../demo/service.ts";
import { running } from "../orphan.ts";
import type { Victim } from "./account.ts";
import { pick, type Random } from "./mail.ts";

export const VICTIMS = ["workerd", "gateway", "both"] as const;
const BACK_LIMIT = 90_000;

/** Unix milliseconds: before the signal went out, and when everything answered again. */
export interface Struck {
  readonly at: number;
  readonly back: number;
}

/** @throws where it does not come back */
export async function strike(state: string, service: Service, victim: Victim, random: Random): Promise<Struck> {
  const roles =
    victim === "both" ? pick(random, [["workerd", "gateway"] as const, ["gateway", "workerd"] as const]) : [victim];
  const pids = roles.map((role) => {
    const pid = running(state, role);
    if (pid === null) throw new Error(`there is no ${role} to be killed`);
    return pid;
  });
  const at = Date.now();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until(`${victim} is back`, async () =>
    roles.every((role, index) => {
      const pid = running(state, role);
      return pid !== null && pid !== pids[index];
    }),
  );
  await until("the service is healthy", async () => {
    const response = await service.fetch("GET", "/api/health");
    await response.body?.cancel();
    return response.ok;
  });
  return { at, back: Date.now() };
}

/** A call that was cut off is made again. @param limit milliseconds @throws after it */
export async function until(what: string, done: () => Promise<boolean>, limit = BACK_LIMIT): Promise<void> {
  const end = Date.now() + limit;
  let last = "";
  for (;;) {
    try {
      if (await done()) return;
      last = "";
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s in vain for: ${what}${last}`);
    await pause(50);
  }
}
