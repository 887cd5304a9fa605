/** What a deployment remembers on this machine: `.deploy/NAME/`, not in git. Losing settings.json costs questions, no mail. */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJson, writeWhole } from "../file.ts";

const Remembered = z.object({
  account: z.string().nullable().default(null),
  hostname: z.string().nullable().default(null),
  operatorEmail: z.string().nullable().default(null),
  domain: z.string().nullable().default(null),
  gateways: z.string().nullable().default(null),
  keepSecrets: z.boolean().default(true),
  zones: z.array(z.string()).default([]),
  /** Where the Worker answered last. */
  url: z.string().nullable().default(null),
});
export type Remembered = z.infer<typeof Remembered>;

const Secrets = z.object({
  /** By the Worker's names; OPERATOR_PASSWORD is the one that was made here, and is never uploaded. */
  values: z.record(z.string(), z.string()).default({}),
  /** Names whose value the Worker has not got yet. */
  pending: z.array(z.string()).default([]),
});
export type StoredSecrets = z.infer<typeof Secrets>;

export class Memory {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Of wrangler's configuration. */
  get configuration(): string {
    return join(this.folder, "wrangler.json");
  }

  get secretsFile(): string {
    return join(this.folder, "secrets.json");
  }

  settings(): Remembered {
    return Remembered.parse(this.#read("settings.json") ?? {});
  }

  remember(settings: Remembered): void {
    this.write("settings.json", settings);
  }

  secrets(): StoredSecrets {
    return Secrets.parse(this.#read("secrets.json") ?? {});
  }

  /** Before any of them is uploaded: a secret that only the Worker knows is lost. */
  keep(secrets: StoredSecrets): void {
    this.write("secrets.json", secrets);
  }

  /** Whole or not at all, for its owner only. @returns its path */
  write(name: string, content: unknown): string {
    const path = join(this.folder, name);
    writeWhole(path, typeof content === "string" ? content : `${JSON.stringify(content, null, 2)}\n`, 0o600);
    return path;
  }

  has(name: string): boolean {
    return existsSync(join(this.folder, name));
  }

  forget(name: string): void {
    rmSync(join(this.folder, name), { force: true });
  }

  #read(name: string): unknown {
    return readJson(join(this.folder, name), "restore it from a copy, or move it away to begin anew.");
  }
}
