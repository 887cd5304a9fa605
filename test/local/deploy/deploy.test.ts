import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { deploy } from "../../../src/local/deploy/deploy.ts";
import { parseOptions } from "../../../src/local/deploy/options.ts";
import { type Wrangler, wranglerAt } from "../../../src/local/deploy/wrangler.ts";
import { folder } from "../folder.ts";
import { machine, options, TEMPLATE } from "./machine.ts";
import { ACCOUNT_ID, type Account, emptyAccount } from "./wrangler-double.ts";

const URL_OF_WORKER = "https://holdfast.example.workers.dev";
const WORKER_CATCHES = { enabled: false, catchAll: "worker:holdfast", catchAllEnabled: true, rules: [] };

describe("npm run deploy", () => {
  it("makes databases, bucket, rule, secrets, migrations and upload in an empty account, in this order", async () => {
    const account = emptyAccount();
    const { surroundings, file, said, place } = machine(account);
    await deploy(options(), surroundings);
    expect(account.changes).toEqual([
      "database holdfast-directory",
      "database holdfast-shard-0",
      "bucket holdfast-mail",
      "rule archive-91-days",
      "migrations of holdfast-directory",
      "migrations of holdfast-shard-0",
      "upload of holdfast",
    ]);
    expect(account.buckets["holdfast-mail"]?.at(-1)).toEqual({
      name: "archive-91-days",
      prefix: "archive/",
      action: "Expire objects after 91 days",
    });
    const worker = account.workers.holdfast;
    expect(worker?.configuration).toMatchObject({ HOSTNAME: "mx.example.net", OPERATOR_EMAIL: "ops@example.net" });
    expect(worker?.secrets).toEqual({
      MASTER_KEYS: expect.stringMatching(/^k1:[A-Za-z0-9+/]{43}=$/),
      GATEWAY_SECRETS: expect.stringMatching(/^g1:[\w-]{43}$/),
      OPERATOR_TOKEN: expect.stringMatching(/^[\w-]{43}$/),
      OPERATOR_PASSWORD_HASH: expect.stringMatching(/^scrypt\$16384\$8\$5\$/),
    });
    expect(file("secrets.json")).toEqual({ values: worker?.secrets, pending: [] });
    for (const name of readdirSync(join(place, "holdfast")).filter((entry) => entry.endsWith(".json")))
      expect(statSync(join(place, "holdfast", name)).mode & 0o777, name).toBe(0o600);
    expect(said()).toContain(`${URL_OF_WORKER}/api/health: 200`);
    for (const secret of Object.values(worker?.secrets ?? {})) expect(said()).not.toContain(secret);
  });

  it("makes nothing the second time, and asks for nothing that was given once", async () => {
    const account = emptyAccount();
    const { surroundings, commands, said } = machine(account);
    await deploy(options(), surroundings);
    const after = structuredClone(account);
    commands.length = 0;
    const read = parseOptions(["--yes"], {});
    if (read.kind !== "options") throw new Error("no options");
    await deploy(read.options, surroundings);
    expect(account).toEqual(after);
    expect(commands.filter((command) => / create | add |^deploy (?!--dry-run)| enable /.test(command))).toEqual([]);
    expect(said()).toContain("secrets: all there");
  });

  it("uploads again when a variable has changed, and leaves the secrets alone", async () => {
    const account = emptyAccount();
    const { surroundings } = machine(account);
    await deploy(options(), surroundings);
    const before = account.workers.holdfast?.secrets;
    await deploy(options("--gateways", "https://gw1.example.net,https://gw2.example.net"), surroundings);
    expect(account.workers.holdfast).toMatchObject({
      uploads: 2,
      secrets: before,
      configuration: { GATEWAYS: "https://gw1.example.net,https://gw2.example.net" },
    });
  });

  it("uploads again after an upload whose triggers failed, although its version runs already", async () => {
    const account = emptyAccount();
    const { surroundings } = machine(account);
    await deploy(options(), surroundings);
    const halfway: Wrangler = {
      async run(command, environment) {
        const answer = await surroundings.wrangler.run(command, environment);
        const upload = command[0] === "deploy" && command[1] !== "--dry-run";
        return upload ? { ok: false, stdout: "", words: "Uploaded holdfast\nfetch failed" } : answer;
      },
    };
    const change = options("--gateways", "https://gw1.example.net");
    await expect(deploy(change, { ...surroundings, wrangler: halfway })).rejects.toThrow("did not end well");
    await deploy(options(), surroundings);
    expect(account.workers.holdfast?.uploads).toBe(3);
    await deploy(options(), surroundings);
    expect(account.workers.holdfast?.uploads).toBe(3);
  });

  it("never overwrites a secret that the Worker has, also on a machine that does not know it", async () => {
    const account = emptyAccount();
    await deploy(options(), machine(account).surroundings);
    const before = structuredClone(account.workers.holdfast?.secrets);
    delete account.workers.holdfast?.secrets.OPERATOR_TOKEN;
    const elsewhere = machine(account);
    await deploy(options(), elsewhere.surroundings);
    const { OPERATOR_TOKEN, ...others } = account.workers.holdfast?.secrets ?? {};
    expect(OPERATOR_TOKEN).toMatch(/^[\w-]{43}$/);
    expect(OPERATOR_TOKEN).not.toBe(before?.OPERATOR_TOKEN);
    expect({ ...before, OPERATOR_TOKEN }).toEqual({ ...others, OPERATOR_TOKEN });
  });

  it("names a copy's Worker, databases and bucket after it, and leaves the real ones alone", async () => {
    const account = emptyAccount();
    const { surroundings } = machine(account);
    await deploy(options("--env", "staging"), surroundings);
    expect(account.databases.map(({ name }) => name)).toEqual([
      "holdfast-staging-directory",
      "holdfast-staging-shard-0",
    ]);
    expect(Object.keys(account.buckets)).toEqual(["holdfast-staging-mail"]);
    expect(Object.keys(account.workers)).toEqual(["holdfast-staging"]);
  });

  it("makes and migrates every shard that wrangler.toml lists", async () => {
    const account = emptyAccount();
    const { surroundings } = machine(account);
    const template = join(folder(), "wrangler.toml");
    const shard = `\n[[d1_databases]]\nbinding = "SHARD_7"\ndatabase_name = "holdfast-shard-7"\ndatabase_id = "00000000-0000-0000-0000-000000000007"\nmigrations_dir = "migrations/shard"\n`;
    const text = readFileSync(TEMPLATE, "utf8").replaceAll('= "migrations/', `= "${join(TEMPLATE, "../migrations")}/`);
    writeFileSync(
      template,
      text
        .replace(
          "# Raw messages",
          `${shard.replace('= "migrations/', `= "${join(TEMPLATE, "../migrations")}/`)}\n# Raw messages`,
        )
        .replace('directory = "assets"', `directory = "${join(TEMPLATE, "../assets")}"`),
    );
    await deploy(options(), { ...surroundings, template });
    expect(account.changes).toContain("database holdfast-shard-7");
    expect(account.changes).toContain("migrations of holdfast-shard-7");
  });

  it("ends in the same state after a failure at any command, before or after it took effect, and a second run", {
    // A hundred deployments, each with its scrypt.
    timeout: 300_000,
  }, async () => {
    const wanted = { ...emptyAccount(), zones: { "example.org": { ...WORKER_CATCHES } } };
    const first = machine(wanted);
    await deploy(options("--zone", "example.org"), first.surroundings);
    const total = first.commands.length;
    expect(total).toBeGreaterThan(15);
    for (let at = 0; at < total; at++) {
      for (const effect of [false, true]) {
        const account = { ...emptyAccount(), zones: { "example.org": { ...WORKER_CATCHES } } };
        const { surroundings } = machine(account);
        let count = 0;
        const failing: Wrangler = {
          async run(command, environment) {
            if (count++ !== at) return surroundings.wrangler.run(command, environment);
            if (effect) await surroundings.wrangler.run(command, environment);
            return { ok: false, stdout: "", words: "✘ [ERROR] fetch failed" };
          },
        };
        const run = deploy(options("--zone", "example.org"), { ...surroundings, wrangler: failing });
        // What only looks whether the upload can be spared may fail: then it is not spared.
        const failure = await run.then(
          () => null,
          (error: Error) => error.message,
        );
        if (failure !== null) {
          expect(failure, first.commands[at]).toContain("fetch failed");
          expect(failure.split("\n").length, first.commands[at]).toBeGreaterThan(2);
        }
        await deploy(options("--zone", "example.org"), surroundings);
        const where = `${first.commands[at]}, ${effect ? "after" : "before"} its effect`;
        expect(account.databases, where).toEqual(wanted.databases);
        expect(account.buckets, where).toEqual(wanted.buckets);
        expect(account.zones, where).toEqual(wanted.zones);
        expect(account.workers.holdfast?.tag, where).toBe(wanted.workers.holdfast?.tag);
        expect(Object.keys(account.workers.holdfast?.secrets ?? {}), where).toHaveLength(4);
        // Each secret was made once, whatever failed: an upload that took effect is not followed by another value.
        const kept = JSON.parse(readFileSync(join(surroundings.folder, "holdfast", "secrets.json"), "utf8")) as object;
        expect(kept, where).toEqual({ values: account.workers.holdfast?.secrets, pending: [] });
      }
    }
  });
});

describe("what stops a deployment", () => {
  it("says how to log in", async () => {
    const account = { ...emptyAccount(), loggedIn: false };
    await expect(deploy(options(), machine(account).surroundings)).rejects.toThrow(
      /^wrangler is not logged in\.\nRun npx wrangler login, or set CLOUDFLARE_API_TOKEN/,
    );
  });

  it("lists the accounts where there are several, and takes the one that is named", async () => {
    const account = emptyAccount();
    account.accounts.push({ id: "f".repeat(32), name: "Another" });
    const { surroundings, file } = machine(account);
    await expect(deploy(options(), surroundings)).rejects.toThrow(
      `${ACCOUNT_ID}  Example\n    ${"f".repeat(32)}  Another`,
    );
    await deploy(options("--account", ACCOUNT_ID), surroundings);
    expect(file("settings.json")).toMatchObject({ account: ACCOUNT_ID });
    await deploy(options(), surroundings);
  });

  it("names the settings that are missing where nobody can be asked", async () => {
    const read = parseOptions(["--yes"], {});
    if (read.kind !== "options") throw new Error("no options");
    const account = emptyAccount();
    await expect(deploy(read.options, machine(account).surroundings)).rejects.toThrow(
      "Missing: --hostname, --operator-email.",
    );
    expect(account.changes).toEqual([]);
  });

  it.each([
    ["everything after 30 days", { name: "old", prefix: "(all prefixes)", action: "Expire objects after 30 days" }],
    ["mail/ after a year", { name: "old", prefix: "mail/", action: "Expire objects after 365 days" }],
    ["the archive too early", { name: "archive-91-days", prefix: "archive/", action: "Expire objects after 30 days" }],
  ])("refuses a bucket whose rule deletes mail: %s", async (_what, rule) => {
    const account = emptyAccount();
    account.buckets["holdfast-mail"] = [rule];
    await expect(deploy(options(), machine(account).surroundings)).rejects.toThrow(
      `npx wrangler r2 bucket lifecycle remove holdfast-mail --name ${rule.name}.`,
    );
    expect(account.workers).toEqual({});
  });

  it("does not take a disabled lifecycle rule for the one that is needed", async () => {
    const account = emptyAccount();
    const off = { name: "off", prefix: "archive/", action: "Expire objects after 91 days", enabled: false };
    account.buckets["holdfast-mail"] = [off];
    await deploy(options(), machine(account).surroundings);
    expect(account.changes).toContain("rule archive-91-days");
  });

  it("stops with what fails where the Worker is not healthy", async () => {
    const server = createServer((_request, response) => {
      response.writeHead(503).end('{"status":"degraded","failing":["shard_0"]}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { checkHealth } = await import("../../../src/local/deploy/upload.ts");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(checkHealth(url, fetch, () => {}, 50, 20)).rejects.toThrow('"failing":["shard_0"]');
  });
});

describe("Email Routing", () => {
  it("says exactly what to click where the catch-all is not the Worker's, and leaves the MX records alone", async () => {
    const account = emptyAccount();
    const { surroundings, said } = machine(account);
    await deploy(options("--zone", "example.org"), surroundings);
    expect(said()).toContain("the catch-all is not worker:holdfast yet (it is: disabled, drop)");
    expect(said()).toContain('4. "Action": "Send to a Worker"; "Destination": holdfast');
    expect(account.zones["example.org"]?.enabled).toBe(false);
    Object.assign(account.zones["example.org"] ?? {}, { catchAll: "worker:holdfast", catchAllEnabled: true });
    await deploy(options(), surroundings);
    expect(account.zones["example.org"]?.enabled).toBe(true);
    expect(said()).toMatch(/done$/);
  });

  it("does not turn the mail of a domain that is not set up in Holdfast", async () => {
    const account = emptyAccount();
    account.zones["example.org"] = { ...WORKER_CATCHES };
    const { surroundings, said } = machine(account);
    const fetch: typeof globalThis.fetch = async (input) =>
      new Response("{}", { status: String(input).endsWith("/api/health") ? 200 : 404 });
    await deploy(options("--zone", "example.org"), { ...surroundings, fetch });
    expect(said()).toContain("example.org is not set up in Holdfast");
    expect(account.zones["example.org"]?.enabled).toBe(false);
  });

  it("warns of rules that take mail before the catch-all", async () => {
    const account = emptyAccount();
    const rule =
      "Rule: 1f\n  Name:     (none)\n  Enabled:  true\n  Matchers: to:info@example.org\n  Actions:  forward:a@example.net\n  Priority: 0\n";
    account.zones["example.org"] = { ...WORKER_CATCHES, rules: [rule] };
    const { surroundings, said } = machine(account);
    await deploy(options("--zone", "example.org"), surroundings);
    expect(said()).toContain("WARNING, the rule to:info@example.org (forward:a@example.net) takes its mail");
  });

  it("stops at a zone that the account has not", async () => {
    const { surroundings } = machine(emptyAccount());
    await expect(deploy(options("--zone", "example.com"), surroundings)).rejects.toThrow(
      /rules of example\.com could not be read\.\n.*Could not find zone/,
    );
  });
});

describe("wrangler as a program", () => {
  it("deploys through a process of its own, and reports its exit code and words", async () => {
    const place = folder();
    const file = join(place, "account.json");
    writeFileSync(file, JSON.stringify(emptyAccount()));
    const double = fileURLToPath(new URL("./wrangler-double.ts", import.meta.url));
    const program = wranglerAt(double, place);
    const wrangler: Wrangler = {
      run: (command, environment) => program.run(command, { ...environment, ACCOUNT_FILE: file }),
    };
    const { surroundings } = machine(emptyAccount());
    await deploy(options(), { ...surroundings, wrangler });
    const account = JSON.parse(readFileSync(file, "utf8")) as Account;
    expect(account.changes.at(-1)).toBe("upload of holdfast");
    expect(await wrangler.run(["sing"])).toEqual({ ok: false, stdout: "", words: "✘ [ERROR] Unknown arguments: sing" });
  });

  it("says that it could not be started, and hangs nobody", async () => {
    const missing = wranglerAt(join(folder(), "wrangler.js"), folder());
    const answer = await missing.run(["whoami"]);
    expect(answer.ok).toBe(false);
    expect(answer.words).toContain("Cannot find module");
  });
});
