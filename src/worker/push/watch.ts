/** The Worker's end of a watch: a WebSocket to the domain's object. */
import { parseDomain } from "../../core/address.ts";
import { PLAN_TIMEOUT } from "../../core/limits.ts";
import type { DomainRpc } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";

/** What is watched; `since` as in core/protocol/push/frames.ts. */
export type Watch =
  | { readonly kind: "account"; readonly account: number; readonly since: number | null }
  | { readonly kind: "domain" }
  | { readonly kind: "gateway" };

/** `none`: there is no such mailbox or domain; `full`: too many watch already; `failed`: the object does not answer. */
export type WatchRefusal = "none" | "full" | "failed";

/**
 * An object that has never heard of its domain takes it from D1 first.
 * @param domain its name
 * @returns the upgrade, whose WebSocket nobody has accepted yet
 */
export async function openWatch(env: Env, domain: string, watch: Watch): Promise<Response | WatchRefusal> {
  const name = parseDomain(domain);
  if (!name.ok) return "none";
  const object = env.DOMAIN.getByName(name.value);
  try {
    let answer = await within(object.fetch(requestOf(watch)), PLAN_TIMEOUT, "watch of a domain");
    if (answer.status === 404) {
      await within((object as unknown as DomainRpc).reload(name.value), 2 * PLAN_TIMEOUT, "reload of a domain");
      answer = await within(object.fetch(requestOf(watch)), PLAN_TIMEOUT, "watch of a domain");
    }
    if (answer.status === 404) return "none";
    if (answer.status === 429) return "full";
    if (answer.webSocket) return answer;
    throw new Error(`the object answered ${answer.status}`);
  } catch (error) {
    console.error("the domain's object takes no watcher", domain, String(error));
    return "failed";
  }
}

function requestOf(watch: Watch): Request {
  const since = watch.kind === "account" && watch.since !== null ? `?since=${watch.since}` : "";
  const path = watch.kind === "account" ? `account/${watch.account}${since}` : watch.kind;
  return new Request(`https://domain.invalid/${path}`, { headers: { upgrade: "websocket" } });
}
