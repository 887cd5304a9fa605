/** What an outcome says about an origin: the scales of the mode machine. */
import { DEFERRAL_WINDOW, DEFERRED_RECIPIENTS, EVIDENCE_MEMORY, FAILOVER_EVIDENCE, FAILOVER_SPAN } from "./limits.ts";
import type { Outcome, Unavailable } from "./outcome.ts";

/**
 * `taken`: it took a message. `answered`: it is there and decides (a refusal, a good probe). `unreachable`: strong, it
 * cannot be talked to. `not_taking`: strong, it talks but takes nothing. `deferred`: one recipient's mail, weak, strong
 * with those of others. `hint`: one message's trouble, weak. `none`: nothing about the origin.
 */
export type Sign = "taken" | "answered" | "unreachable" | "not_taking" | "deferred" | "hint" | "none";

/** Before MAIL a server that answers badly serves nobody. */
const BEFORE_MAIL = new Set<string>(["connect", "greeting", "ehlo", "starttls", "auth", "noop"]);

export function signOf(outcome: Outcome): Sign {
  if (outcome.kind === "refused") return "answered";
  if (outcome.where === "path") return "none";
  if (outcome.kind === "delivered") return "taken";
  if (BEFORE_MAIL.has(outcome.phase)) return "unreachable";
  return signInTransaction(outcome);
}

function signInTransaction(outcome: Unavailable): Sign {
  switch (outcome.reason) {
    case "unsupported":
      return "none"; // this message needs an extension; others do not
    case "timeout":
      return outcome.phase === "final" ? "hint" : "unreachable"; // content filters are slow (RFC 5321 §4.5.3.2.6)
    case "reply":
      if (outcome.reply?.code === 421) return "unreachable"; // RFC 5321 §3.8: the service closes
      return outcome.phase === "mail" ? "not_taking" : "deferred";
    case "no_connection":
    case "dropped":
    case "tls":
    case "protocol":
      return "unreachable";
  }
}

/** What comes after a long wait for a final reply: the one message may be the reason, so it is no strong evidence. */
export function weakened(sign: Sign): Sign {
  return sign === "unreachable" || sign === "not_taking" ? "hint" : sign;
}

/** Strong evidence of one kind that nothing has settled yet. Times are unix milliseconds. */
export interface Evidence {
  /** When the first piece began. */
  readonly first: number;
  /** When the last piece ended. */
  readonly last: number;
  readonly probes: number;
  readonly deliveries: number;
  /** The last piece in words. */
  readonly text: string;
}

export interface Deferral {
  readonly recipient: string;
  readonly at: number;
}

/** What is held against an origin. */
export interface Scales {
  readonly unreachable: Evidence | null;
  readonly notTaking: Evidence | null;
  /** Of different recipients, the latest of each, at most DEFERRED_RECIPIENTS. */
  readonly deferrals: readonly Deferral[];
  /** When the origin last answered. */
  readonly lastGood: number;
}

export const EMPTY_SCALES: Scales = { unreachable: null, notTaking: null, deferrals: [], lastGood: 0 };

/** One thing that was observed, from `began` to `ended`. `recipient` is set for deliveries. */
export interface Observation {
  readonly sign: Sign;
  readonly began: number;
  readonly ended: number;
  readonly recipient: string | null;
  readonly text: string;
}

export function weigh(scales: Scales, seen: Observation): Scales {
  switch (seen.sign) {
    case "taken":
      return { ...EMPTY_SCALES, lastGood: seen.ended };
    case "answered":
      return { ...scales, unreachable: null, lastGood: seen.ended };
    case "unreachable":
      // What began before the origin's last answer says little about it now: the machine asks with a probe instead.
      return seen.began < scales.lastGood ? scales : { ...scales, unreachable: add(scales.unreachable, seen) };
    case "not_taking":
      return { ...scales, notTaking: add(scales.notTaking, { ...seen, began: seen.ended }) };
    case "deferred":
      return defer(scales, seen);
    case "hint":
    case "none":
      return scales;
  }
}

function defer(scales: Scales, seen: Observation): Scales {
  const recipient = seen.recipient ?? "";
  const deferrals = scales.deferrals
    .filter((one) => one.recipient !== recipient && seen.ended - one.at <= DEFERRAL_WINDOW)
    .concat({ recipient, at: seen.ended })
    .slice(-DEFERRED_RECIPIENTS);
  const began = deferrals[0]?.at ?? seen.ended;
  if (deferrals.length < DEFERRED_RECIPIENTS) return { ...scales, deferrals };
  return { ...scales, deferrals, notTaking: add(scales.notTaking, { ...seen, began }) };
}

function add(evidence: Evidence | null, seen: Observation): Evidence {
  const probe = seen.recipient === null ? 1 : 0;
  return {
    first: Math.min(evidence?.first ?? seen.began, seen.began),
    last: Math.max(evidence?.last ?? seen.ended, seen.ended),
    probes: (evidence?.probes ?? 0) + probe,
    deliveries: (evidence?.deliveries ?? 0) + 1 - probe,
    text: seen.text,
  };
}

/** Drops what is too old to count. */
export function age(scales: Scales, now: number): Scales {
  const fresh = (one: Evidence | null): boolean => one === null || now - one.last <= EVIDENCE_MEMORY;
  const deferrals = scales.deferrals.every((one) => now - one.at <= DEFERRAL_WINDOW);
  if (fresh(scales.unreachable) && fresh(scales.notTaking) && deferrals) return scales;
  return {
    ...scales,
    unreachable: fresh(scales.unreachable) ? scales.unreachable : null,
    notTaking: fresh(scales.notTaking) ? scales.notTaking : null,
    deferrals: scales.deferrals.filter((one) => now - one.at <= DEFERRAL_WINDOW),
  };
}

export function inDoubt(scales: Scales): boolean {
  return scales.unreachable !== null || scales.notTaking !== null;
}

/**
 * Whether the evidence is enough for a failover.
 * @returns the cause in words, such as `3 failed probes in 16 s: connect, no_connection`, or null
 */
export function verdict(scales: Scales): string | null {
  const all = [scales.unreachable, scales.notTaking].filter((one) => one !== null);
  const latest = all.reduce<Evidence | null>((a, b) => (a === null || b.last > a.last ? b : a), null);
  if (!latest) return null;
  const first = Math.min(...all.map((one) => one.first));
  const probes = all.reduce((sum, one) => sum + one.probes, 0);
  const deliveries = all.reduce((sum, one) => sum + one.deliveries, 0);
  if (probes + deliveries < FAILOVER_EVIDENCE || latest.last - first < FAILOVER_SPAN) return null;
  const counts = [counted(probes, "failed probe"), counted(deliveries, "failed delivery")].filter(
    (text) => text !== "",
  );
  return `${counts.join(" and ")} in ${Math.round((latest.last - first) / 1000)} s: ${latest.text}`;
}

function counted(count: number, what: string): string {
  if (count === 0) return "";
  return count === 1 ? `1 ${what}` : `${count} ${what.replace(/y$/, "ie")}s`;
}
