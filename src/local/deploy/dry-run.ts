/**
 * `npm run deploy -- --dry-run`: everything but the account. The same steps run against an account that is empty and says yes to
 * everything, each command is printed; the bundle and the migrations are made and tried for real, on this machine.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deploy, type Surroundings } from "./deploy.ts";
import type { Options } from "./options.ts";
import { type Answer, StepFailed, type Wrangler } from "./wrangler.ts";

export async function dryRun(options: Options, surroundings: Surroundings): Promise<void> {
  const { wrangler } = surroundings;
  // Nothing of a real deployment is touched or read; what is said names the places of the real one.
  const folder = join(surroundings.folder, "dry-run");
  const say = (line: string) => surroundings.say(line.replaceAll(`${folder}/`, ".deploy/"));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  say("dry run: nothing leaves this machine; `$` marks what a first deployment would run");
  await deploy(
    {
      ...options,
      yes: true,
      // Made secrets and passwords are worth nothing here, and are not shown.
      keepSecrets: true,
      password: "a password that is thrown away",
      rotate: [],
      retireGateway: false,
      hostname: options.hostname ?? "mx.holdfast.invalid",
      operatorEmail: options.operatorEmail ?? "operator@localhost",
    },
    {
      ...surroundings,
      folder,
      say,
      ask: null,
      wrangler: emptyAccount(wrangler, join(folder, options.name, "d1"), say),
      fetch: async (input) => {
        say(`  > GET ${String(input)}`);
        return Response.json({ status: "ok", origin: {} });
      },
    },
  );
  rmSync(join(folder, options.name, "secrets.json"));
  surroundings.say(`dry run: everything fits; the bundle is in ${join(folder, options.name, "worker")}`);
}

const NO_ACCOUNT = "00000000000000000000000000000000";

/** Prints each command and answers as wrangler would for an account where nothing is yet; what can run offline, runs. */
function emptyAccount(real: Wrangler, local: string, say: (line: string) => void): Wrangler {
  const databases: { name: string; uuid: string }[] = [];
  let bucket = false;
  let rule = "";
  const zones = new Set<string>();

  async function run(command: readonly string[], environment: Readonly<Record<string, string>>): Promise<Answer> {
    const [first = "", second = "", third = "", fourth = ""] = command;
    switch (`${first} ${second}`) {
      case "deploy --config": {
        const target = `https://${nameIn(command[2])}.your-subdomain.workers.dev`;
        const report = environment.WRANGLER_OUTPUT_FILE_PATH;
        if (report) writeFileSync(report, JSON.stringify({ type: "deploy", targets: [target] }));
        return fine("");
      }
      case "deploy --dry-run":
        return real.run(command);
      case "whoami --json":
        return fine(JSON.stringify({ loggedIn: true, accounts: [{ id: NO_ACCOUNT, name: "your account" }] }));
      case "d1 list":
        return fine(JSON.stringify(databases));
      case "d1 create":
        databases.push({ name: third, uuid: `00000000-0000-0000-0000-${String(databases.length).padStart(12, "0")}` });
        return fine("");
      case "d1 migrations": {
        const offline = command.flatMap((word) => (word === "--remote" ? ["--local", "--persist-to", local] : [word]));
        const answer = await real.run(offline);
        if (answer.ok) say(`  (applied to a fresh local database ${fourth}: they fit)`);
        return answer;
      }
      case "r2 bucket":
        if (third === "create") bucket = true;
        if (fourth === "add")
          rule = `name: ${command[5]}\nenabled: Yes\nprefix: ${command[6]}\naction: Expire objects after ${command[8]} days\n`;
        return bucket ? fine(rule) : wrong("The specified bucket does not exist. [code: 10006]");
      case "secret list":
        return wrong("This Worker does not exist on your account. [code: 10007]");
      case "email routing":
        if (third === "enable") zones.add(fourth);
        if (third === "rules") return fine("\nCatch-all rule: disabled, action: drop\n");
        return fine(`  Enabled:  ${zones.has(fourth)}\n`);
      default:
        throw new StepFailed(`The dry run does not know wrangler ${first} ${second}.`, "", "This is a fault of ours.");
    }
  }

  return {
    run(command, environment = {}) {
      say(`  $ npx wrangler ${command.map(shown).join(" ")}`);
      return run(command, environment);
    },
  };
}

/** `.../dry-run/NAME/wrangler.json` */
function nameIn(config = ""): string {
  return config.split(/[/\\]/).at(-2) ?? "";
}

function fine(stdout: string): Answer {
  return { ok: true, stdout, words: stdout };
}

function wrong(words: string): Answer {
  return { ok: false, stdout: "", words };
}

function shown(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
