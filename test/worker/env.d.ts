/** The bindings of the tests: the Worker's own, and what vitest.config.ts adds. */
import type { D1Migration } from "cloudflare:test";
import type { Env as WorkerEnv } from "../../src/worker/env.ts";

declare global {
  namespace Cloudflare {
    interface Env extends WorkerEnv {
      readonly SHARD_1: D1Database;
      readonly DIRECTORY_MIGRATIONS: D1Migration[];
      readonly SHARD_MIGRATIONS: D1Migration[];
      /** Stored messages at which growth is measured, separated by commas. */
      readonly GROWTH_SIZES: string;
    }
  }
}
