import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  
  schema: "./src/worker/store/directory.schema.ts",
  out: "./migrations/directory",
});
