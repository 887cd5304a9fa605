/** The keys that sign a domain's mail: made, put to use, forgotten. */
import { err, ok, type Result } from "../../../core/result.ts";
import { logEvent } from "../../domain/ask.ts";
import type { Env } from "../../env.ts";
import type { Principal } from "../../identity/principal.ts";
import { sealSecret } from "../../identity/secret.ts";
import { makeDkimKey } from "../../send/dkim.ts";
import { directory } from "../../store/directory.ts";
import type { DomainRow } from "../../store/domains.ts";
import {
  activateDkimKey,
  deleteDkimKey,
  dkimKeys,
  insertDkimKey,
  type PublicDkimKey,
} from "../../store/outgoing-settings.ts";
import { notFound, type Problem } from "../problem.ts";

type Whose = Pick<DomainRow, "id" | "name">;

const noKey = (selector: string): Problem => notFound(`key ${JSON.stringify(selector)} of this domain`);

/** The youngest first. */
export function keysOf(env: Env, { id }: Whose): Promise<PublicDkimKey[]> {
  return dkimKeys(directory(env), id);
}

/** It does not sign yet. @param given absent: by the date */
export async function addKey(
  env: Env,
  { name: actor }: Principal,
  { id, name }: Whose,
  given: string | undefined,
  now: number,
): Promise<Result<PublicDkimKey, Problem>> {
  const selector = given ?? `holdfast-${new Date(now).toISOString().slice(0, 10).replaceAll("-", "")}`;
  const { privateKey, publicKey } = await makeDkimKey();
  const { encrypted, keyId } = await sealSecret(env, privateKey);
  const key = { domain: id, selector, publicKey, encrypted, keyId, active: false, createdAt: now };
  if (!(await insertDkimKey(directory(env), key))) {
    const detail = `The domain has a key ${selector} already: choose another selector.`;
    return err({ status: 409, code: "exists", detail });
  }
  await logEvent(env, name, { kind: "dkim_key_made", actor, data: { selector } });
  return ok(key);
}

/** It signs from now on, and no other. */
export async function useKey(
  env: Env,
  { name: actor }: Principal,
  { id, name }: Whose,
  selector: string,
): Promise<Problem | null> {
  if (!(await activateDkimKey(directory(env), id, selector))) return noKey(selector);
  await logEvent(env, name, { kind: "dkim_key_signs", actor, data: { selector } });
  return null;
}

export async function forgetKey(
  env: Env,
  { name: actor }: Principal,
  { id, name }: Whose,
  selector: string,
): Promise<Problem | null> {
  if (!(await deleteDkimKey(directory(env), id, selector))) return noKey(selector);
  await logEvent(env, name, { kind: "dkim_key_deleted", actor, data: { selector } });
  return null;
}
