/** Every test file starts on migrated, empty databases. */
import { applyD1Migrations, env } from "cloudflare:test";

await applyD1Migrations(env.DIRECTORY, env.DIRECTORY_MIGRATIONS);
await applyD1Migrations(env.SHARD_0, env.SHARD_MIGRATIONS);
await applyD1Migrations(env.SHARD_1, env.SHARD_MIGRATIONS);
// Where a test does not say otherwise, mailboxes are on the first shard.
await env.DIRECTORY.prepare("INSERT OR IGNORE INTO setting (name, value) VALUES ('new_mailboxes_shard', '0')").run();
