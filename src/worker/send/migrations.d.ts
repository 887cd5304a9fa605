/** drizzle-kit makes the list of migrations as JavaScript. */
declare module "*/migrations/outbound/migrations.js" {
  const migrations: {
    journal: { entries: { idx: number; when: number; tag: string; breakpoints: boolean }[] };
    migrations: Record<string, string>;
  };
  export default migrations;
}
