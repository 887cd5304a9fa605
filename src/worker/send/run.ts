/**
 * A run over what is due in a domain's queue: a few connections side by side, each outcome recorded in the object before D1 hears of
 * it (decision 018).
 */
import {
  MAX_UNSETTLED,
  READS_AT_ONCE,
  SEND_EXPIRY,
  SEND_LANES,
  SEND_SLICE_TIME,
  STOPPED_PAUSE,
  STORE_TIMEOUT,
} from "../../core/limits.ts";
import { receivedField } from "../../core/mime/trace.ts";
import { afterTry, isLate } from "../../core/outgoing.ts";
import { getRaw } from "../archive/raw.ts";
import type { NewEvent } from "../domain/contract.ts";
import type { Env } from "../env.ts";
import { Octets } from "../failback/octets.ts";
import { within } from "../store/deadline.ts";
import { type Change, markWarned, nextDue, type Queued, settleRecipients } from "../store/outgoing.ts";
import { sendingDomain } from "../store/outgoing-settings.ts";
import { shardDb, shardsInUse } from "../store/shard.ts";
import { Notices } from "./notices.ts";
import type { Progress } from "./progress.ts";
import { type Job, QueueFeed } from "./queue-feed.ts";
import { mailboxWho, type Rates } from "./rates.ts";
import { Ways } from "./transports/choose.ts";
import { type Carriage, ours, type Parcel } from "./transports/contract.ts";
import { MISSING } from "./transports/smtp.ts";

export interface SendWorld {
  readonly env: Env;
  /** Unix milliseconds. */
  now(): number;
  /** 0 to 1. */
  random(): number;
}

export interface RunParts {
  readonly world: SendWorld;
  readonly ctx: Pick<ExecutionContext, "waitUntil">;
  readonly domain: { readonly id: number; readonly name: string };
  readonly progress: Progress;
  readonly rates: Rates;
  event(event: NewEvent): void;
}

/** `done`: nothing more is due. `cut`: its time was over. `storage`: D1 did not answer. */
export interface RunEnd {
  readonly end: "done" | "cut" | "storage";
  /** Unix milliseconds of what is due next; null: the queue is empty. */
  readonly nextAt: number | null;
}

export class SendRun {
  readonly #parts: RunParts;
  readonly #octets: Octets;
  readonly #notices: Notices;
  readonly #began: number;
  /** By shard: what D1 has not heard. */
  readonly #unsettled = new Map<number, Change[]>();
  #settling: Promise<void> | null = null;
  #failure: unknown = null;
  #cut = false;
  #jobs = 0;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { env } = parts.world;
    this.#began = parts.world.now();
    this.#notices = new Notices(parts);
    this.#octets = new Octets(async (key) => {
      const object = await within(getRaw(env.MAIL, key), STORE_TIMEOUT, "R2 get");
      return object && { size: object.size, body: object.body, whole: () => object.arrayBuffer() };
    }, READS_AT_ONCE.carrier);
  }

  /** Never rejects. */
  async run(): Promise<RunEnd> {
    const { world, domain, progress } = this.#parts;
    try {
      // What an object before this one had no time to tell.
      for (const { shard, change } of progress.unsettled()) this.#note(shard, [change]);
      await this.#settleAll();
      do {
        this.#jobs = 0;
        const sending = await sendingDomain(world.env.DIRECTORY, domain.name);
        if (!sending) return { end: "done", nextAt: null };
        const ways = new Ways(world.env, this.#parts.ctx, sending);
        const feed = new QueueFeed(world.env, domain.id, world.now(), ways, (shard, row) => this.#wanted(shard, row));
        await Promise.all(Array.from({ length: SEND_LANES }, () => this.#lane(feed, ways)));
        await this.#settleAll();
      } while (this.#jobs > 0 && !this.#cut && this.#failure === null);
      if (this.#failure !== null) throw this.#failure;
      return { end: this.#cut ? "cut" : "done", nextAt: await this.#next() };
    } catch (error) {
      console.error("a run over outgoing mail was cut off: the stores do not answer", domain.name, String(error));
      return { end: "storage", nextAt: null };
    }
  }

  /** Whose sending was stopped waits; what is in hand is not taken twice. */
  #wanted(shard: number, row: Queued): boolean {
    const { progress, rates, world } = this.#parts;
    if (progress.has(shard, row.id)) return false;
    if (row.state !== "waiting" || !rates.isStopped(mailboxWho(row.message.account))) return true;
    const now = world.now();
    const expired = now >= row.message.createdAt + SEND_EXPIRY;
    const { id, attempts } = row;
    const change: Change = expired
      ? { id, attempts, state: "expired", dueAt: now, at: now, outcome: ours("sending from this mailbox was stopped") }
      : { id, attempts, state: "waiting", dueAt: now + STOPPED_PAUSE, at: now, outcome: null };
    this.#record(shard, [change], now);
    return false;
  }

  /** One connection after the other, until nothing is due. */
  async #lane(feed: QueueFeed, ways: Ways): Promise<void> {
    const kept = new Map<string, Carriage>();
    const carriageTo = (destination: string): Carriage => {
      const before = kept.get(destination);
      if (before) return before;
      // One connection at a time: an invocation has six.
      for (const [other, carriage] of kept) {
        carriage.close();
        kept.delete(other);
      }
      const carriage = ways.open(destination);
      kept.set(destination, carriage);
      return carriage;
    };
    try {
      for (;;) {
        const job = await this.#take(feed);
        if (!job) return;
        this.#jobs++;
        if (job.kind === "tell") await this.#tell(job);
        else await this.#send(job, carriageTo(job.destination));
        if (this.#unsettledCount() >= MAX_UNSETTLED) await this.#settleAll();
        else this.#settleSoon();
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      for (const carriage of kept.values()) carriage.close();
    }
  }

  async #take(feed: QueueFeed): Promise<Job | null> {
    if (this.#failure !== null) return null;
    if (this.#parts.world.now() - this.#began >= SEND_SLICE_TIME) this.#cut = true;
    return this.#cut ? null : feed.next();
  }

  async #send(job: Job, carriage: Carriage): Promise<void> {
    const { world, progress } = this.#parts;
    const { shard, message } = job;
    const verdicts = await carriage.carry(this.#parcelOf(job), (recipients) => {
      if (this.#failure !== null) throw new Error("the run was cut off");
      progress.sending(
        shard,
        recipients.map(({ id }) => id),
        world.now(),
      );
    });
    const now = world.now();
    const others = verdicts.some(({ outcome }) => outcome.kind === "delivered");
    const changes = verdicts.map(({ recipient: { id, attempts }, outcome }): Change => {
      const tried = afterTry({ attempts, createdAt: message.createdAt }, outcome, now, world.random(), others);
      return { id, at: now, outcome, ...tried };
    });
    this.#record(shard, changes, now);
    const missing = verdicts.some(({ outcome }) => outcome.kind === "unavailable" && outcome.detail === MISSING);
    if (missing && job.recipients.every(({ attempts }) => attempts === 0)) {
      const data = { message: message.facts.receipt.id, key: message.key };
      this.#parts.event({ kind: "message_missing", actor: "sending", data });
    }
    if (isLate(message, now)) await this.#warn(job, changes, now);
  }

  #parcelOf({ shard, message, recipients, destination }: Job): Parcel {
    const { receipt, signature = "" } = message.facts;
    return {
      shard,
      message,
      recipients,
      destination,
      received: receivedField(receipt),
      signature: new TextEncoder().encode(signature),
      open: () => this.#octets.open(message.key),
    };
  }

  /** What failed for good is told to its sender; where that cannot be done now, later. */
  async #tell({ shard, message, recipients }: Job): Promise<void> {
    const { world } = this.#parts;
    const dueAt = await this.#notices.failed(message, recipients);
    const now = world.now();
    const changes = recipients.map(({ id, state, attempts }) => ({
      id,
      state,
      attempts,
      dueAt,
      at: now,
      outcome: null,
    }));
    this.#record(shard, changes, now);
  }

  async #warn({ shard, message, recipients }: Job, changes: readonly Change[], now: number): Promise<void> {
    const late = changes.filter(({ state }) => state === "waiting");
    if (late.length === 0) return;
    const rows = recipients.flatMap((row) => {
      const change = late.find(({ id }) => id === row.id);
      return change ? [{ ...row, ...change }] : [];
    });
    // Where it cannot be told now it is at the next try.
    if (await this.#notices.delayed(message, rows))
      await markWarned(shardDb(this.#parts.world.env, shard), message.id, now);
  }

  #record(shard: number, changes: readonly Change[], now: number): void {
    this.#parts.progress.done(shard, changes, now);
    this.#note(shard, changes);
  }

  #note(shard: number, changes: readonly Change[]): void {
    this.#unsettled.set(shard, [...(this.#unsettled.get(shard) ?? []), ...changes]);
  }

  #unsettledCount(): number {
    return [...this.#unsettled.values()].reduce((sum, changes) => sum + changes.length, 0);
  }

  #settleSoon(): void {
    this.#settling ??= this.#settle().finally(() => {
      this.#settling = null;
    });
  }

  async #settleAll(): Promise<void> {
    while ((this.#unsettledCount() > 0 || this.#settling) && this.#failure === null) {
      this.#settleSoon();
      await this.#settling;
    }
  }

  /** Never rejects: what D1 does not take ends the run, and stays recorded here. */
  async #settle(): Promise<void> {
    const { progress, world, domain } = this.#parts;
    try {
      for (const [shard, changes] of [...this.#unsettled]) {
        const some = changes.slice(0, MAX_UNSETTLED);
        await settleRecipients(shardDb(world.env, shard), domain.id, some);
        progress.forget(
          shard,
          some.map(({ id }) => id),
        );
        const rest = (this.#unsettled.get(shard) ?? []).slice(some.length);
        if (rest.length > 0) this.#unsettled.set(shard, rest);
        else this.#unsettled.delete(shard);
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  async #next(): Promise<number | null> {
    const { env } = this.#parts.world;
    const times = await Promise.all((await shardsInUse(env)).map(({ db }) => nextDue(db, this.#parts.domain.id)));
    const known = times.filter((at) => at !== null);
    return known.length > 0 ? Math.min(...known) : null;
  }
}
