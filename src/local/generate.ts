/** `npm run db:generate`: migrations from the schemas. With `--check`, fails where that makes a new one (which stays to be committed). */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const DATABASES = ["directory", "shard", "domain", "outbound"];
const kit = join(dirname(createRequire(import.meta.url).resolve("drizzle-kit")), "bin.cjs");

let stale = false;
for (const database of DATABASES) {
  const folder = join(REPOSITORY, "migrations", database);
  const before = readdirSync(folder).length;
  execFileSync(process.execPath, [kit, "generate", "--config", `migrations/drizzle.${database}.ts`], {
    cwd: REPOSITORY,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const made = readdirSync(folder).length - before;
  console.log(made === 0 ? `${database}: as its schema` : `${database}: ${made} new migration`);
  stale ||= made > 0;
}
if (stale && process.argv.includes("--check")) {
  console.error("The schemas have changed without a migration: commit the new ones.");
  process.exitCode = 1;
}
