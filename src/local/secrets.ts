/** The secrets of this installation, made at the first start: `<state>/secrets.json`, readable by its owner only. */
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { readJson, writeWhole } from "./file.ts";

const Secrets = z.object({
  /** `id:base64 of 32 octets` */
  masterKeys: z.string().min(1),
  /** `id:secret` */
  gatewaySecrets: z.string().min(1),
  operatorPasswordHash: z.string().startsWith("scrypt$"),
});
export type Secrets = z.infer<typeof Secrets>;

export interface Kept {
  readonly secrets: Secrets;
  /** The operator's password where it was made just now: to be shown once. */
  readonly made: string | null;
}

/**
 * @param password the one that the settings give, or null
 * @throws where the file is there but cannot be used: new master keys would make sealed passwords unreadable
 */
export function keepSecrets(state: string, password: string | null): Kept {
  const path = join(state, "secrets.json");
  const old = read(path);
  if (old !== null && (password === null || matches(password, old.operatorPasswordHash)))
    return { secrets: old, made: null };
  const made = password === null ? randomBytes(15).toString("base64url") : null;
  const secrets: Secrets = {
    masterKeys: old?.masterKeys ?? `k1:${randomBytes(32).toString("base64")}`,
    gatewaySecrets: old?.gatewaySecrets ?? `g1:${randomBytes(32).toString("base64url")}`,
    operatorPasswordHash: hashPassword(password ?? made ?? ""),
  };
  writeWhole(path, `${JSON.stringify(secrets, null, 2)}\n`, 0o600);
  return { secrets, made };
}

function read(path: string): Secrets | null {
  const parsed = readJson(path, "restore it from a copy, it holds the keys of this state.");
  if (parsed === undefined) return null;
  const checked = Secrets.safeParse(parsed);
  if (checked.success) return checked.data;
  const fields = checked.error.issues.map((issue) => issue.path.join(".")).join(", ");
  throw new Error(
    `${path} lacks what it must have (${fields}); restore it from a copy, it holds the keys of this state.`,
  );
}

/** The set of identity/password.ts in the Worker, which verifies it. */
const COST = 16_384;
const BLOCK = 8;
const PARALLEL = 5;
const SCRYPT = { N: COST, r: BLOCK, p: PARALLEL, maxmem: 64 * 1024 * 1024 };

export function hashPassword(password: string, salt = randomBytes(16)): string {
  const key = scryptSync(password.normalize("NFC"), salt, 32, SCRYPT);
  return ["scrypt", COST, BLOCK, PARALLEL, salt.toString("base64url"), key.toString("base64url")].join("$");
}

function matches(password: string, stored: string): boolean {
  const salt = stored.split("$")[4];
  if (salt === undefined) return false;
  const [mine, theirs] = [Buffer.from(hashPassword(password, Buffer.from(salt, "base64url"))), Buffer.from(stored)];
  return mine.length === theirs.length && timingSafeEqual(mine, theirs);
}
