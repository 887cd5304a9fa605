/** The command line of `npm run deploy`, parsed once. */
import { parseArgs } from "node:util";
import { EMAIL, HOSTNAME, PASSWORD_LENGTH } from "../settings.ts";

export const ROTATABLE = ["gateway", "master", "token", "password"] as const;
export type Rotatable = (typeof ROTATABLE)[number];

export interface Options {
  /** Of the Worker; databases and bucket are called after it. */
  readonly name: string;
  readonly dryRun: boolean;
  /** Ask nothing. */
  readonly yes: boolean;
  /** These are remembered; null: as before. */
  readonly account: string | null;
  readonly hostname: string | null;
  readonly operatorEmail: string | null;
  readonly domain: string | null;
  readonly gateways: string | null;
  readonly keepSecrets: boolean | null;
  readonly zones: readonly string[];
  /** For this run only. */
  readonly password: string | null;
  readonly gatewaySecrets: string | null;
  readonly masterKeys: string | null;
  readonly rotate: readonly Rotatable[];
  /** The gateways have the newest secret: the older ones go. */
  readonly retireGateway: boolean;
}

export type Read =
  | { readonly kind: "options"; readonly options: Options }
  | { readonly kind: "usage"; readonly text: string }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** R2 and D1 names are cut from it: lower case, digits and hyphens, with room for `-shard-9999`. */
const NAME = /^[a-z][a-z0-9-]{0,38}[a-z0-9]$/;
const ACCOUNT = /^[0-9a-f]{32}$/;

export const USAGE = `npm run deploy [-- OPTIONS]: Holdfast to Cloudflare. Safe to run again: what is there stays.

  --dry-run              no account, no network: make and check everything, print every command, upload nothing
  --yes                  ask nothing; a setting that is missing is an error
  --name NAME            of the Worker, its databases and its bucket (default: holdfast)
  --env ENV              the same as --name holdfast-ENV: a copy beside the real one
  --account ID           where the login reaches several accounts (or CLOUDFLARE_ACCOUNT_ID)
  --hostname NAME        our name in Received and in the SMTP greeting (or HOLDFAST_HOSTNAME)
  --operator-email ADDR  who signs in as the operator (or HOLDFAST_OPERATOR_EMAIL)
  --domain NAME          a host name in a zone of the account, for panel, webmail and API
  --gateways LIST        https addresses of gateways that relay to port 25, by commas (or HOLDFAST_GATEWAYS)
  --zone DOMAIN          Email Routing of this zone hands its mail to the Worker; may stand several times
  --secrets keep|show    new secrets stay in .deploy/NAME/secrets.json (mode 600), or are shown once and kept nowhere
  --rotate WHAT          gateway, master, token or password: a new one; of gateway and master the old one stays valid
  --retire gateway       after a rotation: only the new gateway secret stays valid

HOLDFAST_OPERATOR_PASSWORD is the operator's password (else it is asked for, or made). wrangler's login is its own:
npx wrangler login, or CLOUDFLARE_API_TOKEN. What was given once is remembered in .deploy/NAME/settings.json.`;

/** @returns every problem with its sentence, not only the first; secrets stay out of the sentences */
export function parseOptions(argv: readonly string[], environment: Readonly<Record<string, string | undefined>>): Read {
  let values: ReturnType<typeof read>;
  try {
    values = read(argv);
  } catch (error) {
    return { kind: "problems", problems: [`${(error as Error).message} (--help lists them)`] };
  }
  if (values.help) return { kind: "usage", text: USAGE };
  const problems: string[] = [];
  const env = (name: string): string | null => environment[name] || null;

  function fitting(flag: string, value: string | null, fits: (value: string) => boolean, what: string): string | null {
    if (value !== null && !fits(value)) problems.push(`${flag} must be ${what}, not ${JSON.stringify(value)}.`);
    return value;
  }
  function oneOf<T extends string>(flag: string, given: readonly string[], allowed: readonly T[]): T[] {
    for (const value of given)
      if (!allowed.some((one) => one === value))
        problems.push(`${flag} must be ${allowed.join(" or ")}, not ${JSON.stringify(value)}.`);
    return allowed.filter((one) => given.includes(one));
  }

  if (values.name !== undefined && values.env !== undefined)
    problems.push("--name and --env say the same thing: give one of them.");
  const name = values.name ?? (values.env === undefined ? "holdfast" : `holdfast-${values.env}`);
  fitting("--name", name, (value) => NAME.test(value), "lower-case letters, digits and hyphens, at most 40");
  const host = (value: string) => HOSTNAME.test(value) && value.includes(".");
  const zones = (values.zone ?? []).map((zone) => zone.toLowerCase());
  for (const zone of zones) fitting("--zone", zone, host, "a domain name");
  const password = env("HOLDFAST_OPERATOR_PASSWORD");
  const { min, max } = PASSWORD_LENGTH;
  if (password !== null && (password.length < min || password.length > max))
    problems.push(`HOLDFAST_OPERATOR_PASSWORD must have from ${min} to ${max} characters.`);
  const [keep] = oneOf("--secrets", values.secrets === undefined ? [] : [values.secrets], ["keep", "show"]);
  const rotate = oneOf("--rotate", values.rotate ?? [], ROTATABLE);
  const retireGateway = oneOf("--retire", values.retire ?? [], ["gateway"]).length > 0;
  if (retireGateway && rotate.includes("gateway"))
    problems.push("--rotate gateway and --retire gateway are two runs: between them the gateways get the new secret.");

  const options: Options = {
    name,
    dryRun: values["dry-run"] ?? false,
    yes: values.yes ?? false,
    account: fitting(
      "--account",
      values.account ?? env("CLOUDFLARE_ACCOUNT_ID"),
      (value) => ACCOUNT.test(value),
      "an account identifier of 32 hexadecimal digits",
    ),
    hostname: fitting("--hostname", values.hostname ?? env("HOLDFAST_HOSTNAME"), host, "a host name with its domain"),
    operatorEmail: fitting(
      "--operator-email",
      values["operator-email"] ?? env("HOLDFAST_OPERATOR_EMAIL"),
      (value) => EMAIL.test(value),
      "an e-mail address",
    ),
    domain: fitting("--domain", values.domain ?? null, host, "a host name with its domain"),
    gateways: fitting(
      "--gateways",
      values.gateways ?? env("HOLDFAST_GATEWAYS"),
      (value) => value.split(",").every((one) => URL.parse(one.trim())?.protocol === "https:"),
      "https addresses, separated by commas",
    ),
    keepSecrets: keep === undefined ? null : keep === "keep",
    zones,
    password,
    gatewaySecrets: env("HOLDFAST_GATEWAY_SECRETS"),
    masterKeys: env("HOLDFAST_MASTER_KEYS"),
    rotate,
    retireGateway,
  };
  return problems.length === 0 ? { kind: "options", options } : { kind: "problems", problems };
}

function read(argv: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const many = { type: "string", multiple: true } as const;
  return parseArgs({
    args: [...argv],
    strict: true,
    allowPositionals: false,
    options: {
      help: flag,
      "dry-run": flag,
      yes: flag,
      name: text,
      env: text,
      account: text,
      hostname: text,
      "operator-email": text,
      domain: text,
      gateways: text,
      secrets: text,
      zone: many,
      rotate: many,
      retire: many,
    },
  }).values;
}
