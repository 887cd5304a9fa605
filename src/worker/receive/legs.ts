/** Which way a message goes out: by `forward()` where `email()` brought it and its domain wants that, else over SMTP. */
import { FORWARD_NEWS_PAUSE, MAX_BUFFERED_BYTES, MAX_FORWARD_NEWS } from "../../core/limits.ts";
import { openKept } from "../deliver/kept-session.ts";
import { openRoute } from "../deliver/origin.ts";
import type { OpenedSession } from "../deliver/session.ts";
import type { Plan, Route } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { openSecret } from "../identity/secret.ts";
import { Budget } from "./budget.ts";
import type { MailFrom } from "./contract.ts";
import { type Forwardable, ForwardLeg } from "./forward-leg.ts";
import { OriginLeg } from "./origin-leg.ts";
import type { Patience } from "./patience.ts";
import type { Leg } from "./pipeline.ts";
import type { Reports } from "./reports.ts";

/** @param message what `email()` was called with; null for what came by the gateway, which cannot be forwarded */
export function legFor(
  env: Env,
  plan: Plan,
  mail: MailFrom,
  message: Forwardable | null,
  reports: Reports,
  patience: Patience,
): Leg {
  const budget = new Budget(patience.budget);
  const smtp = smtpLeg(env, plan, mail, budget, patience);
  const { transport, forwardDomain } = plan.domain.route ?? {};
  if (transport !== "forward" || forwardDomain === undefined || !message || message.canBeForwarded === false)
    return smtp;
  const held = mail.size !== undefined && mail.size <= MAX_BUFFERED_BYTES;
  // Where forwarding fails, a large message is safe in the portal only: nobody's portal is no net, so it goes over SMTP.
  if (!held && !(plan.domain.continuity && plan.recipient.status === "covered")) return smtp;
  const failed = (destination: string, why: string) => {
    console.warn("a message was not forwarded", destination, why);
    if (!isNews(destination, Date.now())) return;
    reports.event(plan, { kind: "forward_failed", actor: "delivery", data: { to: destination, error: why } });
  };
  return new ForwardLeg({
    message,
    domain: forwardDomain,
    host: env.HOSTNAME,
    budget,
    smtp: held ? smtp : null,
    failed,
  });
}

function smtpLeg(env: Env, plan: Plan, mail: MailFrom, budget: Budget, patience: Patience): OriginLeg {
  const parameters = { from: mail.from, size: mail.size ?? 0, body: mail.body, smtputf8: mail.smtputf8 };
  const { route, continuity } = plan.domain;
  // Where nothing is stored the sender waits itself, and only `email()` ends before a slow origin has spoken.
  const stored = continuity && plan.recipient.status === "covered";
  const kept = route && stored && plan.slowFinal && Number.isFinite(patience.whole);
  const opening = async () => (kept ? await openKept(env, route) : null) ?? open(env, route);
  return new OriginLeg(opening, parameters, budget, patience);
}

async function open(env: Env, route: Route | null): Promise<OpenedSession> {
  if (!route) {
    const detail = "the domain has no route to its own server";
    return { kind: "unavailable", where: "path", phase: "connect", reason: "unsupported", detail };
  }
  return openRoute(route, (encrypted, keyId) => openSecret(env, encrypted, keyId), { helo: env.HOSTNAME, relay: env });
}

/** When the log was last told of a destination, unix milliseconds; as far as this isolate knows. */
const told = new Map<string, number>();

function isNews(destination: string, now: number): boolean {
  const last = told.get(destination);
  if (last !== undefined && now - last < FORWARD_NEWS_PAUSE) return false;
  told.delete(destination);
  told.set(destination, now);
  const oldest = told.keys().next();
  if (told.size > MAX_FORWARD_NEWS && !oldest.done) told.delete(oldest.value);
  return true;
}
