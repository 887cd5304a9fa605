/** The Durable Object that sends a domain's mail: its RPC and its alarm (decision 018). What they mean is decided elsewhere. */
import { DurableObject } from "cloudflare:workers";
import { eq } from "drizzle-orm";
import { FIRST_SEND_RETRY } from "../../core/send/limits.ts";
import { logEvent } from "../domain/ask.ts";
import type { NewEvent } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { self } from "../store/outbound.schema.ts";
import { bringForward, findQueued, settleRecipients } from "../store/outgoing.ts";
import { shardDb, shardsInUse } from "../store/shard.ts";
import type { SubmitRefusal } from "./contract.ts";
import { migrateDatabase, openDatabase } from "./database.ts";
import { FollowUps } from "./follow-ups.ts";
import type { AdmissionRequest, OutboundRpc, Sender } from "./object-contract.ts";
import { Progress } from "./progress.ts";
import { accountOf, type Counted, purposeOf, Rates, type Stop } from "./rates.ts";
import { type RunParts, SendRun, type SendWorld } from "./run.ts";

const ONLY = 1;

export class OutboundObject extends DurableObject<Env> implements OutboundRpc {
  /** The bindings, clock and chance; tests put their own in their place. */
  world: SendWorld = { env: this.env, now: () => Date.now(), random: () => Math.random() };
  readonly #db = openDatabase(this.ctx.storage);
  readonly #progress = new Progress(this.#db);
  readonly #rates = new Rates(this.#db);
  #run: SendRun | null = null;
  /** Within the alarm, which looks again by itself; what came meanwhile is `#woken`. */
  #working = false;
  #woken = false;
  /** What is told once an hour, and when it was told last (unix milliseconds). */
  readonly #toldAt = new Map<string, number>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.blockConcurrencyWhile(async () => {
      await migrateDatabase(this.#db);
      this.#progress.recover();
    });
  }

  async admit({ name, id, writer, ...admission }: AdmissionRequest): Promise<SubmitRefusal | null> {
    this.#learn(name, id);
    const now = this.world.now();
    const refused = this.#rates.admit(admission, now);
    if (!refused) return null;
    const data = { who: writer, why: refused.refusal.detail };
    if (refused.news === "stopped") this.#event({ kind: "sending_stopped", actor: "system", data });
    const itself = admission.who !== null && purposeOf(admission.who) !== null ? admission.who : "all that is sent";
    if (refused.news === "limited") this.#rarely(itself, { kind: "sending_limited", actor: "system", data });
    return refused.refusal;
  }

  async takeBack(counted: Counted): Promise<void> {
    this.#rates.takeBack(counted, this.world.now());
  }

  async wake(name: string, id: number): Promise<void> {
    this.#learn(name, id);
    await this.#look();
  }

  async stops(): Promise<Stop[]> {
    return this.#rates.stops();
  }

  async stop({ who, name }: Sender, actor: string, why: string): Promise<void> {
    this.#rates.stop({ who, at: this.world.now(), actor, why });
    this.#event({ kind: "sending_stopped", actor, data: { who: name, why } });
  }

  async release({ who, name }: Sender, actor: string): Promise<boolean> {
    if (!this.#rates.release(who)) return false;
    this.#event({ kind: "sending_released", actor, data: { who: name } });
    const account = accountOf(who);
    const domain = this.#self()?.domain;
    if (account !== null && domain !== undefined) {
      const now = this.world.now();
      for (const { db } of await shardsInUse(this.world.env)) await bringForward(db, domain, { account }, now);
    }
    await this.#look();
    return true;
  }

  async cancel(
    shard: number,
    recipient: number,
    actor: string,
    tell: boolean,
  ): Promise<"cancelled" | "sending" | "gone"> {
    const known = this.#self();
    if (!known) return "gone";
    const db = shardDb(this.world.env, shard);
    const row = await findQueued(db, known.domain, recipient);
    if (row?.state !== "waiting") return "gone";
    if (this.#progress.has(shard, recipient) || this.#run?.leave(shard, recipient) === false) return "sending";
    const now = this.world.now();
    const { id, attempts } = row;
    const change = { id, attempts, state: "cancelled", at: now, dueAt: tell ? now : null, outcome: null } as const;
    // Recorded here first: a run that has read its row before leaves it alone.
    this.#progress.done(shard, [change], now);
    const found = await settleRecipients(db, known.domain, [change]);
    this.#progress.forget(shard, [id]);
    // It was sent after its row was read.
    if (found === 0) return "gone";
    const data = { message: row.message.facts.receipt.id, recipient: row.recipient };
    this.#event({ kind: "outgoing_cancelled", actor, data });
    await this.wake(known.name, known.domain);
    return "cancelled";
  }

  override async alarm(): Promise<void> {
    const known = this.#self();
    if (!known) return;
    this.#woken = false;
    this.#working = true;
    let next: number | null = null;
    try {
      const parts: RunParts = {
        world: this.world,
        ctx: this.ctx,
        domain: { id: known.domain, name: known.name },
        progress: this.#progress,
        rates: this.#rates,
        event: (event) => this.#event(event),
        rarely: (about, event) => this.#rarely(about, event),
      };
      const followUpAt = await new FollowUps(parts).run();
      this.#run = new SendRun(parts);
      const { end, nextAt } = await this.#run.run();
      const sendAt =
        end === "storage" ? this.world.now() + FIRST_SEND_RETRY : end === "cut" ? this.world.now() : nextAt;
      next = earlier(followUpAt, sendAt);
    } catch (error) {
      // A defect. It must not end the queue: the platform gives an alarm up after six failures.
      console.error("a run over outgoing mail failed", known.name, error);
      next = this.world.now() + FIRST_SEND_RETRY;
    } finally {
      this.#run = null;
      this.#working = false;
    }
    if (this.#woken) next = this.world.now();
    if (next !== null) await this.#arm(next);
  }

  /** Now, or as soon as the run that is under way has a free hand. */
  async #look(): Promise<void> {
    this.#woken = true;
    this.#run?.lookAgain();
    if (!this.#working) await this.#arm(this.world.now());
  }

  async #arm(at: number): Promise<void> {
    await this.ctx.storage.setAlarm(Math.max(at, 1)); // zero is no time to it
  }

  #self(): { readonly name: string; readonly domain: number } | null {
    return this.#db.select().from(self).where(eq(self.id, ONLY)).get() ?? null;
  }

  #learn(name: string, domain: number): void {
    const known = this.#self();
    if (known?.name === name && known.domain === domain) return;
    const row = { id: ONLY, name, domain };
    this.#db.insert(self).values(row).onConflictDoUpdate({ target: self.id, set: row }).run();
  }

  /** Once an hour of each that it is about. */
  #rarely(about: string, event: NewEvent): void {
    const now = this.world.now();
    const key = `${event.kind} ${about}`;
    if (now - (this.#toldAt.get(key) ?? Number.NEGATIVE_INFINITY) < 3600_000) return;
    this.#toldAt.set(key, now);
    this.#event(event);
  }

  #event(event: NewEvent): void {
    const known = this.#self();
    if (known) this.ctx.waitUntil(logEvent(this.world.env, known.name, event));
  }
}

/** Unix milliseconds; null: never. */
function earlier(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}
