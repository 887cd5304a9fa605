import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Gateway, startGateway } from "../../src/local/gateway-process.ts";
import { pidFile } from "../../src/local/orphan.ts";
import { folder } from "./folder.ts";

const LISTENER = `
import { createServer } from "node:net";
console.log("a line of the log");
const server = createServer((socket) => socket.end("220 " + (process.env.HOLDFAST_OPERATOR_TOKEN ?? "no token")));
server.listen(Number(process.env.HOLDFAST_MX_PORT), "127.0.0.1", () =>
  console.log(JSON.stringify({ mx: { host: "127.0.0.1", port: server.address().port } })));
process.on("SIGTERM", () => process.exit(0));
`;

async function gateway(script: string, said: string[] = []): Promise<{ state: string; gateway: Gateway }> {
  const state = folder();
  const program = join(state, "program.mjs");
  writeFileSync(program, script);
  const begun = await startGateway({
    state,
    program,
    settings: { HOLDFAST_MX_PORT: "0" },
    say: (line) => said.push(line),
  });
  onTestFinished(() => begun.stop());
  return { state, gateway: begun };
}

function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    connect(port, "127.0.0.1")
      .once("error", reject)
      .once("data", (octets) => resolve(octets.toString()));
  });
}

const pid = (state: string) => Number(readFileSync(pidFile(state, "gateway"), "utf8"));

describe("the gateway's process", () => {
  it("tells its port, and its log is the service's", async () => {
    const said: string[] = [];
    const { gateway: begun } = await gateway(LISTENER, said);
    expect(await greeting(begun.ports.mx.port)).toMatch(/^220 /);
    expect(said).toEqual(["a line of the log"]);
  });

  it("does not get what opens the panel", async () => {
    vi.stubEnv("HOLDFAST_OPERATOR_TOKEN", "operator-token");
    onTestFinished(() => void vi.unstubAllEnvs());
    const { gateway: begun } = await gateway(LISTENER);
    expect(await greeting(begun.ports.mx.port)).toBe("220 no token");
  });

  it("is started again on its port when it dies", async () => {
    const said: string[] = [];
    const { state, gateway: begun } = await gateway(LISTENER, said);
    const first = pid(state);
    process.kill(first, "SIGKILL");
    await vi.waitFor(async () => expect(await greeting(begun.ports.mx.port)).toMatch(/^220 /), { timeout: 10_000 });
    expect(pid(state)).not.toBe(first);
    expect(said).toContain("the gateway has ended (SIGKILL) and is started again in 0.5 s");
  });

  it("is gone after the stop, and not started again", async () => {
    const { state, gateway: begun } = await gateway(LISTENER);
    await begun.stop();
    await expect(greeting(begun.ports.mx.port)).rejects.toThrow("ECONNREFUSED");
    expect(existsSync(pidFile(state, "gateway"))).toBe(false);
  });

  it("fails the start where it cannot listen", async () => {
    await expect(gateway("process.exit(2)")).rejects.toThrow("The gateway ended (code 2) before it listened.");
  });
});
