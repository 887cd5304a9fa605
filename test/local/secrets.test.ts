import { scryptSync } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepSecrets } from "../../src/local/secrets.ts";
import { folder } from "./folder.ts";

function opens(password: string, stored: string): boolean {
  const [, N = "", r = "", p = "", salt = "", hash = ""] = stored.split("$");
  const options = { N: Number(N), r: Number(r), p: Number(p), maxmem: 64 * 1024 * 1024 };
  return scryptSync(password, Buffer.from(salt, "base64url"), 32, options).toString("base64url") === hash;
}

describe("the secrets of an installation", () => {
  it("are made once, with an operator's password that is told once", () => {
    const state = folder();
    const first = keepSecrets(state, null);
    expect(first.made).toMatch(/^[\w-]{20}$/);
    expect(opens(first.made ?? "", first.secrets.operatorPasswordHash)).toBe(true);
    expect(first.secrets.operatorPasswordHash).toMatch(/^scrypt\$16384\$8\$5\$[\w-]{22}\$[\w-]{43}$/);
    expect(Buffer.from(first.secrets.masterKeys.slice(3), "base64")).toHaveLength(32);
    expect(keepSecrets(state, null)).toEqual({ secrets: first.secrets, made: null });
  });

  it("are for their owner alone, and the password is not among them", () => {
    const state = folder();
    const { made } = keepSecrets(state, null);
    expect(statSync(join(state, "secrets.json")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(state, "secrets.json"), "utf8")).not.toContain(made);
  });

  it("take the operator's password from the settings and keep all else", () => {
    const state = folder();
    const first = keepSecrets(state, null).secrets;
    const second = keepSecrets(state, "correct horse");
    expect(second.made).toBeNull();
    expect(opens("correct horse", second.secrets.operatorPasswordHash)).toBe(true);
    expect({ ...second.secrets, operatorPasswordHash: first.operatorPasswordHash }).toEqual(first);
    // The same password again is no new one: its hash, and with it what hangs on it, stays.
    expect(keepSecrets(state, "correct horse")).toEqual(second);
    expect(keepSecrets(state, null)).toEqual(second);
  });

  it("are never made anew over a file that cannot be read, and its content is not told", () => {
    const state = folder();
    const path = join(state, "secrets.json");
    writeFileSync(path, '{"masterKeys": "k1:precious"');
    expect(() => keepSecrets(state, null)).toThrow(
      `${path} is no JSON; restore it from a copy, it holds the keys of this state.`,
    );
    writeFileSync(path, '{"masterKeys": "k1:precious"}');
    expect(() => keepSecrets(state, null)).toThrow(
      `${path} lacks what it must have (gatewaySecrets, operatorPasswordHash); restore it from a copy, it holds the keys of this state.`,
    );
    expect(readFileSync(path, "utf8")).toBe('{"masterKeys": "k1:precious"}');
  });
});
