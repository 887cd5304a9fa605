/** The part of a transaction that the origin takes: one connection, asked while the sender waits. */
import { describeOutcome, type Outcome, type Refused, type Unavailable } from "../../core/outcome.ts";
import type { Keeper, KeptOpenedSession } from "../deliver/kept-session.ts";
import { isWriter, type MailParameters, type MessageWriter, type OriginSession } from "../deliver/session.ts";
import type { Budget } from "./budget.ts";
import type { Patience } from "./patience.ts";

/** The final dot is with the origin, and the sender's budget is over: the connection stays open for the reply. */
export interface Late {
  readonly kind: "late";
  /** What the origin says in the end; at the limit of the wait `unavailable`. Never rejects. */
  readonly outcome: Promise<Outcome>;
  /** Who can go on waiting in our stead. */
  readonly keeper: Keeper | null;
  /** Gives the reply up: `outcome` resolves soon. */
  leave(): void;
}

export class OriginLeg {
  readonly #open: () => Promise<KeptOpenedSession>;
  readonly #parameters: MailParameters;
  readonly #budget: Budget;
  readonly #patience: Pick<Patience, "background" | "stale">;
  /** Recipients that the origin has taken. */
  readonly #taken: string[] = [];
  /** When the origin last answered, unix milliseconds. */
  #heard = 0;
  #session: OriginSession | null = null;
  #keeper: Keeper | null = null;
  /** What ended the leg before or at MAIL: it holds for every recipient. */
  #ended: Outcome | null = null;
  #writer: MessageWriter | null = null;
  #abandoned = false;
  #lineEndsChanged = false;

  constructor(
    open: () => Promise<KeptOpenedSession>,
    parameters: MailParameters,
    budget: Budget,
    patience: Pick<Patience, "background" | "stale">,
  ) {
    this.#open = open;
    this.#parameters = parameters;
    this.#budget = budget;
    this.#patience = patience;
  }

  /** Whether a message can still go to the recipients that were accepted. */
  get usable(): boolean {
    return this.#session?.usable === true && this.#ended === null;
  }

  get lineEndsChanged(): boolean {
    return this.#lineEndsChanged;
  }

  /** MAIL before the first, then RCPT. `delivered` is a 250. */
  async recipient(to: string): Promise<Outcome> {
    if (this.#ended) return this.#ended;
    if (!this.#session) {
      const failed = await this.#begin();
      if (failed) return failed;
    }
    const paused = this.#hasPaused();
    let outcome = await this.#step("rcpt", (session) => session.rcpt(to));
    if (paused && this.#wasLeft(outcome)) {
      const failed = await this.#anew();
      if (failed) return failed;
      outcome = await this.#step("rcpt", (session) => session.rcpt(to));
    }
    if (!this.#session?.usable && outcome.kind === "unavailable") this.#ended = outcome;
    if (outcome.kind === "delivered") this.#taken.push(to);
    return outcome;
  }

  #hasPaused(): boolean {
    return Date.now() - this.#heard >= this.#patience.stale;
  }

  /** The conversation broke, and not for want of our own time. */
  #wasLeft(outcome: Outcome): boolean {
    return outcome.kind === "unavailable" && !this.#ended && this.#session?.usable === false;
  }

  /**
   * The origin has hung up while the sender paused. It may: that says nothing about how it is, and must not lose the message of
   * a slow sender. @returns what is the matter where it does not take the same recipients once more
   */
  async #anew(): Promise<Outcome | null> {
    this.#session?.close();
    this.#session = null;
    const failed = await this.#begin();
    if (failed) return failed;
    for (const to of this.#taken) {
      const outcome = await this.#step("rcpt", (session) => session.rcpt(to));
      if (outcome.kind === "delivered") continue;
      // Of several, the others were told that they were taken: none of them may be refused for this one.
      this.#ended = this.#taken.length === 1 ? outcome : othersNow(outcome);
      this.close();
      return this.#ended;
    }
    return null;
  }

  async #begin(): Promise<Outcome | null> {
    const opened = await this.#budget.spend(
      async () => {
        const opened = await this.#open();
        // It may come after the budget: nobody would close it then.
        if (this.#abandoned && "session" in opened) opened.session.close();
        return opened;
      },
      (): KeptOpenedSession => this.#late("connect"),
    );
    if (!("session" in opened)) {
      this.#ended = opened;
      return opened;
    }
    this.#session = opened.session;
    this.#keeper = opened.keeper ?? null;
    const mail = await this.#step("mail", (session) => session.mail(this.#parameters));
    if (mail.kind === "delivered") return null;
    this.#ended = mail;
    this.close();
    return mail;
  }

  /** DATA and the trace headers. What fails here is what `finish` says. */
  async data(trace: Uint8Array): Promise<void> {
    const session = this.#session;
    if (this.#ended) return;
    if (!session) return this.#end({ kind: "unavailable", where: "origin", phase: "data", reason: "dropped" });
    const paused = this.#hasPaused();
    let writer = await this.#data(session);
    if (paused && !isWriter(writer) && this.#wasLeft(writer)) {
      if (await this.#anew()) return;
      if (this.#session) writer = await this.#data(this.#session);
    }
    if (!isWriter(writer)) return this.#end(writer);
    this.#writer = writer;
    await this.write(trace);
  }

  #data(session: OriginSession): Promise<MessageWriter | Refused | Unavailable> {
    return this.#budget.spend<MessageWriter | Refused | Unavailable>(
      () => session.data(),
      () => this.#late("data"),
    );
  }

  /** Once the leg has ended, chunks are dropped. */
  async write(chunk: Uint8Array): Promise<void> {
    const writer = this.#writer;
    if (!writer) return;
    const failed = await this.#budget.spend(
      () => writer.write(chunk),
      () => this.#late("data"),
    );
    if (failed) this.#end(failed);
  }

  /**
   * The final dot and its reply; or what ended the leg before. Where only the reply is outstanding as the budget ends, it is not
   * given up: the origin has the whole message, and giving up makes a duplicate (RFC 5321 §4.5.3.2.6).
   */
  async finish(): Promise<Outcome | Late> {
    const writer = this.#writer;
    const session = this.#session;
    if (!writer || !session) return this.#ended ?? this.#late("final");
    if (this.#budget.left === 0) {
      this.close();
      return this.#late("final");
    }
    // From here on the connection is the wait's: to close the leg does not end it.
    this.#writer = null;
    this.#session = null;
    const outcome = writer.finish(this.#patience.background).finally(() => session.close());
    this.#lineEndsChanged = writer.lineEndsChanged;
    return this.#budget.spend<Outcome | Late>(
      () => outcome,
      () => ({ kind: "late", outcome, keeper: this.#keeper, leave: () => session.close() }),
    );
  }

  /** Leaves without the final dot where a message is under way, else with QUIT. Idempotent. */
  close(): void {
    this.#abandoned = true;
    this.#writer?.abort();
    this.#writer = null;
    this.#session?.close();
    this.#session = null;
  }

  #end(outcome: Refused | Unavailable): void {
    this.#ended = outcome;
    this.close();
  }

  async #step(phase: "mail" | "rcpt", step: (session: OriginSession) => Promise<Outcome>): Promise<Outcome> {
    const session = this.#session;
    if (!session) return { kind: "unavailable", where: "origin", phase, reason: "dropped" };
    const outcome = await this.#budget.spend(
      () => step(session),
      (): Outcome => {
        const late = this.#late(phase);
        this.#ended = late;
        this.close();
        return late;
      },
    );
    this.#heard = Date.now();
    return outcome;
  }

  #late(phase: Unavailable["phase"]): Unavailable {
    this.#abandoned = true;
    return {
      kind: "unavailable",
      where: "origin",
      phase,
      reason: "timeout",
      detail: "the sender could not wait longer",
    };
  }
}

/** No evidence: it takes mail, but not all of the same recipients. Each of them may come again. */
function othersNow(outcome: Outcome): Unavailable {
  const detail = `after a pause not the same recipients were taken: ${describeOutcome(outcome)}`;
  return { kind: "unavailable", where: "path", phase: "rcpt", reason: "unsupported", detail };
}
