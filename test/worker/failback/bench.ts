/** A slice over ports of the test: a backlog in memory, an origin that answers as told, and what came of it. */
import { runInDurableObject } from "cloudflare:test";
import type { Outcome, Refused, Unavailable } from "../../../src/core/outcome.ts";
import type { MessageMeta } from "../../../src/worker/archive/meta.ts";
import type { OpenedSession, OriginSession } from "../../../src/worker/deliver/session.ts";
import type { NewEvent } from "../../../src/worker/domain/contract.ts";
import { openDatabase } from "../../../src/worker/domain/database.ts";
import { Flights } from "../../../src/worker/failback/flights.ts";
import type { FailbackPorts, RawMessage } from "../../../src/worker/failback/ports.ts";
import { runSlice, type SliceOptions, type SliceResult } from "../../../src/worker/failback/slice.ts";
import type { WaitingMessage } from "../../../src/worker/store/backlog.ts";
import { TestDomain } from "../domain/fixture.ts";

export const accepted: Outcome = { kind: "delivered", reply: { code: 250, text: "ok" } };
export const OPTIONS: SliceOptions = {
  messages: 500,
  perInvocation: 500,
  connections: 4,
  time: 20_000,
  deferred: "due",
};

export class Bench {
  now = 1_000_000;
  readonly sent: string[] = [];
  readonly shards: Map<number, WaitingMessage[]>;
  /** Shards that do not answer. */
  readonly down = new Set<number>();
  flights: Flights;
  /** Called when a message is about to be sent. */
  before: (to: string) => void = () => undefined;
  answer: (to: string) => Outcome | Promise<Outcome> = () => accepted;
  /** The origin's answer to a connection; null: it takes it. */
  greet: () => OpenedSession | null = () => null;
  raw: FailbackPorts["raw"] = async () => inMemory("x");
  rcpt: (to: string) => Outcome = () => accepted;
  reset: () => Outcome = () => accepted;
  /** The answer to MAIL, RCPT and DATA; null: the octets, please. */
  begin: () => Refused | Unavailable | null = () => null;
  lineEndsChanged = false;
  readonly events: NewEvent[] = [];
  /** Calls to D1 that mark messages as refused. */
  readonly markings: (readonly number[])[] = [];
  /** Connections that are open, and the most there were after each message. */
  open = 0;
  readonly widths: number[] = [];
  /** What the origin offers. */
  extensions: readonly string[] = [];
  /** Recipients whose message was announced behind the one before. */
  readonly announced: string[] = [];
  /** Other invocations; absent: none. */
  carriers: FailbackPorts["carriers"];

  constructor(flights: Flights, shards: readonly number[]) {
    this.flights = flights;
    this.shards = new Map(shards.map((shard) => [shard, []]));
  }

  add(shard: number, id: number, waiting: number, object: string, to: string): void {
    const meta = {
      receipt: { id: object, at: 0, host: "mx.holdfast.test", client: { ip: "", helo: "x", protocol: "ESMTP" } },
      envelope: { from: "", to, body: "7BIT", smtputf8: false },
    } as unknown as MessageMeta;
    this.shards.get(shard)?.push({ id, account: id, waiting, message: id, key: object, size: 1, flags: 0, meta });
  }

  left(): number[] {
    return [...this.shards.values()].flat().map((row) => row.id);
  }

  run(options: Partial<SliceOptions> = {}): Promise<SliceResult> {
    return runSlice(this.ports(), { ...OPTIONS, ...options });
  }

  ports(): FailbackPorts {
    return {
      shards: [...this.shards.keys()],
      flights: this.flights,
      ...(this.carriers ? { carriers: this.carriers } : {}),
      backlog: async (shard, after, limit) => {
        if (this.down.has(shard)) throw new Error(`shard ${shard} is down`);
        return (this.shards.get(shard) ?? [])
          .filter(
            (row) => !after || row.waiting > after.waiting || (row.waiting === after.waiting && row.id > after.id),
          )
          .slice(0, limit);
      },
      raw: (key) => this.raw(key),
      open: async () => {
        const other = this.greet();
        if (other) return other;
        this.open++;
        return { session: this.#session(), greeting: { kind: "delivered", reply: { code: 220, text: "" } } };
      },
      removeDelivered: async (shard, ids) => this.#remove(shard, ids),
      markRefused: async (shard, ids) => {
        this.markings.push(ids);
        this.#remove(shard, ids);
      },
      clock: () => this.now,
      random: () => 0.5,
      observe: () => undefined,
      event: (event) => this.events.push(event),
      mayGoOn: () => true,
    };
  }

  #remove(shard: number, ids: readonly number[]): void {
    this.shards.set(
      shard,
      (this.shards.get(shard) ?? []).filter((row) => !ids.includes(row.id)),
    );
  }

  #session(): OriginSession {
    return {
      usable: true,
      extensions: new Map(this.extensions.map((name) => [name, ""])),
      mail: async () => accepted,
      rcpt: async (to) => this.rcpt(to),
      data: () => Promise.reject(new Error("not used")),
      reset: async () => this.reset(),
      noop: async () => accepted,
      close: () => {
        this.open--;
      },
      begin: async (_parameters, to) => {
        this.before(to);
        const other = this.begin();
        if (other) return other;
        return {
          lineEndsChanged: this.lineEndsChanged,
          write: async () => null,
          abort: () => undefined,
          finish: async (_timeout, next) => {
            if (next) this.announced.push(next.to);
            this.sent.push(to);
            this.widths.push(this.open);
            return this.answer(to);
          },
        };
      },
    };
  }
}

export async function onBench<T>(shards: readonly number[], test: (bench: Bench) => Promise<T>): Promise<T> {
  const domain = await TestDomain.create();
  await domain.start();
  return runInDurableObject(domain.object, (_object, state) =>
    test(new Bench(new Flights(openDatabase(state.storage)), shards)),
  );
}

/** A message as R2 gives it. */
export function inMemory(text: string): RawMessage {
  const response = new Response(text);
  return { size: text.length, body: response.body ?? new ReadableStream(), whole: () => response.arrayBuffer() };
}
