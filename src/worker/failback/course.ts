/** How a slice of a run goes: what the origin's answers mean for it, how many connections it may have, and what ends it. */
import { GOOD_NEWS_AGAIN, MAX_DEFERRALS_IN_A_ROW } from "../../core/limits.ts";
import { describeOutcome, type Outcome, type Unavailable } from "../../core/outcome.ts";
import type { FailbackPorts } from "./ports.ts";
import { answeredBadly, answeredWell, fullAt, type Ramp, startRamp } from "./ramp.ts";
import type { SliceEnd } from "./slice.ts";

export class Course {
  readonly #ports: Pick<FailbackPorts, "clock" | "observe">;
  readonly #open = new Set<number>();
  /** Recipients of the deferrals since the last good answer. */
  readonly #inARow = new Set<string>();
  #ramp: Ramp;
  #end: SliceEnd | null = null;
  #why = "";
  #counts = { delivered: 0, refused: 0, deferred: 0, connections: 0, peak: 0 };
  #last: Outcome | null = null;
  /** Until then another delivery is no evidence of its own. */
  #goodUntil = 0;

  /** @param ramp of the slice before in the same run */
  constructor(ports: Pick<FailbackPorts, "clock" | "observe">, connections: number, ramp?: Ramp) {
    this.#ports = ports;
    this.#ramp = ramp ?? startRamp(connections);
  }

  /** Null: it goes on. */
  get end(): SliceEnd | null {
    return this.#end;
  }

  /** How many connections may be open. */
  get allowed(): number {
    return this.#ramp.allowed;
  }

  get result() {
    return { why: this.#why, last: this.#last, ramp: this.#ramp, ...this.#counts };
  }

  /** The first reason counts. @param why in words */
  stop(end: SliceEnd, why: string): void {
    if (this.#end) return;
    this.#end = end;
    this.#why = why;
  }

  connected(slot: number): void {
    this.#open.add(slot);
    this.#counts.connections++;
    this.#counts.peak = Math.max(this.#counts.peak, this.#open.size);
  }

  closed(slot: number): void {
    this.#open.delete(slot);
  }

  /** @param took milliseconds */
  notConnected(slot: number, outcome: Outcome, took: number): void {
    this.#open.delete(slot);
    if (this.#open.size > 0) {
      this.#ramp = fullAt(this.#ramp, this.#open.size); // others are talking to it: it only takes no more of us
      return;
    }
    this.#last = outcome;
    this.#ports.observe("", outcome, this.#ports.clock() - took);
    this.stop("unavailable", describeOutcome(outcome));
  }

  /**
   * What became of a message.
   * @param recipient of the envelope @param attempts how often it was deferred before @param took milliseconds
   */
  answered(recipient: string, outcome: Outcome, attempts: number, took: number): void {
    this.#last = outcome;
    // A message that was deferred before says nothing new about the origin when it is deferred again.
    if (attempts === 0 || outcome.kind !== "unavailable" || endsRun(outcome)) this.#observe(recipient, outcome, took);
    if (outcome.kind === "unavailable") this.#unavailable(recipient, outcome);
    else {
      this.#counts[outcome.kind]++;
      this.#inARow.clear();
      this.#ramp = answeredWell(this.#ramp);
    }
  }

  /** A message waits on, whoever the reason is. */
  deferred(): void {
    this.#counts.deferred++;
  }

  /** One good answer after the other is no news. */
  #observe(recipient: string, outcome: Outcome, took: number): void {
    const now = this.#ports.clock();
    if (outcome.kind === "delivered") {
      if (this.#goodUntil > now) return;
      this.#goodUntil = now + GOOD_NEWS_AGAIN;
    } else {
      this.#goodUntil = 0;
    }
    this.#ports.observe(recipient, outcome, now - took);
  }

  #unavailable(recipient: string, outcome: Unavailable): void {
    if (outcome.where !== "path") this.deferred();
    if (outcome.where === "path" || endsRun(outcome)) {
      this.stop("unavailable", describeOutcome(outcome));
      return;
    }
    this.#ramp = answeredBadly(this.#ramp);
    this.#inARow.add(recipient);
    if (this.#inARow.size >= MAX_DEFERRALS_IN_A_ROW) this.stop("deferrals", describeOutcome(outcome));
  }
}

/** No connection, a timeout, a connection lost, 421: the server, not the message. An extension that is missing is the message. */
function endsRun(outcome: Unavailable): boolean {
  if (outcome.reason === "unsupported") return false;
  if (outcome.reason !== "reply") return true;
  return outcome.reply?.code === 421 || !["mail", "rcpt", "data", "final"].includes(outcome.phase);
}
