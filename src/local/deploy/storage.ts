/** The steps that make the databases and the bucket. Each looks first, and looks again after it made something. */
import { z } from "zod";
import type { Database } from "./configuration.ts";
import { json, StepFailed, saysMissing, type Wrangler } from "./wrangler.ts";

export type Say = (line: string) => void;

const Databases = z.array(z.object({ name: z.string(), uuid: z.string().min(1) }));

/** @returns the identifiers, by binding */
export async function makeDatabases(
  wrangler: Wrangler,
  databases: readonly Database[],
  config: string,
  say: Say,
): Promise<Record<string, string>> {
  let known = await list();
  let anyMade = false;
  for (const { name } of databases) {
    if (known.has(name)) {
      say(`database ${name}: there`);
      continue;
    }
    const made = await wrangler.run(["d1", "create", name, "--config", config]);
    if (!made.ok)
      throw new StepFailed(
        `The database ${name} could not be made.`,
        made.words,
        "Mend what wrangler names, then run npm run deploy again: it goes on here.",
      );
    say(`database ${name}: made`);
    anyMade = true;
  }
  // Its identifier is what the list says, not what the words of `create` say.
  if (anyMade) known = await list();
  return Object.fromEntries(
    databases.map(({ binding, name }) => {
      const id = known.get(name);
      if (id === undefined)
        throw new StepFailed(`The database ${name} was made but is not listed.`, "", "Run npm run deploy again.");
      return [binding, id];
    }),
  );

  async function list(): Promise<Map<string, string>> {
    const answer = await wrangler.run(["d1", "list", "--json", "--config", config]);
    if (!answer.ok)
      throw new StepFailed("The D1 databases could not be listed.", answer.words, "Run npm run deploy again.");
    const rows = json(answer, (value) => Databases.parse(value), "d1 list");
    return new Map(rows.map(({ name, uuid }) => [name, uuid]));
  }
}

/** D1 forgets at 90 days; the octets must outlast their row. */
const RULE = { name: "archive-91-days", prefix: "archive/", days: 91 };

interface LifecycleRule {
  readonly name: string;
  readonly enabled: boolean;
  /** Empty: every object. */
  readonly prefix: string;
  readonly action: string;
}

/** The bucket with one rule: `archive/` expires after 91 days. What else expires mail stops the deployment. */
export async function makeBucket(wrangler: Wrangler, bucket: string, config: string, say: Say): Promise<void> {
  let rules = await look();
  if (rules === null) {
    const made = await wrangler.run(["r2", "bucket", "create", bucket, "--config", config]);
    if (!made.ok)
      throw new StepFailed(
        `The bucket ${bucket} could not be made.`,
        made.words,
        "If R2 is not enabled yet: dash.cloudflare.com, Storage & databases, R2 object storage, Overview, and accept its terms. Then run npm run deploy again.",
      );
    say(`bucket ${bucket}: made`);
    rules = await look();
  } else say(`bucket ${bucket}: there`);
  if (rules === null) throw new StepFailed(`The bucket ${bucket} was made but is not found.`, "", "Run again.");
  refuseDanger(bucket, rules);
  if (!rules.some(isOurs)) {
    const rule = [RULE.name, RULE.prefix, "--expire-days", String(RULE.days), "--force"];
    const added = await wrangler.run(["r2", "bucket", "lifecycle", "add", bucket, ...rule, "--config", config]);
    rules = added.ok ? await look() : rules;
    if (!rules?.some(isOurs))
      throw new StepFailed(
        `The lifecycle rule of ${bucket} is not there: archive/ would be kept for ever.`,
        added.words,
        `dash.cloudflare.com, Storage & databases, R2 object storage, ${bucket}, Settings, Object Lifecycle Rules, "Add rule": name ${RULE.name}, prefix ${RULE.prefix}, "Delete uploaded objects after" ${RULE.days} days. Then run again.`,
      );
    say(`lifecycle rule ${RULE.name}: made (objects under ${RULE.prefix} expire after ${RULE.days} days)`);
  } else say(`lifecycle rule ${RULE.name}: there`);

  async function look(): Promise<LifecycleRule[] | null> {
    const answer = await wrangler.run(["r2", "bucket", "lifecycle", "list", bucket, "--config", config]);
    if (answer.ok) return parseRules(answer.stdout);
    if (saysMissing(answer, "bucket")) return null;
    throw new StepFailed(
      `The lifecycle rules of ${bucket} could not be read.`,
      answer.words,
      "If R2 is not enabled yet: dash.cloudflare.com, Storage & databases, R2 object storage, Overview, and accept its terms. Then run npm run deploy again.",
    );
  }
}

/** wrangler has no JSON here: blocks of `name:`, `enabled:`, `prefix:`, `action:`, parted by an empty line. */
export function parseRules(text: string): LifecycleRule[] {
  const rules: LifecycleRule[] = [];
  for (const block of text.split(/\n\s*\n|^Listing .*$/m)) {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(block)?.[1]?.trim();
    const [name, prefix] = [field("name"), field("prefix")];
    if (name === undefined || prefix === undefined) continue;
    const everywhere = prefix === "(all prefixes)";
    rules.push({
      name,
      enabled: field("enabled") === "Yes",
      prefix: everywhere ? "" : prefix,
      action: field("action") ?? "",
    });
  }
  return rules;
}

function isOurs({ enabled, prefix, action }: LifecycleRule): boolean {
  return enabled && prefix === RULE.prefix && expiry(action) === RULE.days;
}

/** Days; 0 for a date, which comes at any age; null where the rule deletes nothing. */
function expiry(action: string): number | null {
  const text = /Expire objects (after|on) ([\d.-]+)/.exec(action);
  if (!text) return null;
  return text[1] === "after" ? Number(text[2]) : 0;
}

/** A rule that would delete mail which the portal or the archive still shows. */
function refuseDanger(bucket: string, rules: readonly LifecycleRule[]): void {
  for (const rule of rules) {
    const days = expiry(rule.action);
    if (!rule.enabled || days === null || isOurs(rule)) continue;
    const archive = overlaps(rule.prefix, RULE.prefix) && days < RULE.days;
    if (!archive && !overlaps(rule.prefix, "mail/")) continue;
    throw new StepFailed(
      `The lifecycle rule ${JSON.stringify(rule.name)} of ${bucket} deletes mail that is still shown: ${rule.action}, prefix ${rule.prefix || "(all)"}.`,
      "",
      `If it is not wanted: npx wrangler r2 bucket lifecycle remove ${bucket} --name ${rule.name}. Then run npm run deploy again.`,
    );
  }
}

function overlaps(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a);
}
