/** Further domains that a setting of one domain reaches to: only those that whoever sets it administers. */
import { parseDomain } from "../../../core/address.ts";
import { err, ok, type Result } from "../../../core/result.ts";
import { MAX_RELAY_SENDERS } from "../../../core/send/limits.ts";
import type { Env } from "../../env.ts";
import { type Principal, scopeOf } from "../../identity/principal.ts";
import { directory } from "../../store/directory.ts";
import { type DomainRow, findDomain } from "../../store/domains.ts";
import { invalid, type Problem } from "../problem.ts";

/** @returns the names in normal form, the domain's own first */
export async function ownDomains(
  env: Env,
  principal: Principal,
  domain: DomainRow,
  field: string,
  wanted: readonly string[],
): Promise<Result<string[], Problem>> {
  const names = new Set([domain.name]);
  for (const [at, given] of wanted.entries()) {
    const parsed = parseDomain(given.trim());
    const row = parsed.ok ? await findDomain(directory(env), parsed.value, scopeOf(principal)) : null;
    if (!row) return err(invalid(`${field}.${at}`, `is no domain of yours here: ${JSON.stringify(given)}`));
    names.add(row.name);
  }
  if (names.size > MAX_RELAY_SENDERS) return err(invalid(field, `must be at most ${MAX_RELAY_SENDERS} domains`));
  return ok([...names]);
}
