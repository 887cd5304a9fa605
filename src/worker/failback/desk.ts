/** Where a slice of a run is decided and remembered: what goes out next, over which connection, and what came of it. */
import { CONNECTIONS_PER_INVOCATION, MAX_SLICE_MESSAGES } from "../../core/limits.ts";
import { nextDelay } from "../../core/retry.ts";
import { Course } from "./course.ts";
import { isDue } from "./due.ts";
import type { Assignment, Desk, Orders, Report } from "./exchange.ts";
import { BacklogFeed } from "./feed.ts";
import type { FailbackPorts, Flight } from "./ports.ts";
import { Settlement } from "./settle.ts";
import type { SliceOptions } from "./slice.ts";

interface Claim {
  readonly flight: Flight;
  readonly slot: number;
  /** How often it was deferred before. */
  readonly attempts: number;
}

export class SliceDesk implements Desk {
  readonly #ports: FailbackPorts;
  readonly #options: SliceOptions;
  readonly #feed: BacklogFeed;
  readonly #settlement: Settlement;
  readonly #course: Course;
  /** Told after each exchange: more connections may be allowed. */
  readonly #changed: () => void;
  readonly #claims = new Map<string, Claim>();
  /** What was looked at for a connection, and not claimed yet. */
  readonly #reserved = new Map<number, Flight>();
  /** Messages claimed, by connection and by invocation. */
  readonly #taken = { slot: new Map<number, number>(), invocation: new Map<number, number>() };
  readonly #began: number;
  /** Messages under way or tried. */
  #begun = 0;
  /** Messages whose turn came, but whose octets are missing or that a person took away. */
  #passed = 0;

  constructor(ports: FailbackPorts, options: SliceOptions, changed: () => void) {
    this.#ports = ports;
    this.#options = options;
    this.#changed = changed;
    this.#settlement = new Settlement(ports);
    this.#feed = new BacklogFeed(ports, (flight) => isDue(flight, ports, options.deferred, this.#settlement));
    this.#course = new Course(ports, options.connections, options.ramp);
    this.#began = ports.clock();
  }

  async exchange(slot: number, reports: readonly Report[], more: boolean): Promise<Orders> {
    this.take(slot, reports);
    await this.#settlement.step();
    if (this.#settlement.failure) this.#course.stop("storage", String(this.#settlement.failure));
    const flight = more ? await this.#claim(slot) : null;
    this.#changed();
    const hint = this.#reserved.get(slot);
    return {
      claimed: flight && assignmentOf(flight),
      hint: hint ? { object: hint.object, size: hint.size } : null,
      stop: this.#course.end !== null,
    };
  }

  /** Reports alone, in one turn. What was reported before, and what was never claimed here, is passed over. */
  take(slot: number, reports: readonly Report[]): void {
    for (const report of reports) this.#record(slot, report);
  }

  /** A connection is gone. What it held and did not report was not sent: it goes back. */
  left(slot: number): void {
    this.#course.closed(slot);
    this.#putBack(slot);
    for (const [key, claim] of this.#claims) if (claim.slot === slot) this.#return(key, claim);
  }

  /** A connection of which nobody knows anything any more: what it holds stays claimed until its lease ends. */
  lost(slot: number): void {
    this.#course.closed(slot);
    this.#putBack(slot);
    for (const [key, claim] of this.#claims) if (claim.slot === slot) this.#claims.delete(key);
  }

  /** How many messages this connection has claimed. */
  claimedBy(slot: number): number {
    return this.#taken.slot.get(slot) ?? 0;
  }

  /** How many connections may be open. */
  get allowed(): number {
    return this.#course.allowed;
  }

  /** Whether there may be something for this connection. */
  goesOn(slot: number): boolean {
    return this.#mayClaim(slot) && !this.#feed.ended;
  }

  #mayClaim(slot: number): boolean {
    if (!this.#course.end && !this.#ports.mayGoOn()) this.#course.stop("stopped", "the mode changed");
    if (this.#course.end || slot >= this.#course.allowed) return false;
    if (this.#begun >= this.#options.messages || this.#passed >= MAX_SLICE_MESSAGES) return false;
    if ((this.#taken.invocation.get(invocationOf(slot)) ?? 0) >= this.#options.perInvocation) return false;
    return this.#ports.clock() - this.#began < this.#options.time;
  }

  /** After the last connection. */
  async conclude() {
    await this.#settlement.flush();
    if (this.#settlement.failure) this.#course.stop("storage", String(this.#settlement.failure));
    const unread = this.#feed.ended ? this.#feed.failure : null;
    if (unread) this.#course.stop(unread.all ? "storage" : "partly", String(unread.error));
    const end = this.#course.end ?? (this.#feed.ended ? "done" : "cut");
    // One that passes over what was deferred has not met it: it still waits, with its count of tries.
    if (end === "done" && this.#options.deferred !== "none") this.#ports.flights.sweep(this.#began);
    const here = this.#taken.invocation.get(0) ?? 0;
    return { ...this.#course.result, end, here };
  }

  async #claim(slot: number): Promise<Flight | null> {
    const { flights, clock } = this.#ports;
    try {
      while (this.#mayClaim(slot)) {
        const flight = this.#takeReserved(slot) ?? (await this.#feed.take());
        if (!flight) return null;
        // Reading takes a while.
        if (!this.#mayClaim(slot)) {
          this.#feed.putBack(flight);
          return null;
        }
        const attempts = flights.claim(flight.key, slot, clock(), flight.readAt, this.#options.deferred === "all");
        if (attempts === null) {
          this.#passed++; // withdrawn meanwhile
          continue;
        }
        this.#begun++;
        count(this.#taken.slot, slot);
        count(this.#taken.invocation, invocationOf(slot));
        this.#claims.set(flight.key, { flight, slot, attempts });
        this.#reserve(slot);
        return flight;
      }
    } catch (error) {
      this.#course.stop("storage", String(error)); // the backlog could not be read
    }
    return null;
  }

  #reserve(slot: number): void {
    if (this.#begun >= this.#options.messages) return;
    const next = this.#feed.takeNow();
    if (next) this.#reserved.set(slot, next);
  }

  #takeReserved(slot: number): Flight | null {
    const flight = this.#reserved.get(slot) ?? null;
    this.#reserved.delete(slot);
    return flight;
  }

  #putBack(slot: number): void {
    const flight = this.#takeReserved(slot);
    if (flight) this.#feed.putBack(flight);
  }

  #record(slot: number, report: Report): void {
    if (report.kind === "connected") this.#course.connected(slot);
    else if (report.kind === "not_connected") this.#course.notConnected(slot, report.outcome, report.took);
    else {
      const claim = this.#claims.get(report.key);
      if (claim?.slot === slot) this.#concerning(claim, report);
    }
  }

  #concerning(claim: Claim, report: Exclude<Report, { kind: "connected" | "not_connected" }>): void {
    const { flight, attempts } = claim;
    switch (report.kind) {
      case "returned":
        this.#return(report.key, claim);
        break;
      case "sent":
        this.#claims.delete(report.key);
        this.#sent(claim, report);
        break;
      case "broken":
        this.#pass(report.key);
        this.#pause(flight, attempts, 0);
        this.#course.stop("storage", report.error);
        break;
      case "missing":
        this.#pass(report.key);
        // It stays in the backlog and is counted there, so that it is not lost from sight too.
        if (attempts === 0) this.#tell(flight, "message_missing", {});
        this.#pause(flight, attempts + 1);
        this.#course.deferred();
    }
  }

  #sent({ flight, attempts }: Claim, { outcome, took, lineEndsChanged }: Extract<Report, { kind: "sent" }>): void {
    const { flights, clock } = this.#ports;
    if (lineEndsChanged && outcome.kind !== "unavailable") this.#tell(flight, "line_ends_changed", {});
    this.#course.answered(flight.meta.envelope.to, outcome, attempts, took);
    switch (outcome.kind) {
      case "delivered":
        flights.delivered(flight.key, clock());
        this.#settlement.delivered(flight);
        break;
      case "refused": {
        const reply = JSON.stringify(outcome.reply);
        flights.refused(flight.key, reply, clock());
        this.#settlement.refused(flight, reply);
        break;
      }
      case "unavailable":
        // What fails on our own way is no reason for the message to wait longer.
        if (outcome.where === "path") this.#pause(flight, attempts, 0);
        else this.#pause(flight, attempts + 1);
    }
  }

  /** As if it had never been claimed; another connection may have it. */
  #return(key: string, { flight, attempts }: Claim): void {
    this.#claims.delete(key);
    this.#begun--;
    this.#ports.flights.giveBack(key, attempts, this.#ports.clock());
    this.#feed.putBack(flight);
  }

  /** Another one takes its place. */
  #pass(key: string): void {
    this.#claims.delete(key);
    this.#begun--;
    this.#passed++;
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

/** No more than its sending needs: it goes from one invocation to another. */
function assignmentOf({ key, object, size, meta: { receipt, envelope } }: Flight): Assignment {
  return { key, object, size, meta: { receipt, envelope } };
}

function count(counts: Map<number, number>, what: number): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

/** 0: that of the domain's object. */
export function invocationOf(slot: number): number {
  return Math.floor(slot / CONNECTIONS_PER_INVOCATION);
}
