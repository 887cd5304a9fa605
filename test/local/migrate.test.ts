import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { expect, it, onTestFinished } from "vitest";
import { migrate } from "../../src/local/migrate.ts";
import { folder } from "./folder.ts";

async function database() {
  const options = { modules: true, script: "export default {}", d1Databases: ["DB"], cf: false };
  const miniflare = new Miniflare(convertV4MiniflareOptions(options));
  onTestFinished(() => miniflare.dispose());
  return miniflare.getD1Database("DB");
}

it("brings the shard's schema up, and once only", async () => {
  const shard = fileURLToPath(new URL("../../migrations/shard", import.meta.url));
  const db = await database();
  const applied = await migrate(db, shard);
  expect(applied[0]).toBe("0000_first.sql");
  expect(await migrate(db, shard)).toEqual([]);
});

it("leaves nothing of a migration that fails in the middle, and goes on from there once it is mended", async () => {
  const migrations = join(folder(), "migrations");
  cpSync(fileURLToPath(new URL("../../migrations/directory", import.meta.url)), migrations, { recursive: true });
  const db = await database();
  writeFileSync(join(migrations, "9000_half.sql"), "CREATE TABLE half (id INTEGER);\nINSERT INTO missing VALUES (1);");
  await expect(migrate(db, migrations)).rejects.toThrow("no such table: missing");
  const half = db.prepare("SELECT name FROM sqlite_master WHERE name = 'half'");
  expect(await half.first()).toBeNull();
  writeFileSync(join(migrations, "9000_half.sql"), "CREATE TABLE half (id INTEGER);");
  expect(await migrate(db, migrations)).toEqual(["9000_half.sql"]);
  expect(await half.first("name")).toBe("half");
});
