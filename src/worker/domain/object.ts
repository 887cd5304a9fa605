import { DurableObject } from "cloudflare:workers";
import { drizzle } from "drizzle-orm/durable-sqlite";
import { migrate } from "drizzle-orm/durable-sqlite/migrator";
import migrations from "../../../migrations/domain/migrations.js";
import type { Env } from "../env.ts";
import * as schema from "../store/domain.schema.ts";

export class DomainObject extends DurableObject<Env> {
  db = drizzle(this.ctx.storage, { schema });
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      await migrate(this.db, migrations);
    });
  }
  hello(): string[] {
    return this.db.all<{ name: string }>("select name from sqlite_master").map((r) => r.name);
  }
}
