/**
 * A run over what is due in a domain's queue: a few connections side by side, each outcome recorded in the object before D1 hears of
 * it (decision 018).
 */
import { READS_AT_ONCE, STORE_TIMEOUT } from "../../core/limits.ts";
import { FORWARD_MARK, forwardMark, receivedField } from "../../core/mime/trace.ts";
import { MAX_UNSETTLED, SEND_EXPIRY, SEND_LANES, SEND_SLICE_TIME, STOPPED_PAUSE } from "../../core/send/limits.ts";
import { afterTry, isLate } from "../../core/send/tries.ts";
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
  /** The same, once an hour of each that it is about: what is so of one message is so of the next. */
  rarely(about: string, event: NewEvent): void;
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
  /** The pass that is under way, and the settings that it goes by. */
  #pass: { readonly feed: QueueFeed; readonly ways: Ways; readonly settings: string } | null = null;
  /** Something may have become due since the pass began. */
  #more = true;
  #beginning: Promise<void> | null = null;
  /** What lanes have taken and not recorded, as `shard/recipient`. */
  readonly #inHand = new Set<string>();
  /** What came of recipients since the pass began: its rows may have been read before. */
  #changed = new Set<string>();
  #idle = 0;
  #waiting: (() => void)[] = [];

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
    const { domain, progress } = this.#parts;
    try {
      // What an object before this one had no time to tell.
      for (const { shard, change } of progress.unsettled()) this.#note(shard, [change]);
      await this.#settleAll();
      await Promise.all(Array.from({ length: SEND_LANES }, () => this.#lane()));
      await this.#settleAll();
      if (this.#failure !== null) throw this.#failure;
      return { end: this.#cut ? "cut" : "done", nextAt: await this.#next() };
    } catch (error) {
      console.error("a run over outgoing mail was cut off: the stores do not answer", domain.name, String(error));
      return { end: "storage", nextAt: null };
    }
  }

  /** Something new is in the queue: lanes that have nothing to do look again. */
  lookAgain(): void {
    this.#more = true;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Somebody took it out of the queue, and D1 hears of it by them. @returns false where it is being sent already */
  leave(shard: number, recipient: number): boolean {
    const name = `${shard}/${recipient}`;
    if (this.#inHand.has(name)) return false;
    this.#changed.add(name);
    return true;
  }

  /** What of a job is still to be done, in hand from now on; null: nothing. */
  #claim(job: Job): Job | null {
    const { shard, message } = job;
    const recipients = job.recipients.filter((row) => this.#wanted(shard, { ...row, message }));
    for (const { id } of recipients) this.#inHand.add(`${shard}/${id}`);
    return recipients.length > 0 ? { ...job, recipients } : null;
  }

  /** Whose sending was stopped waits; what is in hand is not taken twice, nor what has changed since it was read. */
  #wanted(shard: number, row: Queued): boolean {
    const { progress, rates, world } = this.#parts;
    const name = `${shard}/${row.id}`;
    if (this.#inHand.has(name) || this.#changed.has(name) || progress.has(shard, row.id)) return false;
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

  /** One connection after the other, until nothing is due any more and no other lane can change that. */
  async #lane(): Promise<void> {
    const hand = new Hand();
    try {
      for (let taken = await this.#take(); taken; taken = await this.#take()) {
        const { job, ways } = taken;
        if (job.kind === "tell") await this.#tell(job);
        else await this.#send(job, hand.carriageTo(ways, job.destination));
        for (const { id } of job.recipients) this.#inHand.delete(`${job.shard}/${id}`);
        if (this.#unsettledCount() >= MAX_UNSETTLED) await this.#settleAll();
        else this.#settleSoon();
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      hand.close();
      this.lookAgain();
    }
  }

  async #take(): Promise<{ readonly job: Job; readonly ways: Ways } | null> {
    for (;;) {
      if (this.#parts.world.now() - this.#began >= SEND_SLICE_TIME) this.#cut = true;
      if (this.#cut || this.#failure !== null) return null;
      const pass = this.#pass;
      const next = (await pass?.feed.next()) ?? null;
      if (next && pass) {
        const job = this.#claim(next);
        if (job) return { job, ways: pass.ways };
        continue;
      }
      if (this.#pass !== pass) continue;
      if (this.#more || this.#beginning) await this.#begin();
      else if (!(await this.#untilMore())) return null;
    }
  }

  /** Another pass, with the settings of now; one lane begins it for all. */
  async #begin(): Promise<void> {
    this.#beginning ??= this.#nextPass().finally(() => {
      this.#beginning = null;
    });
    await this.#beginning;
  }

  async #nextPass(): Promise<void> {
    const { world, domain, ctx } = this.#parts;
    this.#more = false;
    this.#changed = new Set();
    await this.#settleAll();
    const sending = await sendingDomain(world.env.DIRECTORY, domain.name);
    if (!sending) throw new Error(`the directory has no domain ${domain.name}`);
    const settings = JSON.stringify(sending);
    const ways = this.#pass?.settings === settings ? this.#pass.ways : new Ways(world.env, ctx, sending);
    this.#pass = { feed: new QueueFeed(world.env, domain.id, world.now(), ways), ways, settings };
  }

  /** While other lanes send, something may become due. @returns false where all have nothing to do */
  async #untilMore(): Promise<boolean> {
    this.#idle++;
    if (this.#idle === SEND_LANES) {
      this.lookAgain();
      return false;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#idle === SEND_LANES) return false;
    this.#idle--;
    return true;
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
    const { world } = this.#parts;
    const { receipt, signature = "", forwardedBy } = message.facts;
    const mark =
      forwardedBy === undefined ? "" : `${FORWARD_MARK}: ${forwardMark(world.env.HOSTNAME, forwardedBy)}\r\n`;
    return {
      shard,
      message,
      recipients,
      destination,
      received: receivedField(receipt),
      fields: new TextEncoder().encode(signature + mark),
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
    for (const { id } of changes) this.#changed.add(`${shard}/${id}`);
    this.#note(shard, changes);
    if (changes.some(({ dueAt }) => dueAt !== null && dueAt <= now)) this.lookAgain();
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

/** What a lane has in its hand: one connection at a time, for an invocation has six. */
class Hand {
  #kept: { readonly ways: Ways; readonly destination: string; readonly carriage: Carriage } | null = null;

  /** The one that is there, as long as the destination and the settings are the same. */
  carriageTo(ways: Ways, destination: string): Carriage {
    if (this.#kept?.destination === destination && this.#kept.ways === ways) return this.#kept.carriage;
    this.close();
    this.#kept = { ways, destination, carriage: ways.open(destination) };
    return this.#kept.carriage;
  }

  close(): void {
    this.#kept?.carriage.close();
    this.#kept = null;
  }
}
