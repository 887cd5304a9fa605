/** A domain's failback: when it runs, what it needs, and what is told of it. */
import {
  CONNECTIONS_PER_INVOCATION,
  MAX_FAILBACK_CONNECTIONS,
  MAX_SLICE_MESSAGES,
  RUN_PAUSE,
  SLICE_TIME,
} from "../../core/limits.ts";
import { nextDelay } from "../../core/retry.ts";
import type { Env } from "../env.ts";
import { carrierOf } from "../failback/carrier.ts";
import type { Flights } from "../failback/flights.ts";
import type { FailbackPorts } from "../failback/ports.ts";
import { type Proof, prove } from "../failback/proof.ts";
import type { Ramp } from "../failback/ramp.ts";
import { runSlice, type SliceResult } from "../failback/slice.ts";
import { backlogPage, markRefused, removeDelivered } from "../store/backlog.ts";
import { hasTables, shardDb, shards } from "../store/shard.ts";
import type { Written } from "../store/states.ts";
import type { DomainFacts, FailbackRun, Route } from "./contract.ts";
import type { EventLog } from "./log.ts";
import type { DomainMachine } from "./machine.ts";
import type { DomainMemory } from "./memory.ts";
import type { World } from "./origin.ts";

export interface FailbackParts {
  readonly env: Env;
  readonly memory: DomainMemory;
  readonly machine: DomainMachine;
  readonly log: EventLog;
  readonly flights: Flights;
  readonly world: () => World;
  /** Whoever watches the mailboxes is told what was written. */
  readonly telling: (write: Promise<Written<null>>) => Promise<void>;
}

/** Registered addresses that a proof without a message asks for. */
const ASKED = 3;
/** In one slice, over all its invocations. */
const MESSAGES = (MAX_SLICE_MESSAGES * MAX_FAILBACK_CONNECTIONS) / CONNECTIONS_PER_INVOCATION;

export class DomainFailback {
  readonly #parts: FailbackParts;
  /** How many connections the run that is under way has come to. */
  #ramp: Ramp | null = null;

  constructor(parts: FailbackParts) {
    this.#parts = parts;
  }

  /** Unix milliseconds of the next slice; null where nothing is to be sent, or not in this mode. */
  dueAt(): number | null {
    const held = this.#parts.memory.held;
    if (!held?.domain.route || held.mode.mode !== "normal") return null;
    // A run without a time was cut off by a crash: it goes on at once.
    return held.failbackAt ?? held.failback.run?.startedAt ?? null;
  }

  /** One slice of the run that is under way, or of a new one. */
  async slice(): Promise<void> {
    const { memory } = this.#parts;
    const held = memory.held;
    const route = held?.domain.route;
    if (!held || !route) return;
    const startedAt = this.#parts.world().now();
    const run = held.failback.run ?? { startedAt, delivered: 0, refused: 0, deferred: 0, connections: 0 };
    // Without a time from here on: what is announced meanwhile sets a new one.
    memory.update({ failback: { ...held.failback, run }, failbackAt: null });
    const ports = this.#ports(held.domain, route, () => memory.held?.mode.mode === "normal");
    const limits = { connections: MAX_FAILBACK_CONNECTIONS, time: SLICE_TIME };
    // What was deferred before comes last: an origin that hangs up over it keeps nobody else waiting.
    const fresh = await runSlice(ports, {
      ...limits,
      messages: MESSAGES,
      perInvocation: MAX_SLICE_MESSAGES,
      deferred: "none",
      ...(this.#ramp ? { ramp: this.#ramp } : {}),
    });
    const messages = MESSAGES - fresh.delivered - fresh.refused - fresh.deferred;
    const perInvocation = MAX_SLICE_MESSAGES - fresh.here;
    const { ramp } = fresh;
    const result =
      (fresh.end === "done" || fresh.end === "partly") && messages > 0 && perInvocation > 0
        ? together(fresh, await runSlice(ports, { ...limits, messages, perInvocation, ramp, deferred: "due" }))
        : fresh;
    this.#ramp = result.end === "cut" ? result.ramp : null;
    this.#conclude(run, result);
  }

  /** What the mode machine asked for: one message, or MAIL, RCPT and RSET. */
  async prove(): Promise<Proof | null> {
    const held = this.#parts.memory.held;
    const route = held?.domain.route;
    if (!held || !route) return null;
    const ports = this.#ports(held.domain, route, () => this.#parts.memory.held?.mode.mode === "emergency");
    // The proof itself is the evidence.
    return prove({ ...ports, observe: () => undefined }, this.#witnesses(held.domain));
  }

  /** A single message met a 4xx: it goes out within 60 s, or with the run that is due before. */
  expect(now: number): void {
    this.expectBy(now + nextDelay(1, this.#parts.world().random()));
  }

  /** Something is to be looked at then, or before. @param dueAt unix milliseconds */
  expectBy(dueAt: number): void {
    const { memory } = this.#parts;
    const held = memory.held;
    if (!held) return;
    if (held.failbackAt === null || held.failbackAt > dueAt) memory.update({ failbackAt: dueAt });
  }

  #ports(domain: DomainFacts, route: Route, mayGoOn: () => boolean): FailbackPorts {
    const { env, flights, machine, log, telling } = this.#parts;
    const world = this.#parts.world();
    return {
      flights,
      mayGoOn,
      carriers: (invocation) => carrierOf(env, domain.name, route, invocation),
      shards: shards(env).map((shard) => shard.number),
      open: () => world.open(route),
      raw: (key) => world.raw(key),
      clock: () => world.now(),
      random: () => world.random(),
      backlog: async (number, after, limit) => {
        const db = shardDb(env, number);
        // A database that was bound before its tables were made has nobody's mail.
        return (await hasTables({ number, db })) ? backlogPage(db, domain.id, after, limit) : [];
      },
      removeDelivered: (shard, placements) => telling(removeDelivered(shardDb(env, shard), placements)),
      markRefused: (shard, placements, reply) => telling(markRefused(shardDb(env, shard), placements, reply)),
      observe: (recipient, outcome, began) => {
        machine.apply({ kind: "delivery", recipient, outcome, began }, world.now());
      },
      event: (event) => log.append(event, world.now()),
    };
  }

  #witnesses(domain: DomainFacts): string[] {
    const named = domain.settings.postmaster;
    const covered = this.#parts.memory
      .someAddresses(100)
      .flatMap(({ holders }) => holders)
      .filter((holder) => domain.coverage === "all" || holder.chosen)
      .map((holder) => holder.mailbox);
    return [...new Set([...(named ? [named] : []), ...covered])].slice(0, ASKED).concat(`postmaster@${domain.name}`);
  }

  #conclude(before: FailbackRun, slice: SliceResult): void {
    const { memory, world } = this.#parts;
    const held = memory.held;
    if (!held) return;
    const now = world().now();
    const run = {
      startedAt: before.startedAt,
      delivered: before.delivered + slice.delivered,
      refused: before.refused + slice.refused,
      deferred: before.deferred + slice.deferred,
      connections: before.connections + slice.connections,
    };
    if (slice.end === "cut") {
      memory.update({ failback: { ...held.failback, run }, failbackAt: now });
      return;
    }
    this.#finish(run, slice, held.failback.failures, held.failbackAt, now);
  }

  #finish(run: FailbackRun, slice: SliceResult, failures: number, planned: number | null, now: number): void {
    const { memory, log, flights, world } = this.#parts;
    const { startedAt, ...numbers } = run;
    const quiet = slice.end === "done" && run.delivered + run.refused + run.deferred === 0;
    if (!quiet) {
      const data = { ...numbers, milliseconds: now - startedAt, peak: slice.peak, end: slice.end, why: slice.why };
      log.append({ kind: "failback_run", actor: "failback", data }, now);
    }
    const failed = slice.end !== "done" && slice.end !== "stopped";
    const again = failed ? (run.delivered > 0 ? 1 : failures + 1) : 0;
    memory.update({
      failback: { run: null, failures: again },
      failbackAt: failed
        ? now + (run.delivered > 0 ? RUN_PAUSE : nextDelay(again, world().random()))
        : this.#afterwards(slice, flights.nextDue(), planned, now),
    });
  }

  /** What was deferred has a time of its own, and so has what came while the run went on. */
  #afterwards(slice: SliceResult, deferred: number | null, planned: number | null, now: number): number | null {
    if (slice.end === "stopped") return now; // counts when the mode is normal again
    const times = [deferred, planned].filter((one) => one !== null);
    return times.length > 0 ? Math.max(now, Math.min(...times)) : null;
  }
}

function together(first: SliceResult, second: SliceResult): SliceResult {
  return {
    end: second.end,
    why: second.why,
    delivered: first.delivered + second.delivered,
    refused: first.refused + second.refused,
    deferred: first.deferred + second.deferred,
    connections: first.connections + second.connections,
    peak: Math.max(first.peak, second.peak),
    last: second.last ?? first.last,
    here: first.here + second.here,
    ramp: second.ramp,
  };
}
