/** The whole service on this machine: bundle, workerd, migrations, clock, gateway; in that order up, and back down. */
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { keepCertificate } from "./certificate.ts";
import { startClock } from "./clock.ts";
import { writeWhole } from "./file.ts";
import { type Listener, startGateway } from "./gateway-process.ts";
import { keptBundle } from "./kept-bundle.ts";
import { migrate } from "./migrate.ts";
import { endOrphans, takeFolder } from "./orphan.ts";
import { startRuntime } from "./runtime.ts";
import { keepSecrets, type Secrets } from "./secrets.ts";
import type { Settings } from "./settings.ts";
import { furtherShards, keepShards } from "./shards.ts";

/** `<state>/addresses.json` has the same. */
export interface Addresses {
  /** `http://127.0.0.1:8787` */
  readonly http: string;
  readonly mx: Listener;
  readonly submission?: Listener;
  readonly submissions?: Listener;
}

export interface Holdfast {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

/** Programs, so that tests can start small ones. */
export interface Programs {
  /** Path of wrangler.toml, which names the Worker. */
  readonly config: string;
  readonly gateway: string;
}

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const OURS: Programs = { config: join(REPOSITORY, "wrangler.toml"), gateway: join(REPOSITORY, "src/gateway/main.ts") };
const LOOPBACK = "127.0.0.1";
const HEALTH_LIMIT_MS = 30_000;
const HEALTH_STEP_MS = 100;

/**
 * Once it resolves, every port answers.
 * @param say takes lines for the operator
 * @throws with the reason, after everything that had begun is down again
 */
export async function startHoldfast(
  settings: Settings,
  say: (line: string) => void = console.log,
  { config, gateway: program }: Programs = OURS,
): Promise<Holdfast> {
  const { state, host } = settings;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const undo: (() => unknown)[] = [takeFolder(state)];
  const file = join(state, "addresses.json");
  // Those of a service that was killed.
  rmSync(file, { force: true });
  const stop = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    await endOrphans(state, say);
    const { secrets, made } = keepSecrets(state, settings.operatorPassword);
    if (made !== null) say(`operator: ${settings.operatorEmail}, password ${made} (shown this once)`);
    const tls = settings.tls ?? keepCertificate(state, settings.hostname);

    const shards = keepShards(state, settings.shards);
    const modules = await keptBundle(config, join(state, "bundle"));
    const relayPort = settings.relayPort === 0 ? await freePort() : settings.relayPort;
    const bindings = workerBindings(settings, secrets, relayPort);
    const runtime = await startRuntime({
      state,
      host,
      port: settings.httpPort,
      config,
      modules,
      bindings,
      databases: furtherShards(shards),
      say,
    });
    undo.push(() => runtime.stop());

    await migrate(await runtime.miniflare.getD1Database("DIRECTORY"), join(REPOSITORY, "migrations/directory"));
    for (const binding of ["SHARD_0", ...Object.keys(furtherShards(shards))])
      await migrate(await runtime.miniflare.getD1Database(binding), join(REPOSITORY, "migrations/shard"));
    await healthy(runtime.url);
    undo.push(startClock(runtime.miniflare, say));

    const gateway = await startGateway({
      state,
      say,
      program,
      settings: {
        HOLDFAST_WORKER_URL: runtime.url.origin,
        HOLDFAST_GATEWAY_SECRETS: secrets.gatewaySecrets,
        HOLDFAST_HOST: host,
        HOLDFAST_MX_PORT: String(settings.mxPort),
        HOLDFAST_SUBMISSION_PORT: String(settings.submissionPort),
        HOLDFAST_SUBMISSIONS_PORT: String(settings.submissionsPort),
        HOLDFAST_HOSTNAME: settings.hostname,
        HOLDFAST_TLS_CERT: tls.cert,
        HOLDFAST_TLS_KEY: tls.key,
        // On loopback, for the Worker alone, which takes no certificate of our own making.
        HOLDFAST_RELAY_HOST: LOOPBACK,
        HOLDFAST_RELAY_PORT: String(relayPort),
        HOLDFAST_RELAY_TLS: "off",
      },
    });
    undo.push(() => gateway.stop());

    const addresses: Addresses = { http: runtime.url.origin, ...gateway.ports };
    writeWhole(file, `${JSON.stringify(addresses, null, 2)}\n`);
    undo.push(() => rmSync(file, { force: true }));
    return { addresses, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The Worker has to be told of the relay before the gateway starts. Another program may take the port: then the gateway says so. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function workerBindings(settings: Settings, secrets: Secrets, relayPort: number): Record<string, string> {
  return {
    HOSTNAME: settings.hostname,
    OPERATOR_EMAIL: settings.operatorEmail,
    OPERATOR_PASSWORD_HASH: secrets.operatorPasswordHash,
    MASTER_KEYS: secrets.masterKeys,
    GATEWAY_SECRETS: secrets.gatewaySecrets,
    GATEWAYS: `http://${LOOPBACK}:${relayPort}`,
    PROBE_SECONDS: String(settings.probeSeconds),
    ...(settings.operatorToken === null ? {} : { OPERATOR_TOKEN: settings.operatorToken }),
  };
}

/** Until D1, R2 and a Durable Object answer. @throws with what does not */
async function healthy(url: URL): Promise<void> {
  const deadline = Date.now() + HEALTH_LIMIT_MS;
  for (;;) {
    let answer: string;
    try {
      const response = await fetch(new URL("/api/health", url), { signal: AbortSignal.timeout(HEALTH_LIMIT_MS) });
      answer = `${response.status} ${await response.text()}`;
      if (response.ok) return;
    } catch (error) {
      answer = (error as Error).message;
    }
    if (Date.now() >= deadline) throw new Error(`The Worker is not healthy: ${answer}`);
    await pause(HEALTH_STEP_MS);
  }
}
