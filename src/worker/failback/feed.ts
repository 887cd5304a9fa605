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
}

type Reads = Pick<FailbackPorts, "shards" | "backlog" | "clock">;

export class BacklogFeed {
  readonly #ports: Reads;
  readonly #wanted: (flight: Flight) => boolean;
  readonly #sources: Source[];
  #next: Flight | null = null;
  /** Reads follow one another, whoever asks. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param wanted asked once for each flight; false passes it over */
  constructor(ports: Reads, wanted: (flight: Flight) => boolean) {
    this.#ports = ports;
    this.#wanted = wanted;
    this.#sources = ports.shards.map((shard) => ({ shard, rows: [], last: null, ended: false }));
  }

  /** All was read. */
  get ended(): boolean {
    return this.#next === null && this.#sources.every((source) => source.ended && source.rows.length === 0);
  }

  /** Whether something is there to be taken. @throws where the backlog cannot be read */
  ready(): Promise<boolean> {
    return this.#inTurn(async () => {
      this.#next ??= await this.#advance();
      return this.#next !== null;
    });
  }

  /** @returns null at the end. @throws where the backlog cannot be read */
  take(): Promise<Flight | null> {
    return this.#inTurn(async () => {
      const flight = this.#next ?? (await this.#advance());
      this.#next = null;
      return flight;
    });
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step);
    this.#turn = result.then(
      () => undefined,
      () => undefined, // whoever asked has the error; the next one reads anew
    );
    return result;
  }

  async #advance(): Promise<Flight | null> {
    for (;;) {
      await Promise.all(this.#sources.map((source) => this.#fill(source)));
      const oldest = this.#oldest();
      if (!oldest) return null;
      const flight = this.#group(oldest);
      if (this.#wanted(flight)) return flight;
    }
  }

  async #fill(source: Source): Promise<void> {
    if (source.ended || source.rows.length > 0) return;
    const readAt = this.#ports.clock();
    const page = await this.#ports.backlog(source.shard, source.last, BACKLOG_PAGE);
    source.rows = page.map((row) => ({ ...row, shard: source.shard, readAt }));
    source.last = source.rows.at(-1) ?? source.last;
    source.ended = page.length < BACKLOG_PAGE;
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
      placements: together.map(({ shard, id }) => ({ shard, id })),
      readAt: Math.min(...together.map((row) => row.readAt)),
    };
  }
}

function split<T>(rows: readonly T[], mine: (row: T) => boolean): [T[], T[]] {
  return [rows.filter(mine), rows.filter((row) => !mine(row))];
}
