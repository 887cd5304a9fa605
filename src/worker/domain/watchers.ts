/**
 * The sockets of those who watch a domain (core/protocol/push/frames.ts), over the platform's hibernation: who they are stands
 * in their tags and attachments alone, so nothing is lost while the object sleeps.
 */

import { type ObjectFrame, PING, PONG, writePushFrame } from "../../core/protocol/push/frames.ts";
import {
  MAX_WATCHED_BY_NAME,
  MAX_WATCHERS,
  MAX_WATCHERS_PER_ACCOUNT,
  WATCH_SILENCE,
  WATCH_UNREAD_BYTES,
} from "../../core/protocol/push/limits.ts";

/** `account`: of one mailbox; `domain`: of the domain's mode and backlog; `gateway`: of the mailboxes that it names. */
export type Watcher =
  | { readonly kind: "account"; readonly account: number }
  | { readonly kind: "domain" }
  | { readonly kind: "gateway" };

interface Attachment {
  readonly watcher: Watcher;
  /** Unix milliseconds. */
  readonly openedAt: number;
  /** Of a gateway. `all`: more than can be named. */
  readonly accounts: readonly number[] | "all";
}

/** What was sent since a ping. */
interface Unread {
  readonly ping: number;
  octets: number;
}

const tagOf = (watcher: Watcher): string => (watcher.kind === "account" ? `a${watcher.account}` : watcher.kind);

export class Watchers {
  readonly #ctx: DurableObjectState;
  /** Unix milliseconds of the platform's clock, which stamps the pings. */
  readonly #clock: () => number;
  readonly #unread = new WeakMap<WebSocket, Unread>();
  /** The attachments of gateways, as sets. */
  readonly #named = new WeakMap<WebSocket, Set<number> | "all">();

  constructor(ctx: DurableObjectState, clock: () => number) {
    this.#ctx = ctx;
    this.#clock = clock;
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG));
  }

  /** @returns the upgrade and our end of it, or null where too many watch already */
  accept(watcher: Watcher): { readonly response: Response; readonly socket: WebSocket } | null {
    if (!this.#hasRoom(null, MAX_WATCHERS)) return null;
    if (watcher.kind === "account" && !this.#hasRoom(tagOf(watcher), MAX_WATCHERS_PER_ACCOUNT)) return null;
    const { 0: theirs, 1: ours } = new WebSocketPair();
    this.#ctx.acceptWebSocket(ours, [tagOf(watcher)]);
    this.#attach(ours, { watcher, openedAt: this.#clock(), accounts: [] });
    return { response: new Response(null, { status: 101, webSocket: theirs }), socket: ours };
  }

  get any(): boolean {
    return this.#open(null).length > 0;
  }

  /** Those of the domain's mode and backlog. */
  get ofDomain(): readonly WebSocket[] {
    return this.#open("domain");
  }

  /** Those of this mailbox alone. */
  ofAccount(account: number): readonly WebSocket[] {
    return this.#open(tagOf({ kind: "account", account }));
  }

  /** Gateways that watch it. */
  gatewaysOf(account: number): readonly WebSocket[] {
    return this.#open("gateway").filter((socket) => {
      const named = this.#namedBy(socket);
      return named === "all" || named.has(account);
    });
  }

  /** The mailboxes that are watched. */
  get accounts(): ReadonlySet<number> | "all" {
    const accounts = new Set<number>();
    for (const socket of this.#open(null)) {
      const watcher = this.#attachment(socket)?.watcher;
      if (watcher?.kind === "account") accounts.add(watcher.account);
      if (watcher?.kind !== "gateway") continue;
      const named = this.#namedBy(socket);
      if (named === "all") return named;
      for (const account of named) accounts.add(account);
    }
    return accounts;
  }

  watches(account: number): boolean {
    return this.ofAccount(account).length > 0 || this.gatewaysOf(account).length > 0;
  }

  /** @returns whether the socket is one that may name mailboxes */
  isGateway(socket: WebSocket): boolean {
    return this.#attachment(socket)?.watcher.kind === "gateway";
  }

  /** What a gateway watches becomes this too; with more than it can name, all of the domain. */
  name(socket: WebSocket, accounts: readonly number[]): void {
    const named = this.#namedBy(socket);
    if (named === "all") return;
    for (const account of accounts) named.add(account);
    this.#rename(socket, named.size > MAX_WATCHED_BY_NAME ? "all" : named);
  }

  unname(socket: WebSocket, accounts: readonly number[]): void {
    const named = this.#namedBy(socket);
    if (named === "all") return;
    for (const account of accounts) named.delete(account);
    this.#rename(socket, named);
  }

  /** A watcher that is gone, or does not read, is dropped in its place: it comes again and catches up. */
  send(socket: WebSocket, frame: ObjectFrame): void {
    const text = writePushFrame(frame);
    if (!this.#reads(socket, text.length)) return;
    try {
      socket.send(text);
    } catch (error) {
      console.warn("a watcher was gone when it was to be told", String(error));
      this.drop(socket, 1011, "gone");
    }
  }

  drop(socket: WebSocket, code: number, reason: string): void {
    if (socket.readyState === WebSocket.OPEN) socket.close(code, reason);
  }

  dropAll(code: number, reason: string): void {
    for (const socket of this.#open(null)) this.drop(socket, code, reason);
  }

  #open(tag: string | null): WebSocket[] {
    const sockets = tag === null ? this.#ctx.getWebSockets() : this.#ctx.getWebSockets(tag);
    return sockets.filter((socket) => socket.readyState === WebSocket.OPEN);
  }

  /** Before anyone is turned away, those that are gone make room. */
  #hasRoom(tag: string | null, most: number): boolean {
    const there = this.#open(tag);
    if (there.length < most) return true;
    return there.filter((socket) => this.#reads(socket, 0)).length < most;
  }

  /** @param octets about to be sent to it @returns false where it was dropped */
  #reads(socket: WebSocket, octets: number): boolean {
    const ping =
      this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? this.#attachment(socket)?.openedAt ?? 0;
    const before = this.#unread.get(socket);
    const unread = before?.ping === ping ? before : { ping, octets: 0 };
    unread.octets += octets;
    this.#unread.set(socket, unread);
    if (this.#clock() - ping > WATCH_SILENCE) this.drop(socket, 1001, "no ping for too long");
    else if (unread.octets > WATCH_UNREAD_BYTES) this.drop(socket, 1013, "it does not read: come again and catch up");
    else return true;
    return false;
  }

  #namedBy(socket: WebSocket): Set<number> | "all" {
    const known = this.#named.get(socket);
    if (known) return known;
    const accounts = this.#attachment(socket)?.accounts ?? [];
    const named = accounts === "all" ? accounts : new Set(accounts);
    this.#named.set(socket, named);
    return named;
  }

  #rename(socket: WebSocket, named: Set<number> | "all"): void {
    const attachment = this.#attachment(socket);
    if (!attachment) return;
    this.#named.set(socket, named);
    this.#attach(socket, { ...attachment, accounts: named === "all" ? named : [...named] });
  }

  #attachment(socket: WebSocket): Attachment | null {
    return socket.deserializeAttachment() as Attachment | null;
  }

  #attach(socket: WebSocket, attachment: Attachment): void {
    socket.serializeAttachment(attachment);
  }
}
