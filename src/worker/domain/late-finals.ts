/**
 * Messages whose final dot went out and whose reply comes later than a sender waits (design, "Time"): they lie in the portal
 * as waiting, and redelivery leaves them alone until the origin has spoken.
 */
import { SLOW_ORIGIN_MEMORY, SLOW_ORIGIN_NEWS } from "../../core/limits.ts";
import { formatReply, type Outcome } from "../../core/outcome.ts";
import { nextDelay } from "../../core/retry.ts";
import { readFlightKey } from "../failback/ports.ts";
import { markRefused, placementsWaiting, removeDelivered } from "../store/backlog.ts";
import { shardsInUse } from "../store/shard.ts";
import type { LateFinal } from "./contract.ts";
import type { DomainFailback, FailbackParts } from "./failback.ts";

export class LateFinals {
  readonly #parts: FailbackParts;
  readonly #failback: DomainFailback;

  constructor(parts: FailbackParts, failback: DomainFailback) {
    this.#parts = parts;
    this.#failback = failback;
  }

  /** Should whoever waits end without a word, the messages are sent when the time is over. @param now unix milliseconds */
  hold(keys: readonly string[], milliseconds: number, now: number): void {
    const { flights, memory } = this.#parts;
    flights.hold(keys, now + milliseconds, now);
    // Its octets say that it goes to the origin.
    flights.fates.note(keys, "waiting", now);
    const slowUntil = now + SLOW_ORIGIN_MEMORY;
    if (memory.held && slowUntil - memory.held.slowUntil > SLOW_ORIGIN_NEWS) memory.update({ slowUntil });
    this.#failback.expectBy(now + milliseconds);
  }

  /** What is being sent again already, or has been settled, is left as it is. Never rejects. */
  async settle({ keys, at, outcome }: LateFinal, now: number): Promise<void> {
    const { flights, machine } = this.#parts;
    // A reply counts also where it had been given up, as long as the next try has not begun.
    const held = flights.among(keys, outcome.kind === "unavailable" ? ["awaiting"] : ["awaiting", "deferred"]);
    const [first] = held;
    if (first === undefined) return;
    machine.apply({ kind: "delivery", recipient: readFlightKey(first).to, outcome, began: at, late: true }, now);
    if (outcome.kind === "unavailable") return this.#wait(held, outcome, now);
    for (const key of held) {
      if (outcome.kind === "delivered") flights.delivered(key, now);
      else flights.refused(key, JSON.stringify(outcome.reply), now);
    }
    try {
      await this.#tellIndex(held, at, outcome);
    } catch (error) {
      // The flights remember: a run settles them first, and sends none of them.
      console.error("a late final reply is not in the index yet", String(error));
      this.#failback.expect(now);
    }
  }

  /** An origin that is slow over one message is no dead one: it is tried again like a message that was deferred. */
  #wait(keys: readonly string[], outcome: Outcome & { kind: "unavailable" }, now: number): void {
    const { flights, world, log } = this.#parts;
    for (const key of keys) {
      // Where the path failed the origin has deferred nothing.
      const attempts = outcome.where === "path" ? 0 : 1;
      flights.deferred(key, attempts, now + nextDelay(1, world().random()), now);
    }
    this.#failback.expect(now);
    const { phase, reason, reply } = outcome;
    const data = { ...named(keys), phase, reason, ...(reply ? { reply: formatReply(reply) } : {}) };
    log.append({ kind: "late_reply_missing", actor: "delivery", data }, now);
  }

  /** In emergency mode too, where no run would: the origin has spoken, so the message does not wait any more. */
  async #tellIndex(
    keys: readonly string[],
    at: number,
    outcome: Exclude<Outcome, { kind: "unavailable" }>,
  ): Promise<void> {
    const { memory, env, flights, log, world, telling } = this.#parts;
    const domain = memory.held?.domain;
    if (!domain) return;
    const { object } = readFlightKey(keys[0] ?? "");
    const recipients = keys.map((key) => readFlightKey(key).to);
    for (const { db } of await shardsInUse(env)) {
      const placements = await placementsWaiting(db, domain.id, at, object, recipients);
      if (outcome.kind === "delivered") await telling(removeDelivered(db, placements));
      else await telling(markRefused(db, placements, JSON.stringify(outcome.reply)));
    }
    if (outcome.kind === "delivered") return;
    // So that a person may have them sent again.
    flights.forgetRefused(keys, world().now());
    const data = { ...named(keys), reply: formatReply(outcome.reply) };
    log.append({ kind: "late_refusal", actor: "delivery", data }, world().now());
  }
}

function named(keys: readonly string[]): { key: string; to: string[] } {
  return { key: readFlightKey(keys[0] ?? "").object, to: keys.map((key) => readFlightKey(key).to) };
}
