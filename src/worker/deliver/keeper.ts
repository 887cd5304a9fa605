/**
 * An object that has the connection to an origin in a Worker's stead, for one message: `email()` ends some 30 s after its reply,
 * and the origin's reply to the final dot may take minutes. A connection keeps an object alive for up to 15 minutes. Each message
 * has its own: the connections and octets of slow mail must not weigh on the domain's object. It stores nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { KEEPER_IDLE } from "../../core/limits.ts";
import type { Outcome, Refused, Unavailable } from "../../core/outcome.ts";
import type { Route } from "../domain/contract.ts";
import { tellFinal } from "../domain/tell-final.ts";
import type { Env } from "../env.ts";
import { openSecret } from "../identity/secret.ts";
import { openRoute } from "./origin.ts";
import { isOpen, isWriter, type MailParameters, type MessageWriter, type OriginSession } from "./session.ts";

/** What a step came to, and whether the connection can still be used. */
export interface Step<T> {
  readonly value: T;
  readonly usable: boolean;
}

export interface KeptOpening {
  readonly extensions: readonly (readonly [string, string])[];
  readonly greeting: Outcome & { kind: "delivered" };
}

/** Whose message it is, for the domain's object to know what the late reply means. */
export interface Keeping {
  readonly domain: string;
  /** See `LateFinal`. */
  readonly keys: readonly string[];
  readonly at: number;
}

/** The steps of one SMTP transaction, one after the other. None of them throws but for a defect. */
export interface KeeperRpc {
  open(route: Route): Promise<KeptOpening | Unavailable>;
  mail(parameters: MailParameters): Promise<Step<Outcome>>;
  rcpt(to: string): Promise<Step<Outcome>>;
  /** null: 354. */
  data(): Promise<Step<Refused | Unavailable | null>>;
  write(chunk: Uint8Array): Promise<Step<Refused | Unavailable | null>>;
  finish(timeout: number): Promise<Step<Outcome>>;
  /** The caller leaves: the wait for the final reply, and to tell of it, is the keeper's. @returns false where none is under way */
  keep(keeping: Keeping): Promise<boolean>;
  /** Hangs up, unless it keeps. */
  close(): Promise<void>;
}

export class OriginKeeper extends DurableObject<Env> implements KeeperRpc {
  #session: OriginSession | null = null;
  #writer: MessageWriter | null = null;
  #outcome: Promise<Outcome> | null = null;
  #kept = false;
  #idle: ReturnType<typeof setTimeout> | null = null;

  async open(route: Route): Promise<KeptOpening | Unavailable> {
    const secret = (encrypted: string, keyId: string) => openSecret(this.env, encrypted, keyId);
    const opened = await openRoute(route, secret, { helo: this.env.HOSTNAME, relay: this.env });
    if (!isOpen(opened)) return opened;
    this.#session = opened.session;
    this.#stir();
    return { extensions: [...opened.session.extensions], greeting: opened.greeting };
  }

  mail(parameters: MailParameters): Promise<Step<Outcome>> {
    return this.#step("mail", (session) => session.mail(parameters));
  }

  rcpt(to: string): Promise<Step<Outcome>> {
    return this.#step("rcpt", (session) => session.rcpt(to));
  }

  data(): Promise<Step<Refused | Unavailable | null>> {
    return this.#step("data", async (session) => {
      const writer = await session.data();
      if (!isWriter(writer)) return writer;
      this.#writer = writer;
      return null;
    });
  }

  write(chunk: Uint8Array): Promise<Step<Refused | Unavailable | null>> {
    return this.#step("data", async () => this.#writer?.write(chunk) ?? gone("data"));
  }

  finish(timeout: number): Promise<Step<Outcome>> {
    return this.#step("final", async () => {
      const writer = this.#writer;
      this.#writer = null;
      if (!writer) return gone("final");
      this.#outcome = writer.finish(timeout);
      return this.#outcome;
    });
  }

  async keep({ domain, keys, at }: Keeping): Promise<boolean> {
    const pending = this.#outcome;
    if (!pending) return false;
    this.#kept = true;
    this.ctx.waitUntil(
      pending.then(async (outcome) => {
        this.#session?.close();
        await tellFinal(this.env, domain, { keys, at, outcome });
      }),
    );
    return true;
  }

  async close(): Promise<void> {
    if (!this.#kept) this.#leave();
  }

  async #step<T>(phase: Unavailable["phase"], step: (session: OriginSession) => Promise<T>): Promise<Step<T>> {
    const session = this.#session;
    if (!session) return { value: gone(phase) as T, usable: false };
    clearTimeout(this.#idle);
    const value = await step(session);
    this.#stir();
    return { value, usable: session.usable };
  }

  /** A Worker that ended without a word leaves no connection behind. */
  #stir(): void {
    clearTimeout(this.#idle);
    if (this.#kept) return;
    this.#idle = setTimeout(() => void this.close(), KEEPER_IDLE);
  }

  #leave(): void {
    clearTimeout(this.#idle);
    this.#writer?.abort();
    this.#writer = null;
    this.#session?.close();
    // Whoever comes later hears that it was us who left, not the origin.
    this.#session = null;
  }
}

/** The object was made anew meanwhile: ours, no evidence against the origin. */
function gone(phase: Unavailable["phase"]): Unavailable {
  return {
    kind: "unavailable",
    where: "path",
    phase,
    reason: "dropped",
    detail: "the connection was lost by its keeper",
  };
}
