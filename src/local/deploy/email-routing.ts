/**
 * Email Routing of a zone. The order keeps mail safe: the domain is set up in Holdfast, then the catch-all stands, and only then
 * may the MX records point here. wrangler can do the last; a catch-all to a Worker it can only show, so that is said as clicks.
 */
import type { Say } from "./storage.ts";
import { json, StepFailed, type Wrangler } from "./wrangler.ts";

export interface Zone {
  readonly name: string;
  readonly worker: string;
  readonly account: string | null;
  /** Of the Worker, for the question whether the domain is set up there. */
  readonly url: string | null;
  /** Null: it is not known on this machine. */
  readonly operatorToken: string | null;
  readonly fetch: typeof fetch;
}

interface Rules {
  readonly catchAll: { readonly enabled: boolean; readonly action: string } | null;
  /** Addresses that do not come to the catch-all. */
  readonly others: readonly string[];
}

/** @returns what a person has to do, in order; empty where mail comes to the Worker */
export async function routeZone(wrangler: Wrangler, zone: Zone, config: string, say: Say): Promise<string[]> {
  const { name, worker } = zone;
  const rules = await readRules(wrangler, name, config);
  const todo: string[] = [];
  for (const other of rules.others)
    say(`zone ${name}: WARNING, the rule ${other} takes its mail before the catch-all: Holdfast does not see it`);

  const setUp = await isSetUp(zone);
  if (setUp === false) {
    todo.push(
      `${name} is not set up in Holdfast: ${zone.url ?? "the Worker's address"}/panel, "Add a domain", with its own mail server as origin (or PUT /api/domains/${name}); until then its mail is not taken.`,
    );
  }
  const action = `worker:${worker}`;
  const caught = rules.catchAll?.enabled === true && rules.catchAll.action === action;
  if (caught) say(`zone ${name}: the catch-all hands its mail to ${worker}`);
  else {
    const now = rules.catchAll
      ? `${rules.catchAll.enabled ? "enabled" : "disabled"}, ${rules.catchAll.action}`
      : "none";
    say(`zone ${name}: the catch-all is not ${action} yet (it is: ${now}), and wrangler cannot set a Worker there`);
    todo.push(clicks(zone));
  }

  const enabled = await isEnabled(wrangler, name, config);
  if (enabled) say(`zone ${name}: Email Routing is enabled`);
  else if (todo.length > 0)
    todo.push(
      `Run npm run deploy again: it checks this and then enables Email Routing for ${name}, which sets the MX records. Before that the mail of ${name} would be refused, so it is not done now.`,
    );
  else {
    const answer = await wrangler.run(["email", "routing", "enable", name, "--config", config]);
    if (!answer.ok || !(await isEnabled(wrangler, name, config)))
      throw new StepFailed(
        `Email Routing of ${name} could not be enabled.`,
        answer.words,
        `https://dash.cloudflare.com/?to=/${zone.account ?? ":account"}/${name}/email/routing: Compute, Email Service, Email Routing, ${name}, "Enable Email Routing"; MX records of others must be deleted there first. Then run npm run deploy again.`,
      );
    say(`zone ${name}: Email Routing enabled; the MX records of ${name} point to Cloudflare now`);
  }
  return todo;
}

/** In the dashboard's own words (Cloudflare's documentation of Email Service, "Catch-all rule"). */
function clicks({ name, worker, account }: Zone): string {
  return [
    `The catch-all of ${name}, in the dashboard:`,
    `  1. https://dash.cloudflare.com/?to=/${account ?? ":account"}/email-service/routing (Compute > Email Service > Email Routing), choose ${name}`,
    `  2. "Routing Rules"`,
    `  3. enable "Catch-all rule", so that it shows as "Active"`,
    `  4. "Action": "Send to a Worker"; "Destination": ${worker}`,
    `  5. "Save"`,
    `  If the dashboard wants to add the MX records before it shows the rules: from then until step 5 Cloudflare refuses the`,
    `  mail of ${name}, so go through the steps without a pause, at a quiet hour.`,
  ].join("\n");
}

async function readRules(wrangler: Wrangler, zone: string, config: string): Promise<Rules> {
  const answer = await wrangler.run(["email", "routing", "rules", "list", zone, "--config", config]);
  if (!answer.ok)
    throw new StepFailed(
      `The Email Routing rules of ${zone} could not be read.`,
      answer.words,
      `${zone} must be an active zone of this account (dash.cloudflare.com, "Onboard a domain"), and the login must have the permission "Email Routing Rules: Edit". Then run npm run deploy again.`,
    );
  return parseRules(answer.stdout);
}

/** wrangler has no JSON here. */
export function parseRules(text: string): Rules {
  const catchAll = /^Catch-all rule: (enabled|disabled), action: (.*)$/m.exec(text);
  const others = text
    .split(/^(?=Rule: )/m)
    .filter((block) => block.startsWith("Rule: ") && /^ {2}Enabled: +true$/m.test(block))
    .map((block) => {
      const field = (name: string) => new RegExp(`^ {2}${name}: +(.*)$`, "m").exec(block)?.[1] ?? "";
      return `${field("Matchers")} (${field("Actions")})`;
    });
  return {
    catchAll: catchAll ? { enabled: catchAll[1] === "enabled", action: catchAll[2]?.trim() ?? "" } : null,
    others,
  };
}

async function isEnabled(wrangler: Wrangler, zone: string, config: string): Promise<boolean> {
  const answer = await wrangler.run(["email", "routing", "settings", zone, "--config", config]);
  if (answer.ok) return /^ {2}Enabled: +true$/m.test(answer.stdout);
  throw new StepFailed(
    `The Email Routing settings of ${zone} could not be read.`,
    answer.words,
    `The login must have the permissions "Email Routing: Edit" and "Zone: Read" for ${zone}. Then run npm run deploy again.`,
  );
}

const ANSWER_LIMIT_MS = 15_000;

/** @returns null where it cannot be asked */
async function isSetUp({ name, url, operatorToken, fetch }: Zone): Promise<boolean | null> {
  if (url === null || operatorToken === null) return null;
  const response = await fetch(new URL(`/api/domains/${name}`, url), {
    headers: { authorization: `Bearer ${operatorToken}` },
    signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
  });
  const stdout = await response.text();
  if (response.status === 404) return false;
  const answer = { ok: response.ok, stdout, words: stdout.slice(0, 500) };
  if (!response.ok)
    throw new StepFailed(
      `The Worker does not say whether ${name} is set up (${response.status}).`,
      answer.words,
      "Run npm run deploy again.",
    );
  return json(answer, (value) => (value as { origin?: unknown }).origin != null, `GET /api/domains/${name}`);
}
