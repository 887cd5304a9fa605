/** The object's SQLite behind drizzle. Its statements are synchronous; what one turn writes is stored as one. */
import { type DrizzleSqliteDODatabase, drizzle } from "drizzle-orm/durable-sqlite";
import { migrate } from "drizzle-orm/durable-sqlite/migrator";
import migrations from "../../../migrations/domain/migrations.js";
import * as schema from "../store/domain.schema.ts";

export type DomainDatabase = DrizzleSqliteDODatabase<typeof schema>;

export function openDatabase(storage: DurableObjectStorage): DomainDatabase {
  return drizzle(storage, { schema });
}

/** False for an object that was only ever asked for a domain that there is not: it stores nothing, so it costs nothing. */
export function hasTables(storage: DurableObjectStorage): boolean {
  return storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'facts'").toArray().length > 0;
}

export async function migrateDatabase(db: DomainDatabase): Promise<void> {
  await migrate(db, migrations);
}
