/** MTA-STS (RFC 8461): what a domain says of the hosts that take its mail, and of TLS with them. Pure. */

import { err, ok, type Result } from "./result.ts";
import { MAX_STS_HOSTS, MAX_STS_LIFE } from "./send/limits.ts";

export interface StsPolicy {
  /** `enforce`: only to a host that matches, with a verified certificate; `testing` and `none` bind nobody (§5). */
  readonly mode: "enforce" | "testing" | "none";
  /** Seconds. */
  readonly maxAge: number;
  /** Lower case; a first label of `*` stands for any one label. */
  readonly mx: readonly string[];
}

const ID = /^[A-Za-z0-9]{1,32}$/;
const HOST = /^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/;

/**
 * The policy's identifier from the TXT records at `_mta-sts.` (§3.1).
 * @returns null where there is no policy: no record that begins with `v=STSv1`, or several
 */
export function stsIdOf(records: readonly string[]): string | null {
  const [record, ...others] = records.filter((text) => /^v=STSv1[ \t]*(?:;|$)/.test(text));
  if (record === undefined || others.length > 0) return null;
  const ids = record.split(";").flatMap((field) => /^\s*id\s*=\s*(\S+)\s*$/.exec(field)?.[1] ?? []);
  const [id] = ids;
  return id !== undefined && ids.length === 1 && ID.test(id) ? id : null;
}

/** A policy file (§3.2): of a key that may stand there once the first counts, unknown keys are ignored. */
export function parseStsPolicy(text: string): Result<StsPolicy, string> {
  const first = new Map<string, string>();
  const mx: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [, key, value] = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) return err("a line that is no field");
    if (key === "mx") mx.push(value.toLowerCase());
    else if (!first.has(key)) first.set(key, value);
  }
  if (first.get("version") !== "STSv1") return err("version is not STSv1");
  const mode = first.get("mode");
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") return err("mode is none that there is");
  const age = first.get("max_age") ?? "";
  if (!/^\d{1,10}$/.test(age)) return err("max_age is no number");
  if (mx.length > MAX_STS_HOSTS) return err(`more than ${MAX_STS_HOSTS} mx`);
  if (!mx.every((host) => HOST.test(host))) return err("an mx that is no host");
  if (mx.length === 0 && mode !== "none") return err("no mx");
  return ok({ mode, maxAge: Math.min(Number(age), MAX_STS_LIFE), mx });
}

/** §4.1: `*.example.com` is `mail.example.com`, and neither `example.com` nor `a.b.example.com`. */
export function stsAllows(policy: StsPolicy, host: string): boolean {
  const name = host.toLowerCase();
  const parent = name.slice(name.indexOf(".") + 1);
  return policy.mx.some((allowed) =>
    allowed.startsWith("*.") ? name.includes(".") && allowed.slice(2) === parent : allowed === name,
  );
}
