/** The Durable Object of a domain: its RPC and its alarm. What they mean is decided elsewhere. */
import { DurableObject } from "cloudflare:workers";
import { lookupLocals } from "../../core/address.ts";
import { inDoubt } from "../../core/evidence.ts";
import { MODE_TELL_TIME, PROBE_HEALTHY } from "../../core/limits.ts";
import { initialMode, type ModeView, viewOf } from "../../core/mode.ts";
import { resolveRecipient } from "../decide/recipient.ts";
import type { Env } from "../env.ts";
import type { Fate, Taken } from "../failback/fates.ts";
import { Flights } from "../failback/flights.ts";
import { backlogOf } from "../store/backlog-totals.ts";
import { shardDb } from "../store/shard.ts";
import { statesOf } from "../store/states.ts";
import type { DomainRpc, DomainStatus, LateFinal, LoggedEvent, Plan, Report } from "./contract.ts";
import { hasTables, migrateDatabase, openDatabase } from "./database.ts";
import { copyOf, type DirectoryCopy, factsOf } from "./directory.ts";
import { EventLog } from "./log.ts";
import { DomainMachine } from "./machine.ts";
import { DomainMemory } from "./memory.ts";
import { News } from "./news.ts";
import { realWorld } from "./origin.ts";
import { waitAtMost } from "./patience.ts";
import { ProbeRing } from "./probes.ts";
import { Rounds } from "./rounds.ts";
import { SeenAddresses } from "./seen.ts";
import { type Watcher, Watchers } from "./watchers.ts";

/** Probes that a status shows. */
const PROBES_SHOWN = 50;

export class DomainObject extends DurableObject<Env> implements DomainRpc {
  /** The origin, R2, clock and chance. */
  world = realWorld(this.env);
  #db = openDatabase(this.ctx.storage);
  #log = new EventLog(this.#db);
  #probes = new ProbeRing(this.#db);
  #seen = new SeenAddresses(this.#db);
  #flights = new Flights(this.#db);
  #memory = new DomainMemory(this.#db, false);
  #news = this.#makeNews();
  #rounds = this.#makeRounds();
  /** What the alarm is set to, unix milliseconds; undefined: not known. */
  #armed: number | null | undefined = undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    if (!hasTables(ctx.storage)) return;
    ctx.blockConcurrencyWhile(async () => {
      await migrateDatabase(this.#db);
      this.#flights.recover();
      this.#remember();
    });
  }

  async plan(local: string): Promise<Plan | null> {
    const held = this.#memory.held;
    if (!held) return null;
    const { id, name, continuity, switching, route } = held.domain;
    const mode = held.mode.mode;
    const recipient = resolveRecipient(held.domain, mode, local, (form) => this.#memory.holdersOf(form));
    const form = lookupLocals(local).at(-1) ?? local;
    return {
      domain: { id, name, continuity, switching, route },
      mode,
      recipient,
      unseen: recipient.status === "unknown" && this.#seen.isNews(form, this.world.now()),
      // One recipient's deferral is no doubt yet; what the origin takes in between counts all the same.
      doubt: inDoubt(held.mode.scales) || held.mode.scales.deferrals.length > 0,
      slowFinal: held.slowUntil > this.world.now(),
      watched: this.#news.wanted(recipient.holders.map(({ account }) => account)),
      source: "object",
    };
  }

  async report(reports: readonly Report[]): Promise<void> {
    if (!this.#memory.held) return;
    for (const report of reports) this.#take(report, this.world.now());
    await this.#arm();
    await this.#news.changed(reports.flatMap((report) => (report.kind === "changed" ? report.changes : [])));
  }

  async choose(choice: "normal" | "emergency" | "auto", actor: string): Promise<ModeView> {
    if (!this.#memory.held) throw new Error("the object knows no domain: reload first");
    this.#rounds.machine.apply({ kind: "choice", choice, actor }, this.world.now());
    await this.#arm();
    // Whoever waits for the answer does not wait long for D1: the alarm goes on telling it.
    await waitAtMost(MODE_TELL_TIME, this.#rounds.tellDirectory());
    await this.#arm();
    return viewOf(this.#memory.held.mode);
  }

  async reload(name: string): Promise<void> {
    const copy = await copyOf(this.env, name);
    if (copy && !hasTables(this.ctx.storage)) await migrateDatabase(this.#db);
    const reloaded = this.#news.aboutToReload();
    if (copy) this.#adopt(copy);
    else if (this.#memory.held) this.#memory.forget();
    reloaded();
    await this.#arm();
  }

  async status(): Promise<DomainStatus | null> {
    const held = this.#memory.held;
    if (!held) return null;
    return {
      mode: viewOf(held.mode),
      probes: this.#probes.last(PROBES_SHOWN),
      run: held.failback.run,
      deferred: this.#flights.countDeferred(),
    };
  }

  async events(before: number | null, limit: number): Promise<LoggedEvent[]> {
    return this.#memory.held ? this.#log.page(before, limit) : [];
  }

  async seen(limit: number): Promise<{ local: string; firstAt: number; lastAt: number; messages: number }[]> {
    return this.#memory.held ? this.#seen.list(limit) : [];
  }

  async withdraw(keys: readonly string[]): Promise<string[]> {
    return this.#memory.held ? this.#flights.withdraw(keys, this.world.now()) : [];
  }

  async settle(keys: readonly string[], taken: readonly Taken[] = []): Promise<void> {
    if (!this.#memory.held) return;
    this.#flights.settle(keys, this.world.now());
    this.#flights.fates.taken(taken, this.world.now());
  }

  async fates(flights: readonly string[]): Promise<Readonly<Record<string, Fate>>> {
    return this.#memory.held ? this.#flights.fates.of(flights) : {};
  }

  async hold(keys: readonly string[], milliseconds: number): Promise<boolean> {
    if (!this.#memory.held) return false;
    this.#rounds.lateFinals.hold(keys, milliseconds, this.world.now());
    await this.#arm();
    return true;
  }

  async settleFinal(final: LateFinal): Promise<void> {
    if (!this.#memory.held) return;
    await this.#rounds.lateFinals.settle(final, this.world.now());
    await this.#arm();
  }

  async wake(name: string): Promise<void> {
    const known = this.#memory.held?.domain.version;
    const there = await factsOf(this.env, name);
    if (there?.facts.version !== known) await this.reload(name);
    const held = this.#memory.held;
    // Something waits, or nobody would have woken us for it.
    if (held && held.failbackAt === null) this.#memory.update({ failbackAt: this.world.now() });
    this.#armed = undefined;
    await this.#arm();
  }

  async ping(): Promise<string> {
    return "ok";
  }

  override async alarm(): Promise<void> {
    this.#armed = null;
    this.#flights.fates.clean(this.world.now());
    try {
      await this.#rounds.run();
    } catch (error) {
      // A defect. It must not end the rounds: the platform gives an alarm up after six failures.
      console.error("the rounds of a domain failed", this.#memory.held?.domain.name, error);
      this.#afterDefect(error);
    } finally {
      this.#news.glance();
      await this.#arm();
    }
  }

  /**
   * A watcher (core/protocol/push/frames.ts), from within the Worker: `/account/NUMBER?since=STATE`, `/domain` or `/gateway`.
   * 404 where the object knows no such domain or mailbox, 429 where too many watch.
   */
  override async fetch(request: Request): Promise<Response> {
    const asked = readWatch(request);
    return asked ? this.#news.open(asked.watcher, asked.since) : new Response("no such watch", { status: 400 });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    await this.#news.hear(socket, message);
  }

  /** The platform takes it off its list; the other end is answered. */
  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    // 1005, 1006 and 1015 may not be sent (RFC 6455 §7.4.1).
    socket.close(code === 1005 || code === 1006 || code === 1015 ? 1000 : code);
  }

  #take(report: Report, now: number): void {
    switch (report.kind) {
      case "outcome": {
        const { recipient, outcome, began = now } = report;
        this.#rounds.machine.apply({ kind: "delivery", recipient, outcome, began }, now);
        return;
      }
      case "seen":
        this.#seen.add(lookupLocals(report.local).at(-1) ?? report.local, now);
        return;
      case "waiting":
        this.#flights.fates.note(report.flights ?? [], "waiting", now);
        this.#rounds.failback.expect(now);
        this.#news.domain();
        return;
      case "changed":
        return; // told when all has been taken
      case "archived":
        for (const account of report.accounts) this.#news.archived(account);
        return;
      case "login_changed":
        for (const account of report.accounts) this.#news.ended(account, "login");
        return;
      case "fate":
        this.#flights.fates.note(report.flights, report.state, now);
        return;
      case "event":
        this.#log.append(report.event, now);
        return;
    }
  }

  #adopt(copy: DirectoryCopy): void {
    const held = this.#memory.held;
    const same = held?.domain.id === copy.facts.id ? held : null;
    if (same && same.domain.version > copy.facts.version) return; // a later reload was faster
    const now = this.world.now();
    const mode = same?.mode ?? initialMode(copy.facts, copy.mode, copy.modeSince);
    this.#memory.replace(
      {
        domain: copy.facts,
        mode,
        probeAt: same && sameRoute(same.domain.route, copy.facts.route) ? same.probeAt : now,
        failbackAt: same ? same.failbackAt : now,
        failback: same?.failback ?? { run: null, failures: 0 },
        slowUntil: same?.slowUntil ?? 0,
        unsaved: same?.unsaved ?? false,
      },
      copy.addresses,
    );
    this.#seen.forget([...copy.addresses.keys()]);
    const { continuity, switching } = copy.facts;
    this.#rounds.machine.apply({ kind: "settings", continuity, switching }, now);
  }

  /** Everything that was due has failed at once: look again in a while. */
  #afterDefect(error: unknown): void {
    const held = this.#memory.held;
    if (!held) return;
    const now = this.world.now();
    const later = now + this.#rounds.machine.healthy;
    this.#log.append({ kind: "rounds_failed", actor: "system", data: { error: String(error) } }, now);
    this.#memory.update({
      probeAt: Math.max(held.probeAt, later),
      failbackAt: held.failbackAt === null ? null : Math.max(held.failbackAt, later),
    });
  }

  async #arm(): Promise<void> {
    const due = this.#rounds.dueAt();
    if (due === this.#armed) return;
    this.#armed = due;
    if (due === null) await this.ctx.storage.deleteAlarm();
    else await this.ctx.storage.setAlarm(Math.max(due, 1)); // zero is no time to it
  }

  #remember(): void {
    this.#memory = new DomainMemory(this.#db, true);
    this.#rounds = this.#makeRounds();
  }

  #makeNews(): News {
    const stamp = () => this.world.stamp();
    return new News({
      watchers: new Watchers(this.ctx, stamp),
      places: () => this.#memory.places(),
      picture: () => {
        const held = this.#memory.held;
        if (!held) return null;
        const { mode, since, cause } = viewOf(held.mode);
        return { mode, since, cause, run: held.failback.run };
      },
      states: (shard, accounts) => statesOf(shardDb(this.env, shard), accounts),
      backlog: async () => backlogOf(this.env, this.#memory.held?.domain.id ?? 0),
      clock: stamp,
      pause: (milliseconds) => this.world.pause(milliseconds),
    });
  }

  #makeRounds(): Rounds {
    const news = this.#news;
    const machine = new DomainMachine(this.#memory, this.#log, healthyInterval(this.env), () => news.domain());
    return new Rounds({
      telling: (write) => news.telling(write),
      env: this.env,
      memory: this.#memory,
      machine,
      log: this.#log,
      flights: this.#flights,
      probes: this.#probes,
      world: () => this.world,
    });
  }
}

/** A bad setting must not keep mail from its way: then it is PROBE_HEALTHY. */
function healthyInterval(env: Env): number {
  const milliseconds = Number(env.PROBE_SECONDS) * 1000;
  return milliseconds >= 1000 && Number.isFinite(milliseconds) ? milliseconds : PROBE_HEALTHY;
}

function sameRoute(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function readWatch(request: Request): { readonly watcher: Watcher; readonly since: number | null } | null {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return null;
  const { pathname, searchParams } = new URL(request.url);
  const [, kind, number] = /^\/(account|domain|gateway)(?:\/([1-9]\d{0,15}))?$/.exec(pathname) ?? [];
  if (kind === "account") {
    const since = searchParams.get("since");
    return { watcher: { kind, account: Number(number) }, since: since === null ? null : Number(since) };
  }
  return kind === "domain" || kind === "gateway" ? { watcher: { kind }, since: null } : null;
}
