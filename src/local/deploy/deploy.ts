/**
 * `npm run deploy`: from an account to a running Worker. Each step looks what is there and makes what is not; one that fails
 * stops with wrangler's words and what to do, and the next run goes on from there.
 */
import { join } from "node:path";
import { z } from "zod";
import { readPlan, templateVars, writeOut } from "./configuration.ts";
import { routeZone } from "./email-routing.ts";
import { Memory, type Remembered } from "./memory.ts";
import type { Options } from "./options.ts";
import { forGateways, MADE_PASSWORD, prepareSecrets } from "./secrets.ts";
import { makeBucket, makeDatabases } from "./storage.ts";
import { applyMigrations, checkHealth, presentSecrets, upload } from "./upload.ts";
import { json, StepFailed, type Wrangler } from "./wrangler.ts";

export interface Surroundings {
  /** Path of wrangler.toml. */
  readonly template: string;
  /** `.deploy` of the repository. */
  readonly folder: string;
  readonly wrangler: Wrangler;
  /** Takes lines for the operator. */
  readonly say: (line: string) => void;
  /** Asks a person; null where nobody is there. */
  readonly ask: Ask | null;
  /** To the Worker itself, not to Cloudflare's API: that is wrangler's. */
  readonly fetch: typeof fetch;
}

export interface Ask {
  text(question: string): Promise<string>;
  secret(question: string): Promise<string>;
  yes(question: string): Promise<boolean>;
}

/** @throws StepFailed, whose message is for people */
export async function deploy(options: Options, surroundings: Surroundings): Promise<void> {
  const { template, wrangler, say, ask, fetch } = surroundings;
  const memory = new Memory(join(surroundings.folder, options.name));
  const plan = readPlan(template, options.name);
  const before = memory.settings();
  const account = await chooseAccount(wrangler, options.account ?? before.account);
  const settings = await settle(options, { ...before, account: account.id }, ask);
  memory.remember(settings);
  const vars = varsOf(settings, template);
  const particulars = (databaseIds: Record<string, string>) => ({
    account: account.id,
    databaseIds,
    vars,
    domain: settings.domain,
  });
  const config = memory.write("wrangler.json", writeOut(template, plan, particulars({}), memory.folder));

  say(`account ${account.label}`);
  say(`Worker ${plan.worker}, databases ${plan.databases.map(({ name }) => name).join(", ")}, bucket ${plan.bucket}`);
  if (ask && !options.yes && !(await ask.yes("Make what is missing of these, and upload?")))
    throw new StepFailed("Stopped, nothing was made.", "", "Run npm run deploy again when you want it.");

  const ids = await makeDatabases(wrangler, plan.databases, config, say);
  memory.write("wrangler.json", writeOut(template, plan, particulars(ids), memory.folder));
  await makeBucket(wrangler, plan.bucket, config, say);

  const present = await presentSecrets(wrangler, plan.worker, config);
  const password = await choosePassword(options, present, memory, ask);
  const secrets = prepareSecrets(memory.secrets(), present, { ...options, password });
  memory.keep(secrets);
  await applyMigrations(wrangler, plan.databases, config, say);
  const address = await upload(wrangler, { memory, worker: plan.worker, config, secrets }, say);
  const url = address ?? (settings.domain === null ? settings.url : `https://${settings.domain}`);
  memory.remember({ ...settings, url });
  if (secrets.pending.length === 0) say("secrets: all there");
  if (url === null)
    say("health: wrangler named no address of the Worker (no workers.dev, no --domain), so none was asked");
  else await checkHealth(url, fetch, say);

  const todo: string[] = [];
  for (const name of settings.zones) {
    const operatorToken = secrets.values.OPERATOR_TOKEN ?? null;
    todo.push(
      ...(await routeZone(
        wrangler,
        { name, worker: plan.worker, account: account.id, url, operatorToken, fetch },
        config,
        say,
      )),
    );
  }
  tellSecrets(secrets, settings, memory, say);
  tellNext(todo, settings, url, say);
}

const Who = z.object({
  loggedIn: z.boolean(),
  accounts: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
});

async function chooseAccount(wrangler: Wrangler, wanted: string | null): Promise<{ id: string | null; label: string }> {
  const answer = await wrangler.run(["whoami", "--json"]);
  const loggedOut = /"loggedIn":\s*false/.test(answer.stdout);
  if (!answer.ok)
    throw new StepFailed(
      loggedOut ? "wrangler is not logged in." : "wrangler could not say who is logged in.",
      loggedOut ? "" : answer.words,
      "Run npx wrangler login, or set CLOUDFLARE_API_TOKEN (its permissions stand in docs/operations.md). npm run deploy -- --dry-run needs neither.",
    );
  const { accounts } = json(answer, (value) => Who.parse(value), "whoami");
  const [only, ...others] = accounts;
  const chosen = wanted === null ? (others.length === 0 ? only : undefined) : accounts.find(({ id }) => id === wanted);
  if (chosen) return { id: chosen.id, label: `${chosen.name} (${chosen.id})` };
  // A token that may not list accounts can be for this one all the same.
  if (wanted !== null && accounts.length === 0) return { id: wanted, label: wanted };
  throw new StepFailed(
    wanted === null
      ? "The login reaches several accounts, or none."
      : `The login does not reach the account ${wanted}.`,
    accounts.map(({ id, name }) => `${id}  ${name}`).join("\n"),
    "Choose one with --account ID; it is remembered.",
  );
}

/** What was given now, else what is remembered, else what a person answers. */
async function settle(options: Options, before: Remembered, ask: Ask | null): Promise<Remembered> {
  const asked = options.yes ? null : ask;
  const missing: string[] = [];
  const need = async (given: string | null, flag: string, question: string): Promise<string | null> => {
    const answer = given ?? (asked ? (await asked.text(question)).trim() || null : null);
    if (answer === null) missing.push(flag);
    return answer;
  };
  const hostname = await need(
    options.hostname ?? before.hostname,
    "--hostname",
    "Our name in Received and in the SMTP greeting, such as mx.example.org: ",
  );
  const operatorEmail = await need(
    options.operatorEmail ?? before.operatorEmail,
    "--operator-email",
    "The operator's e-mail address, to sign in with: ",
  );
  if (missing.length > 0)
    throw new StepFailed(
      `Missing: ${missing.join(", ")}.`,
      "",
      "Give them once, as options or environment variables (npm run deploy -- --help); they are remembered.",
    );
  return {
    ...before,
    hostname,
    operatorEmail,
    domain: options.domain ?? before.domain,
    gateways: options.gateways ?? before.gateways,
    keepSecrets: options.keepSecrets ?? before.keepSecrets,
    zones: [...new Set([...before.zones, ...options.zones])],
  };
}

function varsOf({ hostname, operatorEmail, gateways }: Remembered, template: string): Record<string, string> {
  return {
    ...templateVars(template),
    ...(hostname === null ? {} : { HOSTNAME: hostname }),
    ...(operatorEmail === null ? {} : { OPERATOR_EMAIL: operatorEmail }),
    ...(gateways === null ? {} : { GATEWAYS: gateways }),
  };
}

/** Asked for where the Worker has none yet, or a new one is wanted; an empty answer has one made. */
async function choosePassword(
  options: Options,
  present: ReadonlySet<string>,
  memory: Memory,
  ask: Ask | null,
): Promise<string | null> {
  const { values, pending } = memory.secrets();
  const known = values.OPERATOR_PASSWORD_HASH !== undefined;
  const wanted = options.rotate.includes("password")
    ? !pending.includes("OPERATOR_PASSWORD_HASH")
    : !present.has("OPERATOR_PASSWORD_HASH") && !known;
  if (!wanted || options.password !== null || !ask || options.yes) return options.password;
  for (;;) {
    const answer = await ask.secret("The operator's password (at least 8 characters; empty: one is made): ");
    if (answer === "") return null;
    if (answer.length >= 8 && answer.length <= 256) return answer;
  }
}

function tellSecrets(
  secrets: ReturnType<Memory["secrets"]>,
  settings: Remembered,
  memory: Memory,
  say: (line: string) => void,
) {
  const { values, pending } = secrets;
  const stored = memory.secrets().values;
  const password = values[MADE_PASSWORD];
  if (settings.keepSecrets) {
    if (pending.length > 0) say(`secrets: in ${memory.secretsFile}, for its owner only; keep a copy in a safe place`);
    if (pending.includes("OPERATOR_PASSWORD_HASH") && password !== undefined)
      say(`operator: ${settings.operatorEmail}, password ${password} (shown this once)`);
  } else if (Object.keys(stored).length > 0) {
    say("secrets, shown this once and kept nowhere here; MASTER_KEYS opens what is sealed in the database:");
    for (const [name, value] of Object.entries(stored)) say(`    ${name}=${value}`);
    memory.forget("secrets.json");
  }
  const gateways = forGateways(values);
  if (pending.includes("GATEWAY_SECRETS") && gateways !== null) {
    const where = settings.keepSecrets ? `made of GATEWAY_SECRETS in ${memory.secretsFile}` : gateways;
    say(`gateways: give each HOLDFAST_GATEWAY_SECRETS (${where}) and restart it`);
    if (gateways.includes(","))
      say(
        "gateways: the new secret comes first there (the file has it last); when all have it, run again with --retire gateway",
      );
  }
}

function tellNext(
  todo: readonly string[],
  settings: Remembered,
  url: string | null,
  say: (line: string) => void,
): void {
  if (url !== null) say(`panel: ${url}/panel, as ${settings.operatorEmail}`);
  if (settings.zones.length === 0)
    say("mail: no zone yet; set a domain up in the panel, then npm run deploy -- --zone DOMAIN routes its mail here");
  say(todo.length === 0 ? "done" : "to do by hand:");
  for (const one of todo) say(`- ${one}`);
}
