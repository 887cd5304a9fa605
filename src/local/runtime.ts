/** The Worker in workerd on this machine, by Miniflare: the same bindings as wrangler.toml, kept in the state folder. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions } from "wrangler";
import type { BundledModule } from "./bundle.ts";
import { MARK, markOf, pidFile, running } from "./orphan.ts";

export interface RuntimeOptions {
  readonly state: string;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Path of wrangler.toml. */
  readonly config: string;
  readonly modules: readonly BundledModule[];
  /** D1 databases beside those of wrangler.toml: binding and identifier. */
  readonly databases?: Readonly<Record<string, string>>;
  /** Variables and secrets, over those of wrangler.toml. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly say: (line: string) => void;
  /** V8's inspector on loopback, for who measures; 0: a free port. Absent: none. */
  readonly inspectorPort?: number;
}

/** As much of it as is touched here; its own type does not resolve to an object's. */
interface SourcelessWorker {
  readonly modulesRules?: unknown;
  readonly bindings?: Readonly<Record<string, string>>;
  readonly d1Databases?: Readonly<Record<string, string | { readonly id: string }>>;
}

export interface Runtime {
  readonly miniflare: Miniflare;
  /** For this machine, also where the service listens everywhere. */
  readonly url: URL;
  stop(): Promise<void>;
}

const WATCH_MS = 1_000;
/** Miniflare starts a dead workerd again at once, but only once; after so many looks without one it is our turn. */
const LOOKS = 5;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** workerd takes part of a second; a busy machine more. */
const START_LIMIT_MS = 60_000;

/** Starts workerd; one that dies by itself is started again on the same port. */
export async function startRuntime(options: RuntimeOptions): Promise<Runtime> {
  const { state, say } = options;
  process.env.MINIFLARE_WORKERD_PATH = writeWrapper(state);
  const miniflare = construct(state, miniflareOptions(options, options.port));
  let url: URL;
  try {
    url = await inTime(miniflare.ready, "workerd did not start");
  } catch (error) {
    // Of a start that failed, this answers with the start's own error.
    await Promise.allSettled([miniflare.dispose()]);
    if ((error as { code?: unknown }).code !== "ERR_ADDRESS_IN_USE") throw error;
    throw new Error(`${options.host} port ${options.port} (HOLDFAST_HTTP_PORT) is in use by another program.`);
  }
  const watching = new AbortController();
  const watched = watch();

  async function watch(): Promise<void> {
    const { signal } = watching;
    // It rejects only when the watch is ended, which the loop looks at itself.
    const rest = (ms: number) => pause(ms, undefined, { signal }).catch(() => undefined);
    let missed = 0;
    while (!signal.aborted) {
      await rest(WATCH_MS);
      if (signal.aborted) return;
      missed = running(state, "workerd") === null ? missed + 1 : 0;
      if (missed < LOOKS) continue;
      missed = 0;
      say("workerd is not running; it is started again");
      try {
        await inTime(miniflare.setOptions(miniflareOptions(options, Number(url.port))), "workerd did not start");
      } catch (error) {
        say(`workerd could not be started again, next try follows: ${(error as Error).message}`);
      }
    }
  }

  return {
    miniflare,
    url: local(url, options.host),
    async stop() {
      watching.abort();
      await watched;
      await miniflare.dispose();
    },
  };
}

/** Its temporary folder in ours, where the next start finds it after SIGKILL; and signals are the service's to handle, not its. */
function construct(state: string, options: MiniflareOptions): Miniflare {
  const temporary = join(state, "tmp");
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  const usual = process.env.TMPDIR;
  const known = SIGNALS.map((signal) => process.listeners(signal));
  process.env.TMPDIR = temporary;
  try {
    return new Miniflare(options);
  } finally {
    if (usual === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = usual;
    for (const [index, signal] of SIGNALS.entries())
      for (const listener of process.listeners(signal))
        if (!known[index]?.includes(listener)) process.removeListener(signal, listener);
  }
}

function miniflareOptions(options: RuntimeOptions, port: number) {
  // Its module rules are for scripts that Miniflare gathers itself; ours are listed.
  const { modulesRules: _, ...worker } = unstable_getMiniflareWorkerOptions(options.config)
    .workerOptions as object as SourcelessWorker;
  const persisted = join(options.state, "storage");
  mkdirSync(persisted, { recursive: true });
  return convertV4MiniflareOptions({
    ...worker,
    name: "holdfast",
    modules: options.modules.map(({ type, path }) => ({ type, path })),
    modulesRoot: join(options.state, "bundle"),
    bindings: { ...worker.bindings, ...options.bindings },
    d1Databases: { ...worker.d1Databases, ...withIds(options.databases ?? {}) },
    host: options.host,
    port,
    cf: false,
    logRequests: false,
    log: new Log(LogLevel.WARN),
    unsafeLocalExplorer: false,
    unsafeObservability: false,
    resourcePersistencePath: persisted,
    ...(options.inspectorPort === undefined ? {} : { inspectorPort: options.inspectorPort }),
  });
}

function withIds(databases: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(databases).map(([binding, id]) => [binding, { id }]));
}

/** A shell that notes its process id, marks its environment and becomes workerd. */
function writeWrapper(state: string): string {
  const require = createRequire(createRequire(import.meta.url).resolve("miniflare"));
  const { default: workerd } = require("workerd") as { default: string };
  const path = join(state, "workerd.sh");
  const lines = [
    "#!/bin/sh",
    `export ${MARK}=${quoted(markOf(state, "workerd"))}`,
    `echo $$ > ${quoted(pidFile(state, "workerd"))}`,
    `exec ${quoted(workerd)} "$@"`,
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  chmodSync(path, 0o755);
  return path;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Where it listens everywhere, loopback is how we reach it ourselves. */
function local(url: URL, host: string): URL {
  const reached = new URL(url.origin);
  if (host === "0.0.0.0") reached.hostname = "127.0.0.1";
  if (host === "::") reached.hostname = "[::1]";
  return reached;
}

async function inTime<T>(work: Promise<T>, what: string): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      work,
      pause(START_LIMIT_MS, undefined, { signal: late.signal }).then(() => {
        throw new Error(`${what} in ${START_LIMIT_MS / 1000} s.`);
      }),
    ]);
  } finally {
    late.abort();
  }
}
