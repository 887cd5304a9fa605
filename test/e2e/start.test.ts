import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Addresses } from "../../src/local/holdfast.ts";
import { endOrphans } from "../../src/local/orphan.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const TOKEN = "operator-token-of-the-tests";
const PASSWORD = /^operator: operator@localhost, password (\S{20}) \(shown this once\)$/m;

/** Milliseconds: a start takes a busy machine a minute. */
const TWO_STARTS = 300_000;

const state = mkdtempSync(join(tmpdir(), "holdfast-start-"));
const started: ChildProcess[] = [];

interface Service {
  readonly child: ChildProcess;
  readonly output: string[];
  readonly addresses: Addresses;
}

/** `npm start` without npm in between, so that a SIGKILL reaches the service itself; or with it. */
/** Whatever else runs on this machine. */
const FREE = { HOLDFAST_SUBMISSION_PORT: "0", HOLDFAST_SUBMISSIONS_PORT: "0" };

function spawnStart(environment: Record<string, string>, npm = false): { child: ChildProcess; output: string[] } {
  const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as {
    scripts: { start: string };
  };
  // `exec`: a signal to npm is a signal to the service, and no shell in between dies of it.
  const [exec, command, ...args] = scripts.start.split(" ");
  expect([exec, command]).toEqual(["exec", "node"]);
  const child = spawn(npm ? "npm" : process.execPath, npm ? ["start"] : args, {
    cwd: REPOSITORY,
    env: { ...process.env, ...FREE, HOLDFAST_STATE: state, HOLDFAST_OPERATOR_TOKEN: TOKEN, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on("line", (line) => output.push(line));
  return { child, output };
}

async function start(ports: { http: number; mx: number } = { http: 0, mx: 0 }, npm = false): Promise<Service> {
  const environment = { HOLDFAST_HTTP_PORT: String(ports.http), HOLDFAST_MX_PORT: String(ports.mx) };
  const { child, output } = spawnStart(environment, npm);
  const ended = new AbortController();
  child.once("exit", () => ended.abort());
  while (!output.includes("holdfast ready")) {
    if (ended.signal.aborted) throw new Error(`the service ended: ${output.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { child, output, addresses: JSON.parse(readFileSync(join(state, "addresses.json"), "utf8")) as Addresses };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const gone = once(child, "exit");
  child.kill(signal);
  const [code] = (await gone) as [number | null];
  return code;
}

async function api(service: Service, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(new URL(path, service.addresses.http), {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function isUp({ addresses }: Service): Promise<boolean> {
  try {
    return (await greeting(addresses.mx)).startsWith("220");
  } catch (error) {
    if ((error as { code?: string }).code === "ECONNREFUSED") return false;
    throw error;
  }
}

function greeting({ host, port }: { host: string; port: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    socket.once("error", reject).once("data", (octets) => {
      socket.end("QUIT\r\n");
      resolve(octets.toString());
    });
  });
}

const ports = ({ addresses }: Service) => ({ http: Number(new URL(addresses.http).port), mx: addresses.mx.port });
const ORIGIN = { transport: "smtp", host: "origin.example.org", port: 587, tls: "starttls" };
const DOMAIN = { continuity: true, coverage: "all", switching: "manual", origin: ORIGIN };

afterAll(async () => {
  for (const child of started) if (child.exitCode === null && child.signalCode === null) await end(child, "SIGTERM");
  // Where the start after SIGKILL failed, its children are still there.
  await endOrphans(state, (line) => console.error(line));
  rmSync(state, { recursive: true, force: true });
});

describe("npm start, after SIGKILL", () => {
  let password = "";
  let before: { http: number; mx: number };
  let service: Service;

  beforeAll(async () => {
    const killed = await start();
    before = ports(killed);
    password = PASSWORD.exec(killed.output.join("\n"))?.[1] ?? "";
    const put = await api(killed, "PUT", "/api/domains/example.org", DOMAIN);
    expect(put.ok, await put.text()).toBe(true);
    await end(killed.child, "SIGKILL");
    service = await start(before);
  }, TWO_STARTS);

  it("comes back on the same ports, with its state, and says what it had to end", async () => {
    expect(ports(service)).toEqual(before);
    expect(service.output.join("\n")).toMatch(
      /ended the gateway \(process \d+\) that a killed service had left behind\nended the workerd \(process \d+\) that a killed service had left behind/,
    );
    expect((await api(service, "GET", "/api/health")).status).toBe(200);
    expect(await (await api(service, "GET", "/api/domains/example.org")).json()).toMatchObject({ origin: ORIGIN });
    expect(await greeting(service.addresses.mx)).toMatch(/^220 holdfast\.localhost ESMTP/);
  });

  it("lets the operator in with the password that the first start printed, and no later one", async () => {
    expect(service.output.join("\n")).not.toMatch(PASSWORD);
    const signIn = (secret: string) =>
      fetch(new URL("/api/session", service.addresses.http), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email: "operator@localhost", password: secret }),
      });
    expect((await signIn(password)).status).toBe(200);
    expect((await signIn(`${password}x`)).status).toBe(401);
  });

  it("refuses a second service on the same folder, and leaves the first alone", async () => {
    const second = spawnStart({ HOLDFAST_HTTP_PORT: "0", HOLDFAST_MX_PORT: "0" });
    const [code] = await once(second.child, "close");
    expect(code).toBe(1);
    expect(second.output).toEqual([`${state} is in use by the service with process id ${service.child.pid}.`]);
    expect((await api(service, "GET", "/api/health")).status).toBe(200);
  });

  it("names a port that is in use, and exits with 1", async () => {
    const other = mkdtempSync(join(tmpdir(), "holdfast-start-"));
    const { http } = ports(service);
    const second = spawnStart({ HOLDFAST_STATE: other, HOLDFAST_HTTP_PORT: String(http), HOLDFAST_MX_PORT: "0" });
    const [code] = await once(second.child, "close");
    rmSync(other, { recursive: true, force: true });
    expect(code).toBe(1);
    expect(second.output).toEqual([
      expect.stringMatching(PASSWORD),
      `127.0.0.1 port ${http} (HOLDFAST_HTTP_PORT) is in use by another program.`,
    ]);
  });

  it("stops cleanly at SIGTERM: exit code 0, and its ports are closed", async () => {
    expect(await end(service.child, "SIGTERM")).toBe(0);
    await expect(greeting(service.addresses.mx)).rejects.toThrow("ECONNREFUSED");
    await expect(api(service, "GET", "/api/health")).rejects.toThrow("fetch failed");
  });
});

describe("npm start", () => {
  it("stops cleanly when npm is told to, and leaves nothing behind", async () => {
    const service = await start({ http: 0, mx: 0 }, true);
    await end(service.child, "SIGTERM");
    // npm may be gone a moment before its child.
    for (let left = 100; left > 0 && (await isUp(service)); left--)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await isUp(service)).toBe(false);
    await expect(api(service, "GET", "/api/health")).rejects.toThrow("fetch failed");
  });

  it("prints every bad setting and starts nothing", async () => {
    const { child, output } = spawnStart({ HOLDFAST_HTTP_PORT: "http", HOLDFAST_HOST: "here" });
    const [code] = await once(child, "close");
    expect(code).toBe(1);
    expect(output).toEqual([
      'HOLDFAST_HOST must be an IP address, not "here".',
      'HOLDFAST_HTTP_PORT must be a whole number from 0 to 65535, not "http".',
    ]);
  });
});
