/** The Worker's secrets: made where they are missing, never overwritten, rotated when told to. */
import { randomBytes } from "node:crypto";
import { parseSecrets } from "../../core/protocol/gateway/signature.ts";
import { hashPassword } from "../secrets.ts";
import type { StoredSecrets } from "./memory.ts";
import type { Rotatable } from "./options.ts";
import { StepFailed } from "./wrangler.ts";

export const SECRETS = ["MASTER_KEYS", "GATEWAY_SECRETS", "OPERATOR_TOKEN", "OPERATOR_PASSWORD_HASH"] as const;
export type SecretName = (typeof SECRETS)[number];

export interface Wish {
  readonly rotate: readonly Rotatable[];
  readonly retireGateway: boolean;
  /** The operator's, or null: it is made. */
  readonly password: string | null;
  /** What the Worker has, where this machine does not know it. */
  readonly gatewaySecrets: string | null;
  readonly masterKeys: string | null;
}

/** In the file only, for the operator to read: the Worker has its hash. */
export const MADE_PASSWORD = "OPERATOR_PASSWORD";

const ROTATED: Record<Rotatable, SecretName> = {
  gateway: "GATEWAY_SECRETS",
  master: "MASTER_KEYS",
  token: "OPERATOR_TOKEN",
  password: "OPERATOR_PASSWORD_HASH",
};

/**
 * @param present the names that the Worker has
 * @returns what is to be kept on this machine before `pending` is uploaded
 * @throws StepFailed where a rotation needs a value that nobody has here
 */
export function prepareSecrets(stored: StoredSecrets, present: ReadonlySet<string>, wish: Wish): StoredSecrets {
  const values = { ...stored.values };
  // What the Worker lacks was lost there, or never arrived.
  const pending = new Set(SECRETS.filter((name) => stored.pending.includes(name) || !present.has(name)));
  for (const name of pending) values[name] ??= made(name, values, wish);
  for (const what of wish.rotate) {
    const name = ROTATED[what];
    // Of a rotation whose upload failed, this run is the second half.
    if (pending.has(name)) continue;
    values[name] = rotated(name, values, wish);
    pending.add(name);
  }
  if (wish.retireGateway) {
    const entries = gatewayEntries(values, wish);
    const newest = entries.at(-1);
    if (entries.length > 1 && newest !== undefined) {
      values.GATEWAY_SECRETS = newest;
      pending.add("GATEWAY_SECRETS");
    }
  }
  return { values, pending: [...pending] };
}

/** What the gateways are to have: they sign with the first, so of two the new one comes first there. */
export function forGateways(values: StoredSecrets["values"]): string | null {
  return values.GATEWAY_SECRETS?.split(",").reverse().join(",") ?? null;
}

function made(name: SecretName, values: Record<string, string>, wish: Wish): string {
  switch (name) {
    case "MASTER_KEYS":
      return masterKey([]);
    case "GATEWAY_SECRETS":
      return gatewaySecret([]);
    case "OPERATOR_TOKEN":
      return randomBytes(32).toString("base64url");
    case "OPERATOR_PASSWORD_HASH": {
      if (wish.password !== null) {
        delete values[MADE_PASSWORD];
        return hashPassword(wish.password);
      }
      const password = randomBytes(15).toString("base64url");
      values[MADE_PASSWORD] = password;
      return hashPassword(password);
    }
  }
}

function rotated(name: SecretName, values: Record<string, string>, wish: Wish): string {
  if (name === "MASTER_KEYS") {
    const old = values.MASTER_KEYS ?? wish.masterKeys;
    if (!old) throw unknown("MASTER_KEYS", "HOLDFAST_MASTER_KEYS", "what it sealed could not be opened any more");
    // The newest seals, every listed one opens.
    return [masterKey(old.split(",")), old].join(",");
  }
  if (name === "GATEWAY_SECRETS") {
    const entries = gatewayEntries(values, wish);
    if (entries.length > 1)
      throw new StepFailed(
        "Secrets: a rotation of the gateways' secret is under way already.",
        "",
        "Give every gateway the newest secret (docs/operations.md), run again with --retire gateway, and then rotate.",
      );
    // The first signs, all verify: until the gateways know the new one, nothing may be signed with it.
    return [...entries, gatewaySecret(entries)].join(",");
  }
  return made(name, values, wish);
}

function gatewayEntries(values: Record<string, string>, wish: Wish): string[] {
  const text = values.GATEWAY_SECRETS ?? wish.gatewaySecrets;
  if (!text) throw unknown("GATEWAY_SECRETS", "HOLDFAST_GATEWAY_SECRETS", "every gateway would be shut out");
  const parsed = parseSecrets(text);
  if (!parsed.ok)
    throw new StepFailed(
      `Secrets: GATEWAY_SECRETS: ${parsed.error}.`,
      "",
      "It must be id:secret, as the gateways have it.",
    );
  return parsed.value.map(({ id, secret }) => `${id}:${secret}`);
}

function unknown(name: SecretName, variable: string, why: string): StepFailed {
  return new StepFailed(
    `Secrets: the present ${name} is not known on this machine, and the Worker does not tell it.`,
    "",
    `Set ${variable} to the value that was shown when it was made; without it ${why}.`,
  );
}

function masterKey(others: readonly string[]): string {
  return `${freshId("k", others)}:${randomBytes(32).toString("base64")}`;
}

function gatewaySecret(others: readonly string[]): string {
  return `${freshId("g", others)}:${randomBytes(32).toString("base64url")}`;
}

/** One more than the highest number in use: an identifier never names two keys. */
function freshId(letter: string, others: readonly string[]): string {
  const numbers = others.map((entry) => Number(new RegExp(`^${letter}(\\d+):`).exec(entry.trim())?.[1] ?? 0));
  return `${letter}${Math.max(0, ...numbers) + 1}`;
}
