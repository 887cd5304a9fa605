import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  driver: "durable-sqlite",
  schema: "./src/worker/store/outbound.schema.ts",
  out: "./migrations/outbound",
});
