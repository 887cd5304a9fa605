/** What the domain's object is told after the fact, in one request, and only where it has to know. */

import { signOf } from "../../core/evidence.ts";
import { PLAN_TIMEOUT } from "../../core/limits.ts";
import type { Outcome } from "../../core/outcome.ts";
import { describeOutcome } from "../../core/outcome.ts";
import type { FateState } from "../../core/verdict.ts";
import type { AccountChange, NewEvent, Plan, Report } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import { localPartOf } from "./recipients.ts";

export class Reports {
  readonly #env: Env;
  readonly #ctx: Pick<ExecutionContext, "waitUntil">;
  #domain: string | null = null;
  #pending: Report[] = [];
  /** What is done where the object does not hear of what is pending; none of them throws. */
  #lost: (() => Promise<void>)[] = [];
  #told = new Set<Outcome>();

  constructor(env: Env, ctx: Pick<ExecutionContext, "waitUntil">) {
    this.#env = env;
    this.#ctx = ctx;
  }

  /** Evidence against the origin, once each. @param began when it was asked, unix milliseconds */
  outcome(plan: Plan, to: string, outcome: Outcome, began: number): void {
    this.#domain = plan.domain.name;
    if (!plan.domain.continuity || this.#told.has(outcome)) return;
    if (outcome.kind !== "unavailable") return;
    this.#told.add(outcome);
    this.#pending.push({ kind: "outcome", recipient: to, outcome, began });
    // At once: the sooner the object knows, the sooner it looks for itself.
    this.flush();
  }

  /** The origin took the message. */
  delivered(plan: Plan, to: string, outcome: Outcome): void {
    this.#domain = plan.domain.name;
    if (!plan.domain.continuity) return;
    if (plan.doubt && signOf(outcome) !== "none") this.#pending.push({ kind: "outcome", recipient: to, outcome });
    if (plan.unseen) this.#pending.push({ kind: "seen", local: localPartOf(to) });
  }

  /** @param flights of which the octets do not say that they went to the portal @param lost where the object did not hear */
  waiting(plan: Plan, flights: readonly string[], lost: () => Promise<void>): void {
    this.#domain = plan.domain.name;
    this.#pending.push({ kind: "waiting", ...(flights.length > 0 ? { flights } : {}) });
    if (flights.length > 0) this.#lost.push(lost);
  }

  /** For the day on which the index is made anew from what is stored (core/verdict.ts). */
  fate(plan: Plan, state: FateState, flights: readonly string[]): void {
    this.#domain = plan.domain.name;
    this.#pending.push({ kind: "fate", state, flights });
  }

  /** Mailboxes have something new, and `plan` says that somebody watches. */
  changed(plan: Plan, changes: readonly AccountChange[]): void {
    if (changes.length === 0) return;
    this.#domain = plan.domain.name;
    this.#pending.push({ kind: "changed", changes });
  }

  /** The same of their archives alone. */
  archived(plan: Plan, accounts: readonly number[]): void {
    this.#domain = plan.domain.name;
    this.#pending.push({ kind: "archived", accounts });
  }

  event(plan: Plan, event: NewEvent): void {
    this.#domain = plan.domain.name;
    this.#pending.push({ kind: "event", event });
  }

  /** Sends what is pending, in the background: the sender does not wait for it. */
  flush(): void {
    const domain = this.#domain;
    const reports = this.#pending;
    const lost = this.#lost;
    this.#pending = [];
    this.#lost = [];
    if (domain && reports.length > 0) this.#ctx.waitUntil(this.#send(domain, reports, lost));
  }

  async #send(domain: string, reports: readonly Report[], lost: readonly (() => Promise<void>)[]): Promise<void> {
    try {
      await within(this.#env.DOMAIN.getByName(domain).report(reports), PLAN_TIMEOUT, "report to the domain object");
    } catch (error) {
      // The message itself is safe; what the object does not hear now its own probes and the cron find out.
      console.error(
        "the domain's object did not take a report",
        domain,
        reports.map(describe).join("; "),
        String(error),
      );
      for (const instead of lost) await instead();
    }
  }
}

function describe(report: Report): string {
  switch (report.kind) {
    case "outcome":
      return describeOutcome(report.outcome);
    case "event":
      return `${report.event.kind} ${JSON.stringify(report.event.data)}`;
    case "fate":
      return `${report.state} ${JSON.stringify(report.flights)}`;
    case "seen":
    case "waiting":
    case "changed":
    case "archived":
    case "login_changed":
      return report.kind;
  }
}
