import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { endOrphans, MARK, markOf, pidFile, takeFolder } from "../../src/local/orphan.ts";
import { folder } from "./folder.ts";

/** A process that listens to nothing and, if asked to, not to SIGTERM either. */
async function sleeper(environment: Record<string, string>, deaf = false): Promise<ChildProcess> {
  const script = `${deaf ? 'process.on("SIGTERM", () => {});' : ""} console.log("up"); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["-e", script], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  if (child.stdout) await once(child.stdout, "data");
  return child;
}

describe("what a killed service leaves behind", () => {
  it.each([false, true])("is ended and named, deaf to SIGTERM: %s", async (deaf) => {
    const state = folder();
    const child = await sleeper({ [MARK]: markOf(state, "workerd") }, deaf);
    const gone = once(child, "exit");
    writeFileSync(pidFile(state, "workerd"), `${child.pid}\n`);
    const said: string[] = [];
    await endOrphans(state, (line) => said.push(line));
    expect((await gone)[1]).toBe(deaf ? "SIGKILL" : "SIGTERM");
    expect(said).toEqual([`ended the workerd (process ${child.pid}) that a killed service had left behind`]);
    expect(existsSync(pidFile(state, "workerd"))).toBe(false);
  });

  it("is left alone where the process id has become another's", async () => {
    const state = folder();
    const strangers = [
      await sleeper({}),
      await sleeper({ [MARK]: markOf(`${state}-2`, "gateway") }),
      await sleeper({ [MARK]: markOf(state, "workerd") }),
    ];
    for (const stranger of strangers) {
      writeFileSync(pidFile(state, "gateway"), `${stranger.pid}\n`);
      await endOrphans(state, (line) => expect.fail(line));
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
      // Signal 0 asks whether it is there.
      expect(stranger.kill(0)).toBe(true);
    }
  });

  it.each(["", "garbage", "0", "-1", "1"])("is nothing where the file says %j", async (content) => {
    const state = folder();
    writeFileSync(pidFile(state, "workerd"), content);
    await endOrphans(state, (line) => expect.fail(line));
  });
});

describe("the state folder", () => {
  it("is taken by one living service only", () => {
    const state = folder();
    const giveBack = takeFolder(state);
    expect(() => takeFolder(state)).toThrow(`${state} is in use by the service with process id ${process.pid}.`);
    giveBack();
    takeFolder(state)();
  });

  it("is free where the service is dead, also if its process id has become another's", () => {
    const state = folder();
    takeFolder(state);
    const [pid] = readFileSync(pidFile(state, "host"), "utf8").split(" ");
    writeFileSync(pidFile(state, "host"), `${pid} 1\n`);
    takeFolder(state)();
    writeFileSync(pidFile(state, "host"), "999999999 1\n");
    takeFolder(state)();
  });
});
