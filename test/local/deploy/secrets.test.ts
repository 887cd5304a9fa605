import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { deploy } from "../../../src/local/deploy/deploy.ts";
import type { Wrangler } from "../../../src/local/deploy/wrangler.ts";
import { machine, options } from "./machine.ts";
import { emptyAccount } from "./wrangler-double.ts";

describe("the Worker's secrets", () => {
  it("rotates the gateways' secret without a moment in which one side does not know the other's", async () => {
    const account = emptyAccount();
    const { surroundings, said } = machine(account);
    const now = () => account.workers.holdfast?.secrets.GATEWAY_SECRETS ?? "";
    await deploy(options(), surroundings);
    const first = now();
    await deploy(options("--rotate", "gateway"), surroundings);
    const [signs, also, ...more] = now().split(",");
    expect(signs).toBe(first);
    expect(also).toMatch(/^g2:/);
    expect(more).toEqual([]);
    expect(said()).toContain("run again with --retire gateway");
    await expect(deploy(options("--rotate", "gateway"), surroundings)).rejects.toThrow("under way already");
    await deploy(options("--retire", "gateway"), surroundings);
    expect(now()).toBe(also);
    await deploy(options("--retire", "gateway"), surroundings);
    expect(now()).toBe(also);
  });

  it("puts a new master key before the old one, which still opens what it sealed", async () => {
    const account = emptyAccount();
    const { surroundings } = machine(account);
    await deploy(options(), surroundings);
    const old = account.workers.holdfast?.secrets.MASTER_KEYS;
    await deploy(options("--rotate", "master"), surroundings);
    expect(account.workers.holdfast?.secrets.MASTER_KEYS).toMatch(/^k2:.*,k1:/);
    expect(account.workers.holdfast?.secrets.MASTER_KEYS?.split(",")[1]).toBe(old);
  });

  it("refuses to rotate what it does not know, and takes it from the environment", async () => {
    const account = emptyAccount();
    await deploy(options(), machine(account).surroundings);
    const { surroundings } = machine(account);
    await expect(deploy(options("--rotate", "gateway"), surroundings)).rejects.toThrow("Set HOLDFAST_GATEWAY_SECRETS");
    const known = account.workers.holdfast?.secrets.GATEWAY_SECRETS ?? null;
    await deploy({ ...options("--rotate", "gateway"), gatewaySecrets: known }, surroundings);
    expect(account.workers.holdfast?.secrets.GATEWAY_SECRETS).toMatch(/^g1:.*,g2:/);
  });

  it("shows new secrets once and keeps none where that was chosen, also when the upload failed at first", async () => {
    const account = emptyAccount();
    const { surroundings, said, place } = machine(account);
    const failing: Wrangler = {
      run: (command, environment) =>
        command[0] === "deploy" && command[1] !== "--dry-run"
          ? Promise.resolve({ ok: false, stdout: "", words: "fetch failed" })
          : surroundings.wrangler.run(command, environment),
    };
    await expect(deploy(options("--secrets", "show"), { ...surroundings, wrangler: failing })).rejects.toThrow();
    expect(said()).not.toContain("MASTER_KEYS=");
    await deploy(options(), surroundings);
    const secrets = account.workers.holdfast?.secrets ?? {};
    for (const [name, value] of Object.entries(secrets)) expect(said()).toContain(`${name}=${value}`);
    expect(readdirSync(join(place, "holdfast")).filter((name) => name.includes("secret"))).toEqual([]);
    const shown = said().length;
    await deploy(options(), surroundings);
    expect(said().slice(shown)).not.toContain(secrets.MASTER_KEYS);
  });

  it("makes the operator's password where none is given, and shows it once", async () => {
    const account = emptyAccount();
    const { surroundings, lines } = machine(account);
    await deploy({ ...options(), password: null }, surroundings);
    const shown = lines.filter((line) => /password \S{20} \(shown this once\)/.test(line));
    expect(shown).toHaveLength(1);
    await deploy({ ...options(), password: null }, surroundings);
    expect(lines.filter((line) => line.includes("password"))).toHaveLength(1);
    expect(account.workers.holdfast?.secrets).not.toHaveProperty("OPERATOR_PASSWORD");
  });
});
