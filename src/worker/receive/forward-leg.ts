/**
 * The part of a transaction that Email Routing's `forward()` takes, inside `email()` only (decision 008). What it does not
 * take, the origin is asked to take over SMTP, while the sender still waits: nobody documents its errors, so none of them
 * is read as a refusal.
 */
import { splitAddress } from "../../core/address.ts";
import { FORWARD_MARK, forwardMark } from "../../core/mime/trace.ts";
import type { Delivered, Outcome, Unavailable } from "../../core/outcome.ts";
import type { Budget } from "./budget.ts";
import type { Late } from "./origin-leg.ts";
import type { Leg } from "./pipeline.ts";

/** What is used of a ForwardableEmailMessage. */
export interface Forwardable {
  /** Only fields of the form X-… go on. Resolves when the destination has taken the message. */
  forward(to: string, headers: Headers): Promise<unknown>;
  readonly canBeForwarded?: boolean;
}

export interface ForwardLegParts {
  readonly message: Forwardable;
  /** Where to: `Route.forwardDomain`. */
  readonly domain: string;
  /** Our own host name. */
  readonly host: string;
  /** Shared with `smtp`. */
  readonly budget: Budget;
  /** The way beside it; null for a message too large to be held for it. */
  readonly smtp: Leg | null;
  /** Forwarding failed. Not for the sender. */
  readonly failed: (destination: string, why: string) => void;
}

const ACCEPTED = { code: 250, enhanced: "2.1.5", text: "Recipient ok" } as const;

export class ForwardLeg implements Leg {
  readonly #parts: ForwardLegParts;
  #to: string | null = null;
  #trace: Uint8Array = new Uint8Array();
  #held: Uint8Array[] = [];
  #done = false;

  constructor(parts: ForwardLegParts) {
    this.#parts = parts;
  }

  get usable(): boolean {
    return !this.#done;
  }

  get lineEndsChanged(): boolean {
    return this.#parts.smtp?.lineEndsChanged ?? false;
  }

  /** `forward()` takes the whole message or nothing: until then nobody is asked. `email()` brings one recipient. */
  async recipient(to: string): Promise<Outcome> {
    if (this.#to !== null) return notForwarded("a forwarded message has one recipient");
    this.#to = to;
    return { kind: "delivered", where: "path", reply: ACCEPTED };
  }

  /** The platform forwards its own copy of the octets: ours are only for SMTP. */
  async data(trace: Uint8Array): Promise<void> {
    this.#trace = trace;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#parts.smtp) this.#held.push(chunk);
  }

  /** Once a message: a second `forward()` to the same destination is an error to the platform. */
  async finish(): Promise<Outcome | Late> {
    const to = this.#to;
    if (to === null || this.#done) return notForwarded("there is nothing to forward");
    this.#done = true;
    const { budget, smtp, domain } = this.#parts;
    const destination = `${splitAddress(to)?.local ?? to}@${domain}`;
    const outcome = await budget.spend(
      () => this.#forward(destination, to),
      () => notForwarded(`no answer from forward() to ${destination} in time`, "timeout"),
    );
    if (outcome.kind === "delivered") return outcome;
    this.#parts.failed(destination, outcome.detail ?? outcome.reason);
    // Without an answer it may still arrive: then the portal waits for it rather than the origin having it twice.
    if (!smtp || outcome.reason === "timeout") return outcome;
    const asked = await this.#overSmtp(smtp, to);
    // It had less time than without forwarding: what it did not answer in that is no evidence against it.
    return asked.kind === "unavailable" && asked.reason === "timeout" ? { ...asked, where: "path" } : asked;
  }

  close(): void {
    this.#held = [];
    this.#parts.smtp?.close();
  }

  async #forward(destination: string, to: string): Promise<Delivered | Unavailable> {
    const { message, host } = this.#parts;
    try {
      // It resolves to nothing in practice, whatever its type says.
      await message.forward(destination, new Headers({ [FORWARD_MARK]: forwardMark(host, to) }));
      return {
        kind: "delivered",
        where: "path",
        reply: { code: 250, enhanced: "2.0.0", text: `Forwarded to ${destination}` },
      };
    } catch (error) {
      return notForwarded(`forward() to ${destination}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #overSmtp(smtp: Leg, to: string): Promise<Outcome | Late> {
    const recipient = await smtp.recipient(to);
    if (recipient.kind !== "delivered") return recipient;
    await smtp.data(this.#trace);
    for (const chunk of this.#held) await smtp.write(chunk);
    return smtp.finish();
  }
}

/** Forwarding has no steps: all of it is `data`. No evidence against the origin. */
function notForwarded(detail: string, reason: "timeout" | "unsupported" = "unsupported"): Unavailable {
  return { kind: "unavailable", where: "path", phase: "data", reason, detail };
}
