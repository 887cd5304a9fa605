/** The steps around the Worker itself: migrations, upload with its secrets, and whether it answers. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { Database } from "./configuration.ts";
import type { Memory, StoredSecrets } from "./memory.ts";
import type { Say } from "./storage.ts";
import { json, StepFailed, saysMissing, type Wrangler } from "./wrangler.ts";

/** Before the upload: they only add, so that the Worker that runs now goes on with them. */
export async function applyMigrations(
  wrangler: Wrangler,
  databases: readonly Database[],
  config: string,
  say: Say,
): Promise<void> {
  for (const { binding, name } of databases) {
    const answer = await wrangler.run(["d1", "migrations", "apply", binding, "--remote", "--config", config]);
    if (!answer.ok)
      throw new StepFailed(
        `The migrations of ${name} could not be applied; the Worker that runs is untouched.`,
        answer.words,
        "wrangler rolls back the one that failed. Mend what it names, then run npm run deploy again: it goes on with that one.",
      );
    const none = answer.stdout.includes("No migrations to apply");
    say(`migrations of ${name}: ${none ? "all there" : "applied"}`);
  }
}

const Names = z.array(z.object({ name: z.string() }));

/** @returns the names of the secrets that the Worker has; none where there is no Worker yet */
export async function presentSecrets(wrangler: Wrangler, worker: string, config: string): Promise<Set<string>> {
  const answer = await wrangler.run(["secret", "list", "--name", worker, "--format", "json", "--config", config]);
  if (saysMissing(answer, "worker")) return new Set();
  if (!answer.ok)
    throw new StepFailed("The Worker's secrets could not be listed.", answer.words, "Run npm run deploy again.");
  return new Set(json(answer, (value) => Names.parse(value), "secret list").map(({ name }) => name));
}

/** There from before an upload until all of it was done. */
const BEGUN = "upload-begun.json";

const Deployment = z.object({ versions: z.array(z.object({ version_id: z.string(), percentage: z.number() })) });
const Version = z.object({ annotations: z.record(z.string(), z.unknown()).optional() });
const Deployed = z.object({ type: z.string(), targets: z.array(z.string()).nullish() });

/**
 * Uploads the Worker where what runs is not this, or secrets are to be set; both become valid in one moment.
 * @returns the address where it answers, or null where nothing was uploaded or wrangler named none
 */
export async function upload(
  wrangler: Wrangler,
  { memory, worker, config, secrets }: { memory: Memory; worker: string; config: string; secrets: StoredSecrets },
  say: Say,
): Promise<string | null> {
  const tag = await fingerprint(wrangler, memory, config);
  const { pending, values } = secrets;
  // One that was broken off may run already, without its cron triggers or its domain: wrangler sets those last.
  const whole = pending.length === 0 && !memory.has(BEGUN);
  if (whole && (await runs(wrangler, worker, config)) === tag) {
    say(`Worker ${worker}: this version runs (${tag})`);
    return null;
  }
  const report = join(memory.folder, "wrangler-output.jsonl");
  rmSync(report, { force: true });
  const command = ["deploy", "--config", config, "--tag", tag];
  memory.write(BEGUN, { tag });
  try {
    if (pending.length > 0) {
      const chosen = Object.fromEntries(pending.map((name) => [name, values[name] ?? ""]));
      command.push("--secrets-file", memory.write("upload-secrets.json", chosen));
    }
    const answer = await wrangler.run(command, { WRANGLER_OUTPUT_FILE_PATH: report });
    if (!answer.ok)
      throw new StepFailed(
        `The upload of the Worker ${worker} did not end well (the new version runs only if wrangler says "Uploaded").`,
        without(answer.words, Object.values(values)),
        "Mend what wrangler names, then run npm run deploy again: it goes on here.",
      );
  } finally {
    memory.forget("upload-secrets.json");
  }
  memory.keep({ values, pending: [] });
  memory.forget(BEGUN);
  say(`Worker ${worker}: uploaded (${tag})`);
  for (const name of pending) say(`secret ${name}: set`);
  return addressIn(report);
}

/** Of everything that an upload holds but the secrets: script, texts, assets and configuration. */
async function fingerprint(wrangler: Wrangler, memory: Memory, config: string): Promise<string> {
  const folder = join(memory.folder, "worker");
  rmSync(folder, { recursive: true, force: true });
  const answer = await wrangler.run(["deploy", "--dry-run", "--outdir", folder, "--config", config]);
  if (!answer.ok)
    throw new StepFailed(
      "The Worker could not be bundled.",
      answer.words,
      "This is a fault of the sources: npm run check.",
    );
  const hash = createHash("sha256");
  const { assets } = JSON.parse(readFileSync(config, "utf8")) as { assets?: { directory?: string } };
  const folders = [folder, ...(assets?.directory ? [join(memory.folder, assets.directory)] : [])];
  for (const each of folders)
    for (const file of readdirSync(each, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith(".map") && entry.name !== "README.md")
      .map((entry) => join(entry.parentPath, entry.name))
      .sort())
      hash
        .update(`${file.slice(each.length)}\0`)
        .update(readFileSync(file))
        .update("\0");
  hash.update(readFileSync(config));
  return hash.digest("hex").slice(0, 16);
}

/** @returns the tag of the one version that has all the traffic, or null */
async function runs(wrangler: Wrangler, worker: string, config: string): Promise<string | null> {
  const status = await wrangler.run(["deployments", "status", "--name", worker, "--json", "--config", config]);
  if (!status.ok) return null;
  const { versions } = json(status, (value) => Deployment.parse(value), "deployments status");
  const [version] = versions;
  if (!version || versions.length > 1) return null;
  const view = ["versions", "view", version.version_id, "--name", worker, "--json", "--config", config];
  const answer = await wrangler.run(view);
  if (!answer.ok) return null;
  const tag = json(answer, (value) => Version.parse(value), "versions view").annotations?.["workers/tag"];
  return typeof tag === "string" ? tag : null;
}

/** From wrangler's report to scripts: a custom domain before workers.dev. */
function addressIn(report: string): string | null {
  let lines: string[];
  try {
    lines = readFileSync(report, "utf8").trim().split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  } finally {
    rmSync(report, { force: true });
  }
  const entry = lines.map((line) => Deployed.safeParse(JSON.parse(line)).data).find((one) => one?.type === "deploy");
  const targets = entry?.targets ?? [];
  const custom = targets.find((target) => target.endsWith(" (custom domain)"));
  if (custom) return `https://${custom.replace(" (custom domain)", "")}`;
  return targets.find((target) => target.startsWith("https://")) ?? null;
}

/** A new custom domain gets its certificate within minutes; an isolate starts within a second. */
const HEALTH_LIMIT_MS = 180_000;
const HEALTH_STEP_MS = 3_000;
const ANSWER_LIMIT_MS = 15_000;

/** Until D1, R2 and a Durable Object answer. @throws StepFailed with what does not */
export async function checkHealth(
  url: string,
  fetch: typeof globalThis.fetch,
  say: Say,
  limit = HEALTH_LIMIT_MS,
  step = HEALTH_STEP_MS,
): Promise<void> {
  const deadline = Date.now() + limit;
  let told = false;
  for (;;) {
    let answer: string;
    try {
      const response = await fetch(new URL("/api/health", url), { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
      answer = `${response.status} ${(await response.text()).slice(0, 500)}`;
      if (response.ok) return say(`${url}/api/health: ${answer}`);
    } catch (error) {
      const { message, cause } = error as Error;
      answer = cause instanceof Error ? `${message}: ${cause.message}` : message;
    }
    if (Date.now() + step > deadline)
      throw new StepFailed(
        `${url}/api/health does not answer 200.`,
        answer,
        "What is listed as failing is the part to look at (npx wrangler tail shows why). Run npm run deploy again.",
      );
    if (!told) say(`${url}: not healthy yet (${answer}); asked again for up to ${limit / 1000} s`);
    told = true;
    await pause(step);
  }
}

function without(text: string, secrets: readonly string[]): string {
  return secrets.filter(Boolean).reduce((rest, secret) => rest.replaceAll(secret, "(secret)"), text);
}
