/** wrangler's configuration of one deployment: wrangler.toml with this deployment's names, identifiers and variables. */
import { dirname, relative, resolve } from "node:path";
import { experimental_readRawConfig } from "wrangler";
import { z } from "zod";

export interface Database {
  /** `DIRECTORY`, `SHARD_0` … */
  readonly binding: string;
  readonly name: string;
}

export interface Plan {
  readonly worker: string;
  readonly databases: readonly Database[];
  readonly bucket: string;
}

export interface Particulars {
  readonly account: string | null;
  /** By binding; what is missing keeps the placeholder. */
  readonly databaseIds: Readonly<Record<string, string>>;
  readonly vars: Readonly<Record<string, string>>;
  /** A custom domain for pages and API, or null: workers.dev only. */
  readonly domain: string | null;
}

/** The Worker's name in wrangler.toml, with which the names of databases and bucket begin. */
const GENERIC = "holdfast";

/** As much of wrangler.toml as is touched here; the rest goes through as it is. */
const Template = z.looseObject({
  main: z.string(),
  assets: z.looseObject({ directory: z.string() }).optional(),
  vars: z.record(z.string(), z.unknown()).default({}),
  d1_databases: z
    .array(
      z.looseObject({
        binding: z.string(),
        database_name: z.string(),
        database_id: z.string(),
        migrations_dir: z.string(),
      }),
    )
    .min(1),
  r2_buckets: z.tuple([z.looseObject({ bucket_name: z.string() })]),
});

/** @throws with what is missing in it */
function readTemplate(path: string): z.infer<typeof Template> {
  const read = Template.safeParse(experimental_readRawConfig({ config: path }).rawConfig);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new Error(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
}

/** @param name of this deployment; databases and bucket are called after it */
export function readPlan(template: string, name: string): Plan {
  const { d1_databases, r2_buckets } = readTemplate(template);
  return {
    worker: name,
    databases: d1_databases.map(({ binding, database_name }) => ({ binding, name: own(database_name, name) })),
    bucket: own(r2_buckets[0].bucket_name, name),
  };
}

/** @returns the variables in wrangler.toml with their placeholders */
export function templateVars(template: string): Record<string, string> {
  return Object.fromEntries(Object.entries(readTemplate(template).vars).map(([key, value]) => [key, String(value)]));
}

/**
 * @param template path of wrangler.toml; its relative paths stay right
 * @param folder where the result will lie
 * @returns JSON, which wrangler reads as well
 */
export function writeOut(template: string, plan: Plan, particulars: Particulars, folder: string): string {
  const raw = readTemplate(template);
  const moved = (path: string) => relative(folder, resolve(dirname(template), path)).replaceAll("\\", "/");
  const { account, databaseIds, vars, domain } = particulars;
  const names = new Map(plan.databases.map(({ binding, name }) => [binding, name]));
  const result = {
    ...raw,
    name: plan.worker,
    main: moved(raw.main),
    ...(raw.assets === undefined ? {} : { assets: { ...raw.assets, directory: moved(raw.assets.directory) } }),
    ...(account === null ? {} : { account_id: account }),
    d1_databases: raw.d1_databases.map((database) => ({
      ...database,
      database_name: names.get(database.binding) ?? database.database_name,
      database_id: databaseIds[database.binding] ?? database.database_id,
      migrations_dir: moved(database.migrations_dir),
    })),
    r2_buckets: [{ ...raw.r2_buckets[0], bucket_name: plan.bucket }],
    vars: { ...raw.vars, ...vars },
    ...(domain === null ? {} : { routes: [{ pattern: domain, custom_domain: true }] }),
    workers_dev: true,
  };
  return `${JSON.stringify(result, null, 2)}\n`;
}

function own(name: string, deployment: string): string {
  return name.startsWith(`${GENERIC}-`) ? `${deployment}${name.slice(GENERIC.length)}` : `${deployment}-${name}`;
}
