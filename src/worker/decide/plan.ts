/** All that the mail's way needs to know of a recipient: from the domain's object, else from D1, in at most 4 s. */
import { lookupLocals, splitAddress } from "../../core/address.ts";
import { PLAN_TIMEOUT } from "../../core/limits.ts";
import type { DomainRpc, Plan } from "../domain/contract.ts";
import { type DirectoryEntry, entryFor } from "../domain/directory.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { resolveRecipient } from "./recipient.ts";

/**
 * One request to the object in the good case. Where it fails, hangs or knows nothing, the directory answers, with the mode
 * as last written there.
 *
 * @param address in normal form (core/address.ts)
 * @returns `unavailable` where neither answered: the sender is to come again
 */
export async function planFor(
  env: Env,
  ctx: Pick<ExecutionContext, "waitUntil">,
  address: string,
): Promise<Plan | "unknown_domain" | "unavailable"> {
  const parts = splitAddress(address);
  if (!parts) return "unknown_domain";
  const { local, domain } = parts;
  const answer = await fromObject(env, domain, local);
  if (answer !== null && answer !== "failed") return answer;
  const entry = await fromDirectory(env, domain, local);
  if (entry === "failed") return "unavailable";
  if (entry === null) return "unknown_domain";
  if (answer === null) ctx.waitUntil(reload(env, domain));
  return planOf(entry, local);
}

async function fromObject(env: Env, domain: string, local: string): Promise<Plan | null | "failed"> {
  try {
    const object = env.DOMAIN.getByName(domain) as unknown as DomainRpc;
    return await within(object.plan(local), PLAN_TIMEOUT, "plan of the domain's object");
  } catch (error) {
    console.error("the domain's object gave no plan", domain, String(error));
    return "failed";
  }
}

async function fromDirectory(env: Env, domain: string, local: string): Promise<DirectoryEntry | null | "failed"> {
  try {
    return await within(entryFor(env, domain, lookupLocals(local)), PLAN_TIMEOUT, "plan of the directory");
  } catch (error) {
    console.error("the directory gave no plan", domain, String(error));
    return "failed";
  }
}

/** The object does not know a domain that there is: it takes it from D1, so that the next message finds it. */
async function reload(env: Env, domain: string): Promise<void> {
  try {
    await (env.DOMAIN.getByName(domain) as unknown as DomainRpc).reload(domain);
  } catch (error) {
    console.error("the domain's object did not reload", domain, String(error));
  }
}

function planOf(entry: DirectoryEntry, local: string): Plan {
  const { facts, mode, holders } = entry;
  const { id, name, continuity, switching, route } = facts;
  return {
    domain: { id, name, continuity, switching, route },
    mode: continuity ? mode : "normal",
    recipient: resolveRecipient(facts, mode, local, (form) => holders.get(form) ?? []),
    unseen: false,
    doubt: false,
    slowFinal: false,
    // Not known: the object is told, should it hear.
    watched: true,
    source: "directory",
  };
}
