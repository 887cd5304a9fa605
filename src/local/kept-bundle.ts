/** The Worker's bundle, made once for the same sources: wrangler takes most of a start's time for it. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type BundledModule, bundleWorker, listModules } from "./bundle.ts";

/** Beside wrangler.toml: what its bundle is made of. The lock file stands for every package, wrangler too. */
const SOURCES = ["package-lock.json", "src/core", "src/worker", "migrations"];
/** Milliseconds after which a bundle that nobody asked for is removed. */
const KEPT = 7 * 24 * 3600_000;
/** The packages are somebody else's, or the disk is full: the next start bundles again. */
const CANNOT_KEEP = ["EACCES", "EPERM", "EROFS", "ENOSPC", "ENOTDIR", "EEXIST"];

/**
 * @param config path of wrangler.toml, in the repository's folder
 * @param folder is emptied, and has the bundle
 * @param kept where bundles are kept; one that cannot be kept is made all the same
 * @returns the main module first
 * @throws with what wrangler said
 */
export async function keptBundle(
  config: string,
  folder: string,
  kept = besidePackages(config),
): Promise<BundledModule[]> {
  const known = join(kept, digest(config));
  rmSync(folder, { recursive: true, force: true });
  if (existsSync(known)) {
    cpSync(known, folder, { recursive: true });
    return listModules(folder);
  }
  const modules = await bundleWorker(config, folder);
  try {
    keep(folder, known);
  } catch (error) {
    if (!CANNOT_KEEP.includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
  return modules;
}

const besidePackages = (config: string) => join(dirname(config), "node_modules/.cache/holdfast");

/** Whole or not at all, whoever else does the same. */
function keep(folder: string, known: string): void {
  const kept = dirname(known);
  mkdirSync(kept, { recursive: true });
  const half = `${known}.${process.pid}.part`;
  rmSync(half, { recursive: true, force: true });
  cpSync(folder, half, { recursive: true });
  try {
    renameSync(half, known);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    // Another start was faster with the same.
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
  for (const name of readdirSync(kept)) {
    const path = join(kept, name);
    if (name !== basename(known) && Date.now() - statSync(path).mtimeMs > KEPT)
      rmSync(path, { recursive: true, force: true });
  }
}

/** Of every file that the bundle is made of, with its name. */
function digest(config: string): string {
  const hash = createHash("sha256");
  const add = (path: string, name: string) => {
    const octets = readFileSync(path);
    hash.update(`${name}\0${octets.length}\0`).update(octets);
  };
  add(config, "config");
  for (const source of SOURCES) {
    const path = join(dirname(config), source);
    if (!statSync(path).isDirectory()) add(path, source);
    else
      for (const name of readdirSync(path, { recursive: true, encoding: "utf8" }).sort())
        if (statSync(join(path, name)).isFile()) add(join(path, name), `${source}/${name}`);
  }
  return hash.digest("hex").slice(0, 32);
}
