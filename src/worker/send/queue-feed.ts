/** What is due in a domain's queue, over all shards, as jobs: parcels to be sent, and failures to be told of. */
import { QUEUE_PAGE } from "../../core/send/limits.ts";
import type { Env } from "../env.ts";
import {
  type OutgoingMessage,
  type OutgoingRecipient,
  type QueueCursor,
  type Queued,
  queuePage,
} from "../store/outgoing.ts";
import { domainsAmong } from "../store/outgoing-settings.ts";
import { shardDb, shardsInUse } from "../store/shard.ts";
import type { Ways } from "./transports/choose.ts";
import { domainOf } from "./way-out.ts";

export interface Job {
  readonly kind: "send" | "tell";
  readonly shard: number;
  readonly message: OutgoingMessage;
  readonly recipients: readonly OutgoingRecipient[];
  /** Of what is to be sent. */
  readonly destination: string;
}

interface Place {
  readonly shard: number;
  after: QueueCursor | null;
  ended: boolean;
}

/** One pass over the queue. */
export class QueueFeed {
  readonly #env: Env;
  readonly #domain: number;
  readonly #until: number;
  readonly #ways: Ways;
  readonly #jobs: Job[] = [];
  #places: Place[] | null = null;
  #reading: Promise<void> | null = null;

  /** @param until unix milliseconds: what is due by then */
  constructor(env: Env, domain: number, until: number, ways: Ways) {
    this.#env = env;
    this.#domain = domain;
    this.#until = until;
    this.#ways = ways;
  }

  /** @returns null where nothing more is due. @throws where D1 does not answer */
  async next(): Promise<Job | null> {
    for (;;) {
      const job = this.#jobs.shift();
      if (job) return job;
      if (this.#places?.every(({ ended }) => ended)) return null;
      this.#reading ??= this.#read().finally(() => {
        this.#reading = null;
      });
      await this.#reading;
    }
  }

  /** A page of each shard. */
  async #read(): Promise<void> {
    this.#places ??= (await shardsInUse(this.#env)).map(({ number }) => ({ shard: number, after: null, ended: false }));
    for (const place of this.#places) {
      if (place.ended) continue;
      const page = await queuePage(shardDb(this.#env, place.shard), this.#domain, this.#until, place.after, QUEUE_PAGE);
      const last = page.at(-1);
      place.ended = page.length < QUEUE_PAGE;
      if (last?.dueAt !== null && last?.dueAt !== undefined) place.after = { dueAt: last.dueAt, id: last.id };
      this.#jobs.push(...(await this.#jobsOf(place.shard, page)));
    }
  }

  async #jobsOf(shard: number, rows: readonly Queued[]): Promise<Job[]> {
    const waiting = rows.filter(({ state }) => state === "waiting");
    const domains = [...new Set(waiting.map(({ recipient }) => domainOf(recipient)))];
    const own = domains.length === 0 ? new Set<string>() : await domainsAmong(this.#env.DIRECTORY, domains);
    const destinationOf = ({ state, recipient }: Queued): string => {
      if (state !== "waiting") return "";
      const domain = domainOf(recipient);
      return this.#ways.destinationOf(domain, own.has(domain));
    };
    const jobs: Job[] = [];
    for (const theirs of Map.groupBy(rows, ({ message }) => message.id).values()) {
      for (const [destination, recipients] of Map.groupBy(theirs, destinationOf)) {
        const [first] = recipients;
        if (!first) continue;
        const kind = first.state === "waiting" ? "send" : "tell";
        jobs.push({ kind, shard, message: first.message, recipients, destination });
      }
    }
    return jobs;
  }
}
