import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { dryRun } from "../../../src/local/deploy/dry-run.ts";
import { parseOptions } from "../../../src/local/deploy/options.ts";
import { installedWrangler, wranglerAt } from "../../../src/local/deploy/wrangler.ts";
import { folder } from "../folder.ts";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
/** Four runs of the real wrangler, which take a busy machine a minute and more. */
const SLOW = 400_000;

describe("npm run deploy -- --dry-run", () => {
  it("bundles the Worker and tries the migrations with the real wrangler, without account and network", {
    timeout: SLOW,
  }, async () => {
    const read = parseOptions(["--dry-run", "--name", "kiln", "--zone", "example.org", "--secrets", "show"], {});
    if (read.kind !== "options") throw new Error("no options");
    const place = folder();
    const real = wranglerAt(installedWrangler(), REPOSITORY);
    const lines: string[] = [];
    // Nobody listens there, and there is no login: what asked Cloudflare would fail.
    const offline = { CLOUDFLARE_API_BASE_URL: "http://127.0.0.1:9", CLOUDFLARE_API_TOKEN: "", HOME: place };
    await dryRun(read.options, {
      template: join(REPOSITORY, "wrangler.toml"),
      folder: place,
      wrangler: { run: (command, environment) => real.run(command, { ...environment, ...offline }) },
      say: (line) => lines.push(line),
      ask: null,
      fetch: () => Promise.reject(new Error("the network was used")),
    });
    const said = lines.join("\n");
    const commands = lines.filter((line) => line.startsWith("  $ npx wrangler ")).map((line) => line.slice(17));
    expect(commands).toContain("d1 create kiln-directory --config .deploy/kiln/wrangler.json");
    expect(commands).toContain("d1 migrations apply DIRECTORY --remote --config .deploy/kiln/wrangler.json");
    expect(commands).toContain(
      "r2 bucket lifecycle add kiln-mail archive-91-days archive/ --expire-days 91 --force --config .deploy/kiln/wrangler.json",
    );
    expect(commands.some((command) => /^deploy --config \S+ --tag \w{16} --secrets-file /.test(command))).toBe(true);
    expect(said).toMatch(/\(applied to a fresh local database DIRECTORY: they fit\)/);
    expect(said).toMatch(/\(applied to a fresh local database SHARD_0: they fit\)/);
    expect(said).toContain('"Action": "Send to a Worker"; "Destination": kiln');
    expect(said).not.toMatch(/MASTER_KEYS=|k1:|g1:|password \S{20}/);
    const made = join(place, "dry-run", "kiln");
    expect(existsSync(join(made, "secrets.json"))).toBe(false);
    const bundle = readdirSync(join(made, "worker"));
    expect(bundle.filter((name) => name.endsWith(".js"))).toEqual(["index.js"]);
    expect(bundle.some((name) => name.endsWith(".sql"))).toBe(true);
    expect(readFileSync(join(made, "worker", "index.js"), "utf8")).toContain("DomainObject");
    // The real deployment's folder is not touched.
    expect(readdirSync(place).filter((name) => name === "kiln")).toEqual([]);
  });

  it("is what npm runs, and answers a wrong option with what is right", async () => {
    const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as {
      scripts: { deploy: string };
    };
    const [, , ...args] = scripts.deploy.split(" ");
    const run = (...more: string[]) =>
      promisify(execFile)(process.execPath, [...args, ...more], { cwd: REPOSITORY }).catch(
        (error: { code: number; stderr: string; stdout: string }) => error,
      );
    expect((await run("--help")).stdout).toContain("--dry-run");
    const wrong = await run("--zone", "not a zone", "--rotate", "everything");
    expect(wrong).toMatchObject({
      code: 2,
      stderr:
        '--zone must be a domain name, not "not a zone".\n--rotate must be gateway or master or token or password, not "everything".\n',
    });
  });
});

describe("options", () => {
  it.each([
    [["--name", "Holdfast"], '--name must be lower-case letters, digits and hyphens, at most 40, not "Holdfast".'],
    [["--name", "a1", "--env", "b1"], "--name and --env say the same thing: give one of them."],
    [["--account", "me"], '--account must be an account identifier of 32 hexadecimal digits, not "me".'],
    [["--hostname", "mx"], '--hostname must be a host name with its domain, not "mx".'],
    [["--operator-email", "ops"], '--operator-email must be an e-mail address, not "ops".'],
    [
      ["--gateways", "http://gw.example.org"],
      '--gateways must be https addresses, separated by commas, not "http://gw.example.org".',
    ],
    [["--secrets", "print"], '--secrets must be keep or show, not "print".'],
    [["--retire", "master"], '--retire must be gateway, not "master".'],
    [
      ["--rotate", "gateway", "--retire", "gateway"],
      "--rotate gateway and --retire gateway are two runs: between them the gateways get the new secret.",
    ],
  ])("refuses %j with a sentence", (argv, sentence) => {
    expect(parseOptions(argv, {})).toEqual({ kind: "problems", problems: [sentence] });
  });

  it("keeps a short password out of the sentence that refuses it", () => {
    expect(parseOptions([], { HOLDFAST_OPERATOR_PASSWORD: "secret7" })).toEqual({
      kind: "problems",
      problems: ["HOLDFAST_OPERATOR_PASSWORD must have from 8 to 256 characters."],
    });
  });

  it("names an option that it does not know", () => {
    expect(parseOptions(["--upload"], {})).toEqual({
      kind: "problems",
      problems: [expect.stringMatching(/^Unknown option '--upload'.* \(--help lists them\)$/)],
    });
  });
});
