/**
 * Further invocations of a failback run, as Durable Objects of the domain's own: each has six connections and its own limits,
 * and as there is only one of a name, the domain's object can always ask it what became of its messages. It remembers nothing
 * beyond its connections.
 */
import { DurableObject, RpcTarget } from "cloudflare:workers";
import {
  CARRY_TIMEOUT,
  CONNECTIONS_PER_INVOCATION,
  READS_AT_ONCE,
  RECALL_PATIENCE,
  RECALL_TIMEOUT,
} from "../../core/limits.ts";
import type { Route } from "../domain/contract.ts";
import { realWorld } from "../domain/origin.ts";
import { waitAtMost } from "../domain/patience.ts";
import type { Env } from "../env.ts";
import { within } from "../store/deadline.ts";
import type { Desk, Orders, Recalled, Report } from "./exchange.ts";
import { Lane } from "./lane.ts";
import { Octets } from "./octets.ts";
import type { Carrier } from "./ports.ts";

/** The RPC surface of a carrier. */
export interface CarrierRpc {
  /** @returns what the desk has not confirmed; where that does not arrive, `recall` has it. Nothing is sent without a free connection */
  carry(slot: number, route: Route, desk: Desk): Promise<readonly Report[]>;
  recall(slots: readonly number[]): Promise<Recalled>;
}

interface Running {
  readonly lane: Lane;
  readonly ended: Promise<void>;
}

export class CarrierObject extends DurableObject<Env> implements CarrierRpc {
  /** The origin and R2; tests put their own in their place. */
  world = realWorld(this.env);
  readonly #running = new Map<number, Running>();
  /** What nobody has confirmed, by connection. */
  readonly #unheard = new Map<number, readonly Report[]>();
  readonly #stored = new Octets((key) => this.world.raw(key), READS_AT_ONCE.carrier);

  async carry(slot: number, route: Route, desk: Desk): Promise<readonly Report[]> {
    // One of an earlier run may still wait for its reply.
    if (this.#running.has(slot) || this.#running.size >= CONNECTIONS_PER_INVOCATION) return [];
    this.#unheard.delete(slot);
    const { world } = this;
    const ports = { open: () => world.open(route), stored: this.#stored, clock: () => world.now() };
    const lane = new Lane(slot, desk, ports);
    const work = lane.run();
    const ended = work.then((unheard) => {
      this.#running.delete(slot);
      if (unheard.length > 0) this.#unheard.set(slot, unheard);
    });
    this.#running.set(slot, { lane, ended });
    await ended;
    return work;
  }

  async recall(slots: readonly number[]): Promise<Recalled> {
    const running = slots.flatMap((slot) => this.#running.get(slot) ?? []);
    for (const { lane } of running) lane.leave();
    await waitAtMost(RECALL_PATIENCE, Promise.all(running.map(({ ended }) => ended)));
    return {
      reports: slots.flatMap((slot) => (this.#unheard.get(slot) ?? []).map((report) => ({ slot, report }))),
      busy: slots.filter((slot) => this.#running.has(slot)),
    };
  }
}

/** The desk, callable from another invocation for as long as the call lasts that it is handed over in. */
class DeskTarget extends RpcTarget implements Desk {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    super();
    this.#desk = desk;
  }

  exchange(slot: number, reports: readonly Report[], more: boolean): Promise<Orders> {
    return this.#desk.exchange(slot, reports, more);
  }
}

/** @param domain the domain's name @param invocation from 1 on */
export function carrierOf(env: Env, domain: string, route: Route, invocation: number): Carrier {
  const object = env.CARRIER.getByName(`${domain}/${invocation}`) as unknown as CarrierRpc;
  return {
    carry: (slot, desk) =>
      within(object.carry(slot, route, new DeskTarget(desk)), CARRY_TIMEOUT, "a connection in another invocation"),
    recall: (slots) => within(object.recall(slots), RECALL_TIMEOUT, "another invocation, called back"),
  };
}
