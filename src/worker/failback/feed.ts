/** The backlog of a domain over all its shards, oldest first, with the copies of one message together. */
import { BACKLOG_PAGE } from "../../core/limits.ts";
import type { WaitingMessage } from "../store/backlog.ts";
import { type FailbackPorts, type Flight, flightKey } from "./ports.ts";

interface Row extends WaitingMessage {
  readonly shard: number;
  readonly readAt: number;
}

interface Source {
  readonly shard: number;
  rows: Row[];
  last: Row | null;
  ended: boolean;
  /** Why it could not be read on: it has ended then, as far as this feed goes. */
  failure: unknown;
  /** The page that is being read. */
  reading: Promise<void> | null;
}

type Reads = Pick<FailbackPorts, "shards" | "backlog" | "clock">;

export class BacklogFeed {
  readonly #ports: Reads;
  readonly #wanted: (flight: Flight) => boolean;
  readonly #sources: Source[];
  /** Taken before and given back: older than what follows. */
  readonly #back: Flight[] = [];
  /** Takes follow one another, whoever asks. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param wanted asked once for each flight; false passes it over */
  constructor(ports: Reads, wanted: (flight: Flight) => boolean) {
    this.#ports = ports;
    this.#wanted = wanted;
    this.#sources = ports.shards.map((shard) => ({
      shard,
      rows: [],
      last: null,
      ended: false,
      failure: null,
      reading: null,
    }));
  }

  /** All was read. */
  get ended(): boolean {
    return this.#back.length === 0 && this.#sources.every((source) => source.ended && source.rows.length === 0);
  }

  /**
   * Shards that did not answer: one that fails keeps nobody else's mail waiting. `all`: none was read to its end.
   * @returns null where there was none
   */
  get failure(): { readonly all: boolean; readonly error: unknown } | null {
    const failed = this.#sources.filter(({ failure }) => failure !== null);
    return failed[0] ? { all: failed.length === this.#sources.length, error: failed[0].failure } : null;
  }

  /** @returns null at the end */
  take(): Promise<Flight | null> {
    const result = this.#turn.then(() => this.#advance());
    this.#turn = result.then(
      () => undefined,
      () => undefined, // whoever asked has the error; the next one reads anew
    );
    return result;
  }

  /** What is at hand without reading, or null. */
  takeNow(): Flight | null {
    const back = this.#back.shift();
    if (back) return back;
    while (this.#sources.every((source) => source.ended || source.rows.length > 0)) {
      const oldest = this.#oldest();
      if (!oldest) return null;
      const flight = this.#group(oldest);
      if (this.#wanted(flight)) return flight;
    }
    return null;
  }

  putBack(flight: Flight): void {
    this.#back.unshift(flight);
  }

  async #advance(): Promise<Flight | null> {
    for (;;) {
      const flight = this.takeNow();
      for (const source of this.#sources) this.#readAhead(source);
      if (flight || this.ended) return flight;
      await Promise.all(this.#sources.map((source) => (source.rows.length === 0 ? source.reading : null)));
    }
  }

  /** The next page is asked for when half of the one before is used up: D1 is some milliseconds away. */
  #readAhead(source: Source): void {
    if (source.ended || source.reading || source.rows.length > BACKLOG_PAGE / 2) return;
    source.reading = this.#read(source).finally(() => {
      source.reading = null;
    });
  }

  async #read(source: Source): Promise<void> {
    const readAt = this.#ports.clock();
    const page = await this.#pageOf(source);
    if (!page) return;
    source.rows.push(...page.map((row) => ({ ...row, shard: source.shard, readAt })));
    source.last = source.rows.at(-1) ?? source.last;
    source.ended = page.length < BACKLOG_PAGE;
  }

  async #pageOf(source: Source): Promise<WaitingMessage[] | null> {
    try {
      return await this.#ports.backlog(source.shard, source.last, BACKLOG_PAGE);
    } catch (error) {
      console.error("the backlog of a shard could not be read", source.shard, String(error));
      source.failure = error ?? new Error("failed without a reason");
      source.ended = true;
      return null;
    }
  }

  #oldest(): Row | null {
    const heads = this.#sources.flatMap((source) => source.rows[0] ?? []);
    return heads.reduce<Row | null>((a, b) => (a === null || b.waiting < a.waiting ? b : a), null);
  }

  /** The copies of one message came in the same second; one that D1 shows later is known by its flight. */
  #group(first: Row): Flight {
    const to = first.meta.envelope.to;
    const together: Row[] = [];
    for (const source of this.#sources) {
      const [mine, rest] = split(source.rows, (row) => row.key === first.key && row.meta.envelope.to === to);
      together.push(...mine);
      source.rows = rest;
    }
    return {
      key: flightKey(first.key, to),
      object: first.key,
      meta: first.meta,
      size: first.size,
      placements: together.map(({ shard, id }) => ({ shard, id })),
      readAt: Math.min(...together.map((row) => row.readAt)),
    };
  }
}

function split<T>(rows: readonly T[], mine: (row: T) => boolean): [T[], T[]] {
  return [rows.filter(mine), rows.filter((row) => !mine(row))];
}
