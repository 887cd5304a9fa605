/** The Worker as one ES module and its texts, made by wrangler as for an upload. */
import { execFile } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

export interface BundledModule {
  readonly type: "ESModule" | "Text";
  readonly path: string;
}

/** wrangler needs 2 s; a slow disk more. */
const BUNDLE_LIMIT_MS = 120_000;
/** What keeps wrangler to its work: no banner, no log file, no reports, nothing from the network that was not asked for. */
export const QUIET = {
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_SEND_ERROR_REPORTS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_WRITE_LOGS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  NO_COLOR: "1",
};

/**
 * @param config path of wrangler.toml
 * @param folder is emptied
 * @returns the main module first
 * @throws with what wrangler said
 */
export async function bundleWorker(config: string, folder: string): Promise<BundledModule[]> {
  rmSync(folder, { recursive: true, force: true });
  const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin", "wrangler.js");
  const command = [wrangler, "deploy", "--dry-run", "--outdir", folder, "--config", config];
  try {
    await promisify(execFile)(process.execPath, command, {
      cwd: dirname(config),
      env: { ...process.env, ...QUIET },
      timeout: BUNDLE_LIMIT_MS,
    });
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`The Worker could not be bundled: ${`${stderr}\n${stdout}`.trim() || message}`);
  }
  return listModules(folder);
}

/** @returns what a bundle in this folder has, the main module first */
export function listModules(folder: string): BundledModule[] {
  const files = readdirSync(folder).sort();
  const main = files.filter((file) => file.endsWith(".js"));
  if (main.length !== 1) throw new Error(`The bundle in ${folder} should have one script, it has ${main.length}.`);
  return [
    ...main.map((file) => ({ type: "ESModule" as const, path: join(folder, file) })),
    ...files
      .filter((file) => file.endsWith(".sql"))
      .map((file) => ({ type: "Text" as const, path: join(folder, file) })),
  ];
}
