import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { deploy } from "../../../src/local/deploy/deploy.ts";
import { parseOptions } from "../../../src/local/deploy/options.ts";
import { installedWrangler, wranglerAt } from "../../../src/local/deploy/wrangler.ts";
import { folder } from "../folder.ts";
import { cloudflareApi } from "./cloudflare-api.ts";
import { emptyAccount } from "./wrangler-double.ts";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** Some thirty runs of wrangler at 1 to 5 s. */
const SLOW = 900_000;

it("deploys with the real wrangler, whose words it understands, and makes nothing the second time", {
  timeout: SLOW,
}, async () => {
  const account = emptyAccount();
  account.zones["example.org"] = { enabled: false, catchAll: "worker:holdfast", catchAllEnabled: true, rules: [] };
  const { url, unknown } = await cloudflareApi(account);
  const place = folder();
  const environment = { CLOUDFLARE_API_BASE_URL: url, CLOUDFLARE_API_TOKEN: "token-of-the-test", HOME: place };
  const real = wranglerAt(installedWrangler(), REPOSITORY);
  const lines: string[] = [];
  const run = async (...argv: string[]) => {
    const read = parseOptions(["--yes", ...argv], { HOLDFAST_OPERATOR_PASSWORD: "a password of the operator" });
    if (read.kind !== "options") throw new Error(JSON.stringify(read));
    await deploy(read.options, {
      template: join(REPOSITORY, "wrangler.toml"),
      folder: place,
      wrangler: { run: (command, more) => real.run(command, { ...more, ...environment }) },
      say: (line) => lines.push(line),
      ask: null,
      fetch: async () => Response.json({ status: "ok", origin: {} }),
    });
  };
  const told = () => [...lines, ...unknown].join("\n");
  await run("--hostname", "mx.example.net", "--operator-email", "ops@example.net", "--zone", "example.org").catch(
    (error: Error) => {
      throw new Error(`${told()}\n${error.message}`);
    },
  );
  expect(account.changes, told()).toEqual([
    ...["directory", "shard-0"].map((name) => `database holdfast-${name}`),
    "bucket holdfast-mail",
    "rules of holdfast-mail",
    ...account.databases.flatMap(({ name, migrations }) => migrations.map((file) => `migration ${file} of ${name}`)),
    "upload of holdfast",
    "Email Routing of example.org",
  ]);
  expect(account.databases.map(({ migrations }) => migrations[0])).toEqual(["0000_first.sql", "0000_first.sql"]);
  expect(account.buckets["holdfast-mail"], told()).toEqual([
    { name: "archive-91-days", prefix: "archive/", action: "Expire objects after 91 days" },
  ]);
  expect(Object.keys(account.workers.holdfast?.secrets ?? {}).sort(), told()).toEqual([
    "GATEWAY_SECRETS",
    "MASTER_KEYS",
    "OPERATOR_PASSWORD_HASH",
    "OPERATOR_TOKEN",
  ]);
  expect(account.workers.holdfast?.tag).toMatch(/^[0-9a-f]{16}$/);
  expect(account.workers.holdfast?.configuration).toMatchObject({ HOSTNAME: "mx.example.net" });
  expect(lines, told()).toContain('https://holdfast.example.workers.dev/api/health: 200 {"status":"ok","origin":{}}');

  const after = structuredClone(account);
  await run();
  expect(account, told()).toEqual(after);
});
