/**
 * Speaks for wrangler 4.155 to an account that is a value: its answers have the words and forms of wrangler's own source, its
 * errors those of Cloudflare's API. Also a program: `node wrangler-double.ts …`, with the account in the file ACCOUNT_FILE.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

interface Rule {
  readonly name: string;
  readonly prefix: string;
  readonly action: string;
  readonly enabled?: boolean;
}

export interface Account {
  loggedIn: boolean;
  accounts: { id: string; name: string }[];
  databases: { uuid: string; name: string; migrations: string[] }[];
  buckets: Record<string, Rule[]>;
  workers: Record<
    string,
    { secrets: Record<string, string>; tag: string | null; uploads: number; configuration: unknown }
  >;
  zones: Record<string, { enabled: boolean; catchAll: string; catchAllEnabled: boolean; rules: string[] }>;
  /** What changed something, in order. */
  changes: string[];
}

export const ACCOUNT_ID = "0123456789abcdef0123456789abcdef";

export function emptyAccount(): Account {
  return {
    loggedIn: true,
    accounts: [{ id: ACCOUNT_ID, name: "Example" }],
    databases: [],
    buckets: {},
    workers: {},
    zones: { "example.org": { enabled: false, catchAll: "drop", catchAllEnabled: false, rules: [] } },
    changes: [],
  };
}

export interface Spoken {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_RULE: Rule = {
  name: "Default Multipart Abort Rule",
  prefix: "(all prefixes)",
  action: "Abort incomplete multipart uploads after 7 days",
};

export function speak(account: Account, command: readonly string[], environment: NodeJS.ProcessEnv): Spoken {
  const words = command.filter((word, index) => !word.startsWith("--") && !command[index - 1]?.startsWith("--"));
  const option = (name: string) => {
    const at = command.indexOf(`--${name}`);
    return at === -1 ? undefined : command[at + 1];
  };
  const configFile = option("config");
  const configuration = configFile ? (JSON.parse(readFileSync(configFile, "utf8")) as Configuration) : null;
  const changed = (what: string) => account.changes.push(what);
  if (command[0] === "whoami")
    return account.loggedIn
      ? said(
          JSON.stringify({
            loggedIn: true,
            authType: "OAuth Token",
            email: "a@example.org",
            accounts: account.accounts,
          }),
        )
      : { ok: false, stdout: '\n{"loggedIn":false}\n', stderr: "" };
  if (configuration && configuration.account_id !== ACCOUNT_ID)
    return failed("/accounts", "Authentication error", 10000);

  if (command[0] === "d1") {
    if (words[1] === "list")
      return said(
        JSON.stringify(
          account.databases.map(({ uuid, name }) => ({ uuid, name })),
          null,
          2,
        ),
      );
    if (words[1] === "create") {
      const [, , name = ""] = words;
      if (account.databases.some((database) => database.name === name))
        return { ok: false, stdout: "", stderr: "✘ [ERROR] A database with that name already exists" };
      const uuid = `11111111-0000-4000-8000-${String(account.databases.length + 1).padStart(12, "0")}`;
      account.databases.push({ uuid, name, migrations: [] });
      changed(`database ${name}`);
      return said(`✅ Successfully created DB '${name}' in region WEUR\nCreated your new D1 database.\n`);
    }
    if (words[1] === "migrations" && command.includes("--remote")) {
      const bound = configuration?.d1_databases.find(({ binding }) => binding === words[3]);
      const database = account.databases.find(({ uuid }) => uuid === bound?.database_id);
      if (!bound || !database || !configFile) return failed("/d1/database", "The database does not exist", 7404);
      const folder = resolve(dirname(configFile), bound.migrations_dir);
      if (!existsSync(folder)) return { ok: false, stdout: "", stderr: `No migrations present at ${folder}.` };
      if (database.migrations.length > 0) return said("Resource location: remote \n\n✅ No migrations to apply!\n");
      database.migrations.push("0000_first.sql");
      changed(`migrations of ${database.name}`);
      return said("Migrations to be applied:\n│ 0000_first.sql │\n");
    }
  }

  if (command[0] === "r2") {
    const [, , verb = "", third = "", fourth = ""] = words;
    if (verb === "create") {
      if (account.buckets[third])
        return failed("/r2/buckets", "The bucket you tried to create already exists, and you own it.", 10004);
      account.buckets[third] = [DEFAULT_RULE];
      changed(`bucket ${third}`);
      return said(
        `Creating bucket '${third}'...\n✅ Created bucket '${third}' with default storage class of Standard.\n`,
      );
    }
    const rules = account.buckets[fourth];
    if (!rules) return failed(`/r2/buckets/${fourth}/lifecycle`, "The specified bucket does not exist.", 10006);
    if (third === "add") {
      rules.push({
        name: words[5] ?? "",
        prefix: words[6] ?? "",
        action: `Expire objects after ${option("expire-days")} days`,
      });
      changed(`rule ${words[5]}`);
      return said(
        `Adding lifecycle rule '${words[5]}' to bucket '${fourth}'...\n✨ Added lifecycle rule '${words[5]}'\n`,
      );
    }
    if (rules.length === 0)
      return said(`Listing lifecycle rules for bucket '${fourth}'...\nThere are no lifecycle rules\n`);
    const blocks = rules.map(
      ({ name, prefix, action, enabled = true }) =>
        `name:     ${name}\nenabled:  ${enabled ? "Yes" : "No"}\nprefix:   ${prefix}\naction:   ${action}`,
    );
    return said(`Listing lifecycle rules for bucket '${fourth}'...\n${blocks.join("\n\n")}\n`);
  }

  const name = option("name") ?? configuration?.name ?? "";
  const worker = account.workers[name];
  if (command[0] === "secret") {
    if (!worker)
      return {
        ok: false,
        stdout: "",
        stderr: `✘ [ERROR] Worker "${name}" not found.\n\nIf this is a new Worker, run \`wrangler deploy\` first to create it.`,
      };
    return said(JSON.stringify(Object.keys(worker.secrets).map((key) => ({ name: key, type: "secret_text" }))));
  }
  if (command[0] === "deployments")
    return worker
      ? said(JSON.stringify({ id: "d", versions: [{ version_id: `v${worker.uploads}`, percentage: 100 }] }))
      : failed(`/workers/scripts/${name}/deployments`, "This Worker does not exist on your account.", 10007);
  if (command[0] === "versions")
    return said(JSON.stringify({ id: words[2], annotations: { "workers/tag": worker?.tag } }));
  if (command[0] === "deploy") {
    const outdir = option("outdir");
    if (outdir) {
      mkdirSync(outdir, { recursive: true });
      writeFileSync(join(outdir, "index.js"), "export default {};\n");
      return said("--dry-run: exiting now.\n");
    }
    const ids = configuration?.d1_databases.map(({ database_id }) => database_id) ?? [];
    if (!ids.every((id) => account.databases.some(({ uuid }) => uuid === id)))
      return failed("/workers/scripts", "binding DB of type d1 must have a valid `id` specified", 10021);
    const file = option("secrets-file");
    const secrets = file ? (JSON.parse(readFileSync(file, "utf8")) as Record<string, string>) : {};
    account.workers[name] = {
      secrets: { ...worker?.secrets, ...secrets },
      tag: option("tag") ?? null,
      uploads: (worker?.uploads ?? 0) + 1,
      configuration: configuration?.vars,
    };
    changed(`upload of ${name}`);
    const report = environment.WRANGLER_OUTPUT_FILE_PATH;
    if (report)
      writeFileSync(
        report,
        `${JSON.stringify({ type: "wrangler-session", version: 1 })}\n${JSON.stringify({ type: "deploy", version: 1, targets: [environment.WORKER_ADDRESS ?? `https://${name}.example.workers.dev`, "schedule: * * * * *"] })}\n`,
      );
    return said(`Uploaded ${name} (3.21 sec)\nDeployed ${name} triggers (1.2 sec)\n`);
  }

  if (command[0] === "email") {
    const zoneName = (words[2] === "rules" ? words[4] : words[3]) ?? "";
    const zone = account.zones[zoneName];
    if (!zone) return { ok: false, stdout: "", stderr: `✘ [ERROR] Could not find zone for \`${zoneName}\`.` };
    if (words[2] === "rules") {
      const state = zone.catchAllEnabled ? "enabled" : "disabled";
      return said(
        `${zone.rules.join("\n") || "No custom routing rules found."}\n\nCatch-all rule: ${state}, action: ${zone.catchAll}\n  (use \`wrangler email routing rules get catch-all\` to view details)\n`,
      );
    }
    if (words[2] === "enable") {
      zone.enabled = true;
      changed(`Email Routing of ${zoneName}`);
      return said(`Email Routing enabled for ${zoneName} (status: ready)\n`);
    }
    return said(`Email Routing for ${zoneName}:\n  Enabled:  ${zone.enabled}\n  Status:   ready\n`);
  }
  return { ok: false, stdout: "", stderr: `✘ [ERROR] Unknown arguments: ${command.join(" ")}` };
}

interface Configuration {
  readonly name: string;
  readonly account_id?: string;
  readonly vars: unknown;
  readonly d1_databases: readonly { binding: string; database_id: string; migrations_dir: string }[];
}

function said(stdout: string): Spoken {
  return { ok: true, stdout, stderr: "" };
}

function failed(resource: string, text: string, code: number): Spoken {
  const stderr = `✘ [ERROR] A request to the Cloudflare API (${resource}) failed.\n\n  ${text} [code: ${code}]\n`;
  return { ok: false, stdout: "", stderr };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.env.ACCOUNT_FILE ?? "";
  const account = JSON.parse(readFileSync(file, "utf8")) as Account;
  const { ok, stdout, stderr } = speak(account, process.argv.slice(2), process.env);
  writeFileSync(file, JSON.stringify(account, null, 2));
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = ok ? 0 : 1;
}
