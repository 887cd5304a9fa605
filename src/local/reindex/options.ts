/** What `npm run reindex` is told: arguments over environment, parsed once. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";

export interface ReindexSettings {
  /** Null: the service that runs on this machine with `state`. */
  readonly url: string | null;
  /** Null: sign in with the e-mail address and the password. */
  readonly token: string | null;
  readonly email: string;
  readonly password: string | null;
  /** Absolute path of the folder that keeps how far the run is. */
  readonly state: string;
  /** RFC 3339; null: everything. */
  readonly since: string | null;
  readonly shard: number | null;
  readonly dryRun: boolean;
  readonly restart: boolean;
}

export type ParsedReindex =
  | { readonly ok: true; readonly settings: ReindexSettings }
  | { readonly ok: false; readonly problems: readonly string[] };

export const USAGE = `npm run reindex -- [--url URL] [--token T] [--since DATE] [--shard N] [--dry-run] [--restart]
  --url URL     the service; absent: the one that runs on this machine (HOLDFAST_STATE)
  --token T     the operator's; absent: HOLDFAST_OPERATOR_TOKEN, or HOLDFAST_OPERATOR_EMAIL and HOLDFAST_OPERATOR_PASSWORD
  --since DATE  only mail that came since, such as 2026-11-03 or 2026-11-03T14:00:00Z
  --shard N     only what belongs in SHARD_N
  --dry-run     count, and write nothing
  --restart     from the beginning, whatever an earlier run had reached`;

/** @returns every bad setting with its sentence */
export function parseReindex(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ParsedReindex {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const options = { url: text, token: text, since: text, shard: text, "dry-run": flag, restart: flag };
  let values: { [name in "url" | "token" | "since" | "shard"]?: string | undefined } & {
    "dry-run"?: boolean | undefined;
    restart?: boolean | undefined;
  };
  try {
    ({ values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false }));
  } catch (error) {
    return { ok: false, problems: [(error as Error).message, USAGE] };
  }
  const problems: string[] = [];
  const { url, token, since, shard } = values;
  if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
    problems.push(`--url must be an http or https address, not ${JSON.stringify(url)}.`);
  }
  const time = since === undefined ? null : Date.parse(/^\d{4}-\d\d-\d\d$/.test(since) ? `${since}T00:00:00Z` : since);
  if (time !== null && (Number.isNaN(time) || time < 0)) {
    problems.push(`--since must be a date such as 2026-11-03 or 2026-11-03T14:00:00Z, not ${JSON.stringify(since)}.`);
  }
  if (shard !== undefined && !/^\d{1,4}$/.test(shard)) {
    problems.push(`--shard must be the number of a shard, such as 0, not ${JSON.stringify(shard)}.`);
  }
  if (problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    settings: {
      url: url ?? null,
      token: token || environment.HOLDFAST_OPERATOR_TOKEN || null,
      email: environment.HOLDFAST_OPERATOR_EMAIL || "operator@localhost",
      password: environment.HOLDFAST_OPERATOR_PASSWORD || null,
      state: resolve(environment.HOLDFAST_STATE || ".holdfast"),
      since: time === null ? null : new Date(time).toISOString(),
      shard: shard === undefined ? null : Number(shard),
      dryRun: values["dry-run"] ?? false,
      restart: values.restart ?? false,
    },
  };
}
