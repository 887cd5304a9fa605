import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  
  schema: "./src/worker/store/shard.schema.ts",
  out: "./migrations/shard",
});
