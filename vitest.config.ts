import { defineConfig } from "vitest/config";
import { trustTestAuthority } from "./test/support/authority.ts";

// Miniflare reads NODE_EXTRA_CA_CERTS when it is loaded, so it is loaded after the variable is set.
trustTestAuthority();
const { cloudflareTest, readD1Migrations } = await import("@cloudflare/vitest-plugin");

const directoryMigrations = await readD1Migrations("migrations/directory");
const shardMigrations = await readD1Migrations("migrations/shard");

const results = process.env.HOLDFAST_TEST_RESULTS;

/** Set by `npm run bench`: then that benchmark runs in the tests' place. */
const growth = process.env.HOLDFAST_GROWTH_SIZES ?? "";
const growthOf = process.env.HOLDFAST_GROWTH_OF ?? "*";

export default defineConfig({
  test: {
    // Many files wait for other processes most of their time.
    maxWorkers: 2,
    // CI counts from the JSON; people read the rest.
    reporters: [
      "default",
      ...(results ? ([["json", { outputFile: results }]] as const) : []),
      "./test/support/fault-matrix.ts",
    ],
    projects: [
      { test: { name: "core", include: ["test/core/**/*.test.ts"], testTimeout: 60_000 } },
      {
        plugins: [
          cloudflareTest(({ inject }) => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              // A second shard beside that of wrangler.toml.
              d1Databases: { SHARD_1: "holdfast-shard-1" },
              bindings: {
                DIRECTORY_MIGRATIONS: directoryMigrations,
                SHARD_MIGRATIONS: shardMigrations,
                HOSTNAME: "mx.holdfast.test",
                OPERATOR_TOKEN: "operator-token-of-the-tests",
                MASTER_KEYS: "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
                GATEWAY_SECRETS: "g1:secret-of-the-tests",
                GROWTH_SIZES: growth,
                // Of the gateway that global-setup starts.
                GATEWAYS: `http://127.0.0.1:${inject("relayPort")}`,
              },
            },
          })),
        ],
        test: {
          name: "worker",
          include: [growth === "" ? "test/worker/**/*.test.ts" : `test/worker/bench/${growthOf}.bench.ts`],
          // Nothing here measures time; a busy machine needs longer than an idle one.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          setupFiles: ["test/worker/setup.ts"],
          globalSetup: ["test/support/global-setup.ts"],
        },
      },
      { test: { name: "gateway", include: ["test/gateway/**/*.test.ts"], testTimeout: 60_000 } },
      // Processes are started, which takes a busy machine seconds.
      { test: { name: "local", include: ["test/local/**/*.test.ts"], testTimeout: 60_000 } },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
