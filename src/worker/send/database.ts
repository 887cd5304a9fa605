/** The outbound object's SQLite behind drizzle. Its statements are synchronous; what one turn writes is stored as one. */
import { type DrizzleSqliteDODatabase, drizzle } from "drizzle-orm/durable-sqlite";
import { migrate } from "drizzle-orm/durable-sqlite/migrator";
import migrations from "../../../migrations/outbound/migrations.js";
import * as schema from "../store/outbound.schema.ts";

export type OutboundDatabase = DrizzleSqliteDODatabase<typeof schema>;

export function openDatabase(storage: DurableObjectStorage): OutboundDatabase {
  return drizzle(storage, { schema });
}

export async function migrateDatabase(db: OutboundDatabase): Promise<void> {
  await migrate(db, migrations);
}
