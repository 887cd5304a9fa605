/** A machine to deploy from, as tests want one: its folder is its own, and its wrangler speaks for an account that is a value. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Surroundings } from "../../../src/local/deploy/deploy.ts";
import { type Options, parseOptions } from "../../../src/local/deploy/options.ts";
import type { Wrangler } from "../../../src/local/deploy/wrangler.ts";
import { folder } from "../folder.ts";
import { type Account, speak } from "./wrangler-double.ts";

export const TEMPLATE = fileURLToPath(new URL("../../../wrangler.toml", import.meta.url));
const GIVEN = ["--yes", "--hostname", "mx.example.net", "--operator-email", "ops@example.net"];
const PASSWORD = "a password of the operator";

export function options(...argv: string[]): Options {
  const read = parseOptions([...GIVEN, ...argv], { HOLDFAST_OPERATOR_PASSWORD: PASSWORD });
  if (read.kind !== "options") throw new Error(JSON.stringify(read));
  return read.options;
}

/** A machine with its `.deploy`, its login to `account`, and what was said and asked of wrangler. */
export function machine(account: Account) {
  const place = folder();
  const lines: string[] = [];
  const commands: string[] = [];
  const wrangler: Wrangler = {
    async run(command, environment = {}) {
      commands.push(command.join(" "));
      const { ok, stdout, stderr } = speak(account, command, environment);
      return { ok, stdout, words: `${stdout}${stderr}`.trim() };
    },
  };
  const surroundings: Surroundings = {
    template: TEMPLATE,
    folder: place,
    wrangler,
    say: (line) => lines.push(line),
    ask: null,
    fetch: async (input) =>
      String(input).endsWith("/api/health")
        ? Response.json({ status: "ok", failing: [] })
        : Response.json({ name: "example.org", origin: { host: "mail.example.org" } }),
  };
  const file = (name: string) =>
    JSON.parse(readFileSync(join(place, "holdfast", name), "utf8")) as Record<string, unknown>;
  return { surroundings, lines, commands, place, file, said: () => lines.join("\n") };
}
