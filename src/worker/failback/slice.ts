/** A slice of a failback run: everything that waits, oldest first, over a few connections, until something ends it. */
import { FLIGHT_LEASE, MAX_DEFERRALS_IN_A_ROW, MAX_SLICE_MESSAGES } from "../../core/limits.ts";
import { describeOutcome, type Outcome, type Refused, type Unavailable } from "../../core/outcome.ts";
import { nextDelay } from "../../core/retry.ts";
import { isOpen, type OriginSession } from "../deliver/session.ts";
import { BacklogFeed } from "./feed.ts";
import { Octets, type Source } from "./octets.ts";
import type { FailbackPorts, Flight } from "./ports.ts";
import { answeredBadly, answeredWell, fullAt, type Ramp, startRamp } from "./ramp.ts";
import { type Broken, type Sent, send } from "./send.ts";
import { Settlement } from "./settle.ts";

/**
 * `done`: the whole backlog was read. `cut`: the slice was full, go on. `stopped`: the mode changed. `unavailable`: no
 * connection, a timeout or 421. `deferrals`: five in a row, of different recipients. `storage`: D1 or R2 did not answer.
 */
export type SliceEnd = "done" | "cut" | "stopped" | "unavailable" | "deferrals" | "storage";

export interface SliceResult {
  readonly end: SliceEnd;
  /** In words, for the event. */
  readonly why: string;
  readonly delivered: number;
  readonly refused: number;
  readonly deferred: number;
  /** Connections opened. */
  readonly connections: number;
  /** At the same time, at the most. */
  readonly peak: number;
  /** What became of the last message that was tried, or of the last connection. */
  readonly last: Outcome | null;
}

export interface SliceOptions {
  /** That are tried, at most. */
  readonly messages: number;
  readonly connections: number;
  /** Milliseconds after which no further message is begun. */
  readonly time: number;
  /** Of messages that were deferred before: those whose pause is over, none, or all. */
  readonly deferred: "due" | "none" | "all";
}

/** Never rejects. */
export function runSlice(ports: FailbackPorts, options: SliceOptions): Promise<SliceResult> {
  return new Slice(ports, options).run();
}

class Slice {
  readonly #ports: FailbackPorts;
  readonly #options: SliceOptions;
  readonly #feed: BacklogFeed;
  readonly #settlement: Settlement;
  readonly #stored: Octets;
  readonly #lanes = new Map<number, Promise<void>>();
  /** Recipients of the deferrals since the last good answer. */
  readonly #inARow = new Set<string>();
  #ramp: Ramp;
  #began = 0;
  /** Messages under way or tried. */
  #begun = 0;
  /** Messages whose turn came, but whose octets are missing or that a person took away. */
  #passed = 0;
  #open = 0;
  #end: SliceEnd | null = null;
  #why = "";
  #counts = { delivered: 0, refused: 0, deferred: 0, connections: 0, peak: 0 };
  #last: Outcome | null = null;

  constructor(ports: FailbackPorts, options: SliceOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#settlement = new Settlement(ports);
    this.#stored = new Octets((key) => ports.raw(key));
    this.#feed = new BacklogFeed(ports, (flight) => this.#wanted(flight));
    this.#ramp = startRamp(options.connections);
  }

  async run(): Promise<SliceResult> {
    this.#began = this.#ports.clock();
    this.#widen();
    while (this.#lanes.size > 0) await Promise.race(this.#lanes.values());
    await this.#settlement.flush();
    if (this.#settlement.failure) this.#stop("storage", String(this.#settlement.failure));
    const end = this.#end ?? (this.#feed.ended ? "done" : "cut");
    // One that passes over what was deferred has not met it: it still waits, with its count of tries.
    if (end === "done" && this.#options.deferred !== "none") this.#ports.flights.sweep(this.#began);
    return { end, why: this.#why, last: this.#last, ...this.#counts };
  }

  /** What is settled already goes to D1, what pauses or was withdrawn is passed over. */
  #wanted(flight: Flight): boolean {
    const known = this.#ports.flights.get(flight.key);
    switch (known?.state) {
      case "delivered":
        this.#settlement.delivered(flight);
        return false;
      case "refused":
        this.#settlement.refused(flight, known.reply ?? "null");
        return false;
      case "deferred":
        if (this.#options.deferred === "all") return true;
        // One that a crash interrupted has not been deferred by anybody: it keeps its place.
        if (this.#options.deferred === "none" && known.attempts > 0) return false;
        return known.dueAt <= this.#ports.clock();
      case "awaiting":
        return known.dueAt <= this.#ports.clock();
      case "withdrawn":
        return known.dueAt < flight.readAt;
      case "sending":
        return known.at < this.#ports.clock() - FLIGHT_LEASE;
      case undefined:
        break;
    }
    // An index that was set back to an earlier time shows it once more.
    if (!this.#ports.flights.fates.isDelivered(flight.key)) return true;
    this.#settlement.delivered(flight);
    return false;
  }

  /** Starts as many lanes as the ramp allows. */
  #widen(): void {
    for (let slot = 0; slot < this.#ramp.allowed; slot++) {
      if (this.#lanes.has(slot) || !this.#goesOn(slot)) continue;
      const lane = this.#lane(slot).finally(() => this.#lanes.delete(slot));
      this.#lanes.set(slot, lane);
    }
  }

  #goesOn(slot: number): boolean {
    if (!this.#end && !this.#ports.mayGoOn()) this.#stop("stopped", "the mode changed");
    if (this.#end || slot >= this.#ramp.allowed) return false;
    if (this.#begun >= this.#options.messages || this.#passed >= MAX_SLICE_MESSAGES) return false;
    return this.#ports.clock() - this.#began < this.#options.time;
  }

  #stop(end: SliceEnd, why: string): void {
    if (this.#end) return;
    this.#end = end;
    this.#why = why;
  }

  /** One connection after the other, many messages over each. */
  async #lane(slot: number): Promise<void> {
    let session: OriginSession | null = null;
    try {
      while (this.#goesOn(slot) && (await this.#feed.ready())) {
        if (session && !session.usable) {
          this.#close(session);
          session = null;
        }
        session ??= await this.#connect();
        if (!session || !this.#goesOn(slot)) break;
        const flight = await this.#feed.take();
        if (!flight) break;
        await this.#carry(flight, slot, session);
        await this.#settlement.step();
        if (this.#settlement.failure) this.#stop("storage", String(this.#settlement.failure));
        this.#widen();
      }
    } catch (error) {
      this.#stop("storage", String(error)); // the backlog could not be read
    } finally {
      if (session) this.#close(session);
    }
  }

  #close(session: OriginSession): void {
    this.#open--;
    session.close();
  }

  async #connect(): Promise<OriginSession | null> {
    const began = this.#ports.clock();
    const opened = await this.#ports.open();
    if (isOpen(opened)) {
      this.#open++;
      this.#counts.connections++;
      this.#counts.peak = Math.max(this.#counts.peak, this.#open);
      return opened.session;
    }
    if (this.#open > 0) {
      this.#ramp = fullAt(this.#ramp, this.#open); // others are talking to it: it only takes no more of us
      return null;
    }
    this.#last = opened;
    this.#ports.observe("", opened, began);
    this.#stop("unavailable", describeOutcome(opened));
    return null;
  }

  async #carry(flight: Flight, slot: number, session: OriginSession): Promise<void> {
    const { flights, clock } = this.#ports;
    this.#begun++;
    const began = clock();
    const attempts = flights.claim(flight.key, slot, began, flight.readAt, this.#options.deferred === "all");
    if (attempts === null) return this.#pass(); // withdrawn meanwhile
    const source = await this.#octets(flight, attempts);
    if (!source) return this.#pass();
    const { outcome, lineEndsChanged } = await this.#send(session, flight, source);
    if (outcome.kind === "broken") return this.#broken(flight, attempts, outcome);
    if (lineEndsChanged && outcome.kind !== "unavailable") this.#tell(flight, "line_ends_changed", {});
    this.#last = outcome;
    // A message that was deferred before says nothing new about the origin when it is deferred again.
    if (attempts === 0 || outcome.kind !== "unavailable" || endsRun(outcome)) {
      this.#ports.observe(flight.meta.envelope.to, outcome, began);
    }
    switch (outcome.kind) {
      case "delivered":
        flights.delivered(flight.key, clock());
        this.#settlement.delivered(flight);
        this.#counts.delivered++;
        return this.#well();
      case "refused":
        return this.#refused(flight, outcome);
      case "unavailable":
        return this.#unavailable(flight, attempts, outcome);
    }
  }

  /** Another one takes its place. */
  #pass(): void {
    this.#begun--;
    this.#passed++;
  }

  async #send(session: OriginSession, flight: Flight, source: Source): Promise<Sent> {
    try {
      return await send(session, flight, source);
    } finally {
      source.close();
    }
  }

  /** @returns null where they cannot be had: then the message waits on */
  async #octets(flight: Flight, attempts: number): Promise<Source | null> {
    try {
      const source = await this.#stored.open(flight.object);
      if (source) return source;
    } catch (error) {
      this.#broken(flight, attempts, { kind: "broken", error });
      return null;
    }
    // It stays in the backlog and is counted there, so that it is not lost from sight too.
    if (attempts === 0) this.#tell(flight, "message_missing", {});
    this.#pause(flight, attempts + 1);
    this.#counts.deferred++;
    return null;
  }

  #well(): void {
    this.#inARow.clear();
    this.#ramp = answeredWell(this.#ramp);
  }

  #refused(flight: Flight, outcome: Refused): void {
    const reply = JSON.stringify(outcome.reply);
    this.#ports.flights.refused(flight.key, reply, this.#ports.clock());
    this.#settlement.refused(flight, reply);
    this.#counts.refused++;
    this.#well();
  }

  #unavailable(flight: Flight, attempts: number, outcome: Unavailable): void {
    if (outcome.where === "path") {
      this.#pause(flight, attempts, 0);
      this.#stop("unavailable", describeOutcome(outcome));
      return;
    }
    this.#pause(flight, attempts + 1);
    this.#counts.deferred++;
    if (endsRun(outcome)) {
      this.#stop("unavailable", describeOutcome(outcome));
      return;
    }
    this.#ramp = answeredBadly(this.#ramp);
    this.#inARow.add(flight.meta.envelope.to);
    if (this.#inARow.size >= MAX_DEFERRALS_IN_A_ROW) this.#stop("deferrals", describeOutcome(outcome));
  }

  #broken(flight: Flight, attempts: number, { error }: Broken): void {
    this.#pause(flight, attempts, 0);
    this.#stop("storage", String(error));
  }

  #pause(flight: Flight, attempts: number, pause = nextDelay(attempts, this.#ports.random())): void {
    const now = this.#ports.clock();
    this.#ports.flights.deferred(flight.key, attempts, now + pause, now);
  }

  #tell(flight: Flight, kind: string, data: Readonly<Record<string, unknown>>): void {
    const { meta, object } = flight;
    this.#ports.event({ kind, actor: "failback", data: { ...data, message: meta.receipt.id, key: object } });
  }
}

/** No connection, a timeout, a connection lost, 421: the server, not the message. An extension that is missing is the message. */
export function endsRun(outcome: Unavailable): boolean {
  if (outcome.reason === "unsupported") return false;
  if (outcome.reason !== "reply") return true;
  return outcome.reply?.code === 421 || !["mail", "rcpt", "data", "final"].includes(outcome.phase);
}
