/** A domain in the directory, its object with a clock of its own, and mail that waits. */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import type { Outcome } from "../../../src/core/outcome.ts";
import type { MessageMeta } from "../../../src/worker/archive/meta.ts";
import type { ProbeResult } from "../../../src/worker/decide/probe.ts";
import type { DomainRpc, LoggedEvent, Route } from "../../../src/worker/domain/contract.ts";
import type { DomainObject } from "../../../src/worker/domain/object.ts";
import { realWorld, type World } from "../../../src/worker/domain/origin.ts";
import { createAccount } from "../../../src/worker/store/accounts.ts";
import { waitingSince } from "../../../src/worker/store/backlog.ts";

/** So far ahead that no alarm goes off by itself: tests run it. */
export const NOON = Date.UTC(2099, 0, 1, 12);

export const good: Outcome = { kind: "delivered", reply: { code: 250, enhanced: "2.0.0", text: "fine" } };
export const dead: Outcome = { kind: "unavailable", where: "origin", phase: "connect", reason: "no_connection" };

export function probeResult(outcome: Outcome): ProbeResult {
  return { ok: outcome.kind === "delivered", milliseconds: 1, outcome, text: outcome.kind };
}

export interface DomainOptions {
  readonly port?: number;
  readonly continuity?: boolean;
  readonly coverage?: "all" | "selected";
  readonly switching?: "manual" | "automatic";
  readonly settings?: object;
  readonly mode?: "normal" | "emergency";
  /** No route to an origin. */
  readonly routeless?: boolean;
}

let domains = 0;

export class TestDomain {
  readonly id: number;
  readonly name: string;
  now = NOON;
  /** What the next probes find; absent: the real probe. */
  probe: Outcome | null = good;
  #world: Partial<World> = {};

  private constructor(id: number) {
    this.id = id;
    this.name = `d${id}.example.org`;
  }

  static async create(options: DomainOptions = {}): Promise<TestDomain> {
    domains++;
    const domain = new TestDomain(domains);
    const { port = 9, continuity = true, coverage = "all", switching = "automatic", mode = "normal" } = options;
    const route: Route = { transport: "smtp", host: "127.0.0.1", port, tls: "none" };
    await env.DIRECTORY.prepare(
      `INSERT INTO domain (id, name, continuity, coverage, switching, mode, mode_since, settings, route, created_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, 0)`,
    )
      .bind(
        domain.id,
        domain.name,
        continuity ? 1 : 0,
        coverage,
        switching,
        mode,
        JSON.stringify(options.settings ?? {}),
        options.routeless ? null : JSON.stringify(route),
      )
      .run();
    return domain;
  }

  get object(): DurableObjectStub<DomainObject> {
    return env.DOMAIN.getByName(this.name);
  }

  get rpc(): DomainRpc {
    return this.object as unknown as DomainRpc;
  }

  /** @returns the number of its account */
  async mailbox(local: string, options: { aliases?: readonly string[]; covered?: boolean } = {}): Promise<number> {
    const row = await env.DIRECTORY.prepare(
      "INSERT INTO mailbox (domain, address, covered, created_at) VALUES (?1, ?2, ?3, 0) RETURNING id",
    )
      .bind(this.id, `${local}@${this.name}`, options.covered === false ? 0 : 1)
      .first<{ id: number }>();
    const id = row?.id ?? 0;
    for (const one of [local, ...(options.aliases ?? [])]) {
      await env.DIRECTORY.prepare("INSERT INTO address (domain, local, mailbox) VALUES (?1, ?2, ?3)")
        .bind(this.id, one, id)
        .run();
    }
    await createAccount(env.SHARD_0, id, this.id, NOON);
    return id;
  }

  /** The object takes the directory's facts, with the clock, the probes and the parts of the world given here. */
  async start(world: Partial<World> = {}): Promise<void> {
    this.#world = world;
    await this.enter();
    await this.rpc.reload(this.name);
  }

  /** Puts the world of the test into the object, also after a restart. */
  async enter(): Promise<void> {
    await runInDurableObject(this.object, (object: DomainObject) => {
      const real = realWorld(env);
      object.world = {
        ...real,
        random: () => 0.5,
        probe: (route) => (this.probe ? Promise.resolve(probeResult(this.probe)) : real.probe(route)),
        ...this.#world,
        now: () => this.now,
      };
    });
  }

  wait(seconds: number): this {
    this.now += seconds * 1000;
    return this;
  }

  /** Runs the alarm if one is set. @returns whether one was */
  async alarm(): Promise<boolean> {
    return runDurableObjectAlarm(this.object);
  }

  /** When the alarm is set to go off, in seconds from now; null: never. */
  async nextAlarm(): Promise<number | null> {
    return runInDurableObject(this.object, async (_object, state) => {
      const at = await state.storage.getAlarm();
      return at === null ? null : (at - this.now) / 1000;
    });
  }

  /** Alarms as they come due, for so many seconds. */
  async run(seconds: number): Promise<void> {
    const end = this.now + seconds * 1000;
    for (;;) {
      const next = await this.nextAlarm();
      if (next === null || this.now + next * 1000 > end) break;
      this.now += Math.max(0, next * 1000);
      await this.alarm();
    }
    this.now = end;
  }

  async mode(): Promise<string | undefined> {
    return (await this.rpc.status())?.mode.mode;
  }

  /** What a call into the object ends in where it is to fail. */
  async failureOf(call: (object: DomainObject) => Promise<unknown>): Promise<string | null> {
    return runInDurableObject(this.object, (object: DomainObject) =>
      call(object).then(
        () => null,
        (error: unknown) => String(error),
      ),
    );
  }

  /** Oldest first. */
  async events(kind?: string): Promise<LoggedEvent[]> {
    const events = (await this.rpc.events(null, 1000)).reverse();
    return kind ? events.filter((event) => event.kind === kind) : events;
  }

  /** A message in the inboxes of these accounts that the origin has not had. */
  async waiting(message: WaitingOptions): Promise<{ key: string; flight: string; placements: number[] }> {
    const { accounts, to = `ada@${this.name}`, from = "sender@example.net", body = "hello" } = message;
    const at = message.at ?? this.now;
    sequence++;
    const id = `01TEST${String(sequence).padStart(20, "0")}`;
    const key = `archive/2099-01-01/12/${id}`;
    const octets = new TextEncoder().encode(`Subject: ${id}\r\n\r\n${body}\r\n`);
    if (!message.missing) await env.MAIL.put(key, octets);
    const client = { ip: "192.0.2.1", helo: "mx.example.net", protocol: "ESMTP" };
    const meta: MessageMeta = {
      receipt: { id, at, host: "mx.holdfast.test", client },
      envelope: { from, to, body: "8BITMIME", smtputf8: false },
      to: [],
      cc: [],
      from: [],
      replyTo: [],
      references: [],
      attachments: [],
    };
    const placements: number[] = [];
    for (const account of accounts) placements.push(await this.#place(account, id, key, octets.length, meta, at));
    return { key, flight: `${key}\n${to}`, placements };
  }

  async #place(
    account: number,
    mid: string,
    key: string,
    size: number,
    meta: MessageMeta,
    at: number,
  ): Promise<number> {
    const inserted = await env.SHARD_0.prepare(
      `INSERT INTO message (account, mid, once, thread, direction, at, size, key, sender, subject, preview, meta)
       VALUES (?1, ?2, '', 0, 'in', ?3, ?4, ?5, '', '', '', ?6) RETURNING id`,
    )
      .bind(account, mid, at, size, key, JSON.stringify(meta))
      .first<{ id: number }>();
    await env.SHARD_0.prepare("UPDATE account SET seq = seq + 1 WHERE id = ?1").bind(account).run();
    const placed = await env.SHARD_0.prepare(
      `INSERT INTO placement (id, account, message, modseq, created, waiting)
       SELECT f.id * 4294967296 + a.seq, a.id, ?2, a.seq, a.seq, ?3 FROM account a JOIN folder f ON f.account = a.id
       WHERE a.id = ?1 AND f.role = 'inbox' RETURNING id`,
    )
      .bind(account, inserted?.id ?? 0, waitingSince(this.id, at))
      .first<{ id: number }>();
    return placed?.id ?? 0;
  }

  /** How the placements are now: `waiting`, `refused`, `gone`, or `kept`. */
  async states(placements: readonly number[]): Promise<string[]> {
    const states: string[] = [];
    for (const id of placements) {
      const row = await env.SHARD_0.prepare("SELECT waiting, gone FROM placement WHERE id = ?1")
        .bind(id)
        .first<{ waiting: number | null; gone: number | null }>();
      if (row?.gone) states.push("gone");
      else if (row?.waiting) states.push(row.waiting > 0 ? "waiting" : "refused");
      else states.push("kept");
    }
    return states;
  }
}

export interface WaitingOptions {
  readonly accounts: readonly number[];
  readonly to?: string;
  readonly from?: string;
  readonly body?: string;
  /** Unix milliseconds of its arrival. */
  readonly at?: number;
  /** Its octets are not in R2. */
  readonly missing?: boolean;
}

let sequence = 0;

/** While D1's directory does not answer, to anyone. */
export async function withoutDirectory(during: () => Promise<void>): Promise<void> {
  Object.defineProperty(env.DIRECTORY, "prepare", {
    configurable: true,
    value: () => {
      throw new Error("D1 is away");
    },
  });
  try {
    await during();
  } finally {
    Reflect.deleteProperty(env.DIRECTORY, "prepare");
  }
}
