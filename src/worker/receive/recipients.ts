/**
 * RCPT: the first fixes the domain and the row of the table; a recipient of another domain or row comes in a transaction
 * of its own (`452 4.5.3`). In normal mode the origin is asked, while the sender waits.
 */
import { parseAddress, splitAddress } from "../../core/address.ts";
import { type Row, rowFor } from "../../core/decision.ts";
import { MAX_ENVELOPE_METADATA_BYTES, MAX_RECIPIENTS } from "../../core/limits.ts";
import type { Outcome, Reply } from "../../core/outcome.ts";
import { recipientOctets } from "../archive/raw.ts";
import { planFor } from "../decide/plan.ts";
import type { Plan } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import type { Destination, Leg } from "./pipeline.ts";
import * as replies from "./replies.ts";
import type { Reports } from "./reports.ts";

export interface Accepted {
  /** Exactly as received. */
  readonly to: string;
  readonly plan: Plan;
  readonly status: Plan["recipient"]["status"];
}

export class Recipients {
  readonly #env: Env;
  readonly #ctx: Pick<ExecutionContext, "waitUntil">;
  readonly #originFor: (plan: Plan) => Leg;
  readonly #reports: Reports;
  readonly accepted: Accepted[] = [];
  /** The row that the first recipient fixed, as far as it is known before the final dot. */
  row: Row | null = null;
  origin: Leg | null = null;
  /** What the origin said where the row sends the message to the portal. */
  unavailable: Outcome | null = null;
  #octets = 0;

  constructor(env: Env, ctx: Pick<ExecutionContext, "waitUntil">, originFor: (plan: Plan) => Leg, reports: Reports) {
    this.#env = env;
    this.#ctx = ctx;
    this.#originFor = originFor;
    this.#reports = reports;
  }

  async add(to: string): Promise<Reply> {
    const address = parseAddress(to);
    if (!address.ok) return replies.badRecipient(address.error.reason.replaceAll("_", " "));
    if (this.accepted.some((recipient) => recipient.to === to)) return replies.recipientAccepted;
    if (!this.#hasRoomFor(to)) return replies.tooManyRecipients;
    const plan = await planFor(this.#env, this.#ctx, address.value.address);
    if (plan === "unknown_domain") return replies.relayDenied;
    if (plan === "unavailable") return replies.noPlan;
    return this.#decide(to, plan);
  }

  /** Where the octets go on to, now that the row is known. */
  originFor(row: Row | null): Destination {
    if (row?.goesTo === "origin" && this.origin) return this.origin;
    const known = this.unavailable;
    return {
      data: async () => {},
      write: async () => {},
      finish: async () => known,
      lineEndsChanged: false,
      close: () => {},
    };
  }

  async #decide(to: string, plan: Plan): Promise<Reply> {
    // Continuity off: every recipient is treated as not covered, and the mode is normal.
    const mode = plan.domain.continuity ? plan.mode : "normal";
    const covered = plan.domain.continuity && plan.recipient.status === "covered";
    const status = covered ? "covered" : plan.recipient.status === "unknown" ? "unknown" : "registered";
    const first = this.accepted[0];
    if (first && !this.#sameKind(first, plan, mode, covered)) return replies.ownTransaction;
    if (mode === "emergency") return this.#fix(to, plan, status, rowFor(mode, status, "not_asked"), null);
    this.origin ??= this.#originFor(plan);
    const began = Date.now();
    const outcome = await this.origin.recipient(to);
    this.#reports.outcome(plan, to, outcome, began);
    return this.#fix(to, plan, status, rowFor(mode, status, outcome.kind), outcome);
  }

  #fix(to: string, plan: Plan, status: Accepted["status"], row: Row, outcome: Outcome | null): Reply {
    switch (row.sender) {
      case "as_origin":
        return outcome?.reply ?? replies.unknownUser;
      case "unknown_user":
        return replies.unknownUser;
      case "temporary_failure":
        return outcome?.kind === "unavailable" ? replies.temporary(outcome) : replies.notCovered;
      case "accepted":
        break;
    }
    // The connection broke after others had been accepted: the final dot will find the same for all of them.
    const broke = this.row?.goesTo === "origin" && this.origin?.usable === false;
    if (this.row && this.row.name !== row.name && !broke) return replies.ownTransaction;
    this.row = row;
    if (row.goesTo === "portal") this.unavailable = outcome;
    this.accepted.push({ to, plan, status });
    this.#octets += recipientOctets(to);
    return replies.recipientAccepted;
  }

  /** In emergency mode nothing is asked: who is not covered is answered at once, and joins no transaction. */
  #sameKind(first: Accepted, plan: Plan, mode: Row["mode"], covered: boolean): boolean {
    const sameMode = first.plan.domain.id === plan.domain.id && this.row?.mode === mode;
    return sameMode && (mode === "emergency" || (first.status === "covered") === covered);
  }

  /** All recipients must fit into the metadata beside the octets (design, rule 4). */
  #hasRoomFor(to: string): boolean {
    return this.accepted.length < MAX_RECIPIENTS && this.#octets + recipientOctets(to) <= MAX_ENVELOPE_METADATA_BYTES;
  }
}

/** The local part as received, for the list of addresses that the origin accepts. */
export function localPartOf(to: string): string {
  return splitAddress(to)?.local.toLowerCase() ?? to;
}
