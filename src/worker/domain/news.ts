/**
 * What those who watch a domain are told, and when. Never on the mail's way: everything here is after the fact, and what fails
 * costs a watcher a look of its own.
 */

import {
  type DomainFrame,
  type EndReason,
  type ObjectFrame,
  readWatcherFrame,
} from "../../core/protocol/push/frames.ts";
import { DOMAIN_NEWS_PAUSE, MAX_UNWATCHED_PLANS, WATCH_SETTLE } from "../../core/protocol/push/limits.ts";
import type { Written } from "../store/states.ts";
import type { AccountChange, FailbackRun, Holder } from "./contract.ts";
import type { Watcher, Watchers } from "./watchers.ts";

/** What the domain is in, without what D1 has to be asked for. */
export type DomainPicture = Pick<DomainFrame, "mode" | "since" | "cause"> & { readonly run: FailbackRun | null };

export interface NewsParts {
  readonly watchers: Watchers;
  /** Where each mailbox of the domain lives, by its number; null where the object knows no domain. */
  places(): ReadonlyMap<number, Holder["shard"]> | null;
  picture(): DomainPicture | null;
  /** From D1. */
  states(shard: number, accounts: readonly number[]): Promise<readonly { account: number; seq: number }[]>;
  /** From D1. */
  backlog(): Promise<{ readonly waiting: number; readonly refused: number }>;
  /** Unix milliseconds. */
  clock(): number;
  pause(milliseconds: number): Promise<void>;
}

export class News {
  readonly #parts: NewsParts;
  /** When mail was last planned for a mailbox that nobody watched, the oldest first. */
  readonly #unwatched = new Map<number, number>();
  /** What was planned before this is not known: the object slept, or it was too much. */
  #forgotAt: number;
  /** Mailboxes whose state is to be read. */
  readonly #toLook = new Set<number>();
  #looking: Promise<void> | null = null;
  /** Mailboxes that are looked at once more, as something for them was under way of which nobody may tell. */
  readonly #toSettle = new Set<number>();
  #settling = false;
  #domainChanged = false;
  #telling = false;
  /** The picture that was told last. */
  #told = "";
  #places: ReadonlyMap<number, number> | null = null;

  constructor(parts: NewsParts) {
    this.#parts = parts;
    this.#forgotAt = parts.clock();
  }

  /**
   * Whether whoever stores mail for these mailboxes is to tell of it. Who is told no is remembered: should somebody watch
   * before the mail is stored, they would not hear of it.
   */
  wanted(accounts: readonly number[]): boolean {
    const { watchers } = this.#parts;
    if (watchers.ofDomain.length > 0 || accounts.some((account) => watchers.watches(account))) return true;
    const now = this.#parts.clock();
    for (const account of accounts) {
      this.#unwatched.delete(account);
      this.#unwatched.set(account, now);
    }
    for (const [account, at] of this.#unwatched) {
      if (now - at <= WATCH_SETTLE) break;
      this.#unwatched.delete(account);
    }
    if (this.#unwatched.size > MAX_UNWATCHED_PLANS) {
      this.#unwatched.clear();
      this.#forgotAt = now;
    }
    return false;
  }

  /** @returns the upgrade; 404 where there is no such mailbox or domain, 429 where too many watch */
  open(watcher: Watcher, since: number | null): Response {
    const places = this.#placesNow();
    if (!places) return new Response("no such domain", { status: 404 });
    if (watcher.kind === "account" && !places.has(watcher.account)) {
      return new Response("no such mailbox", { status: 404 });
    }
    const accepted = this.#parts.watchers.accept(watcher);
    if (!accepted) return new Response("too many watchers", { status: 429 });
    this.#parts.watchers.send(accepted.socket, { op: "hello" });
    if (watcher.kind === "domain") this.domain();
    if (watcher.kind === "account") void this.#catchUp(accepted.socket, [{ account: watcher.account, since }]);
    return accepted.response;
  }

  /** A frame of a watcher. */
  async hear(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { watchers } = this.#parts;
    const read = typeof message === "string" ? readWatcherFrame(message) : { ok: false as const, error: "octets" };
    if (!read.ok || !watchers.isGateway(socket)) {
      watchers.drop(socket, 1002, read.ok ? "only a gateway names mailboxes" : read.error.slice(0, 100));
      return;
    }
    const frame = read.value;
    if (frame.op === "unwatch") return watchers.unname(socket, frame.accounts);
    const places = this.#placesNow();
    const known = frame.accounts.filter(({ account }) => places?.has(account));
    for (const { account } of frame.accounts) {
      if (!places?.has(account)) watchers.send(socket, { op: "ended", account, why: "gone" });
    }
    watchers.name(
      socket,
      known.map(({ account }) => account),
    );
    await this.#catchUp(socket, known);
  }

  /** Resolves when it was told. Never rejects. */
  async changed(changes: readonly AccountChange[]): Promise<void> {
    const { watchers } = this.#parts;
    for (const { account, seq, pending } of changes) {
      if (seq !== undefined) this.#tell(account, seq);
      else if (watchers.watches(account)) {
        this.#toLook.add(account);
        if (pending) this.#toSettle.add(account);
      }
    }
    this.#settleSoon();
    if (changes.length > 0) this.domain();
    await this.#look();
  }

  /**
   * What the object itself writes.
   * @throws what the write throws; then it may be done all the same, and be told by nobody: all who watch are, that they look
   */
  async telling(write: Promise<Written<null>>): Promise<void> {
    try {
      void this.changed((await write).states);
    } catch (error) {
      const watched = this.#parts.watchers.accounts;
      const accounts = watched === "all" ? [...(this.#placesNow()?.keys() ?? [])] : [...watched];
      void this.changed(accounts.map((account) => ({ account, pending: true })));
      throw error;
    }
  }

  archived(account: number): void {
    this.#send(account, { op: "archived", account });
  }

  ended(account: number, why: EndReason): void {
    const { watchers } = this.#parts;
    for (const socket of watchers.ofAccount(account)) {
      watchers.send(socket, { op: "ended", account, why });
      watchers.drop(socket, 1000, why);
    }
    for (const socket of watchers.gatewaysOf(account)) {
      watchers.send(socket, { op: "ended", account, why });
      watchers.unname(socket, [account]);
    }
  }

  /** To be called before the directory's copy is taken anew; what it returns is called after. */
  aboutToReload(): () => void {
    const before = this.#parts.watchers.any ? this.#placesNow() : null;
    return () => {
      this.#places = null;
      if (!before) return;
      const after = this.#placesNow();
      if (!after) return this.#parts.watchers.dropAll(1000, "gone");
      for (const [account, shard] of before) {
        const now = after.get(account);
        if (now !== shard) this.ended(account, now === undefined ? "gone" : "moved");
      }
      this.glance();
    };
  }

  /** The domain's mode, run or backlog may have changed. Told soon, once for many. Never rejects. */
  domain(): void {
    this.#domainChanged = true;
    if (!this.#telling) void this.#tellDomain();
  }

  /** The same, unless nothing but the backlog can have changed: that one would have been told of. */
  glance(): void {
    if (JSON.stringify(this.#parts.picture()) !== this.#told) this.domain();
  }

  #placesNow(): ReadonlyMap<number, number> | null {
    this.#places ??= this.#parts.places();
    return this.#places;
  }

  #tell(account: number, seq: number | null): void {
    this.#send(account, { op: "changed", account, seq });
  }

  #send(account: number, frame: ObjectFrame): void {
    const { watchers } = this.#parts;
    const sockets = [...watchers.ofAccount(account), ...watchers.gatewaysOf(account)];
    for (const socket of sockets) watchers.send(socket, frame);
  }

  /** What a watcher has missed: its mailboxes are watched by now, so nothing comes between. */
  async #catchUp(socket: WebSocket, watched: readonly { account: number; since: number | null }[]): Promise<void> {
    const { watchers } = this.#parts;
    const states = await this.#statesOf(watched.map(({ account }) => account));
    for (const { account, since } of watched) {
      const seq = states.get(account) ?? null;
      if (seq === null || seq !== since) watchers.send(socket, { op: "changed", account, seq });
    }
    this.#settleLater(watched.map(({ account }) => account));
  }

  /** Those that mail was planned for shortly before: it may be stored only now, and nobody would tell of it. */
  #settleLater(accounts: readonly number[]): void {
    const now = this.#parts.clock();
    for (const account of accounts) {
      const planned = Math.max(this.#unwatched.get(account) ?? 0, this.#forgotAt);
      if (now - planned <= WATCH_SETTLE) this.#toSettle.add(account);
    }
    this.#settleSoon();
  }

  #settleSoon(): void {
    if (this.#toSettle.size > 0 && !this.#settling) void this.#settle();
  }

  async #settle(): Promise<void> {
    this.#settling = true;
    try {
      while (this.#toSettle.size > 0) {
        const accounts = [...this.#toSettle];
        this.#toSettle.clear();
        await this.#parts.pause(WATCH_SETTLE);
        await this.changed(accounts.map((account) => ({ account })));
      }
    } finally {
      this.#settling = false;
    }
  }

  /** One read for all that came meanwhile. */
  async #look(): Promise<void> {
    if (this.#toLook.size > 0) this.#looking ??= this.#lookAll();
    await this.#looking;
  }

  /** To be called where there is something to look at. */
  async #lookAll(): Promise<void> {
    try {
      while (this.#toLook.size > 0) {
        const accounts = [...this.#toLook];
        this.#toLook.clear();
        const states = await this.#statesOf(accounts);
        for (const account of accounts) this.#tell(account, states.get(account) ?? null);
      }
    } finally {
      this.#looking = null;
    }
  }

  /** Those that could not be read are not among them. */
  async #statesOf(accounts: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const places = this.#placesNow();
    const byShard = Map.groupBy(accounts, (account) => places?.get(account));
    const states = new Map<number, number>();
    const reads = [...byShard].map(async ([shard, theirs]) => {
      if (shard === undefined) return;
      try {
        for (const { account, seq } of await this.#parts.states(shard, theirs)) states.set(account, seq);
      } catch (error) {
        console.error("the state of watched mailboxes could not be read, their watchers look for themselves", error);
      }
    });
    await Promise.all(reads);
    return states;
  }

  async #tellDomain(): Promise<void> {
    this.#telling = true;
    try {
      while (this.#domainChanged && this.#parts.watchers.ofDomain.length > 0) {
        this.#domainChanged = false;
        const backlog = await this.#backlog();
        const picture = this.#parts.picture();
        if (!picture) return;
        this.#told = JSON.stringify(picture);
        const { mode, since, cause, run } = picture;
        const frame: DomainFrame = { op: "domain", mode, since, cause, backlog, run: run && progressOf(run) };
        for (const socket of this.#parts.watchers.ofDomain) this.#parts.watchers.send(socket, frame);
        await this.#parts.pause(DOMAIN_NEWS_PAUSE);
      }
    } finally {
      this.#telling = false;
    }
  }

  async #backlog(): Promise<DomainFrame["backlog"]> {
    try {
      return await this.#parts.backlog();
    } catch (error) {
      console.error("the backlog of a watched domain could not be counted", error);
      return null;
    }
  }
}

const progressOf = ({ startedAt, delivered, refused, deferred }: FailbackRun): DomainFrame["run"] => ({
  startedAt,
  delivered,
  refused,
  deferred,
});
