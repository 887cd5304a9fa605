/**
 * What happens to the mailboxes of one domain, for whoever is connected to them here: one WebSocket to the domain's object, for
 * however many mailboxes (core/protocol/push/frames.ts). It comes again when it breaks, and tells then what was missed.
 */
import { WebSocket } from "ws";
import { RETRY_JITTER } from "../core/limits.ts";
import {
  type EndReason,
  PING,
  PONG,
  readObjectFrame,
  type WatcherFrame,
  writePushFrame,
} from "../core/protocol/push/frames.ts";
import { KnownState } from "../core/protocol/push/known.ts";
import {
  FIRST_WATCH_RETRY,
  LAST_WATCH_RETRY,
  WATCH_LINGER,
  WATCH_PAGE,
  WATCH_PING,
  WATCH_SILENCE,
} from "../core/protocol/push/limits.ts";
import { signedSocket, type WorkerLink } from "./worker-link.ts";

/** `seq` null: something may have changed, and nobody knows what. */
export type Change =
  | { readonly kind: "changed"; readonly seq: number | null }
  /** A message came into the archive, and into no folder; what was missed of this is not told. */
  | { readonly kind: "archived" }
  | { readonly kind: "ended"; readonly why: EndReason };

export type Listener = (change: Change) => void;

export interface WatchOptions {
  /** 0 to 1. */
  readonly random?: () => number;
  /** Takes lines for the log. */
  readonly say?: (line: string) => void;
}

interface Watched {
  readonly known: KnownState;
  readonly listeners: Set<Listener>;
}

export class DomainWatch {
  readonly #link: WorkerLink;
  readonly #domain: string;
  readonly #random: () => number;
  readonly #say: (line: string) => void;
  readonly #watched = new Map<number, Watched>();
  #socket: WebSocket | null = null;
  /** A socket is about to be made. */
  #opening = false;
  /** The object has said hello: frames may be sent. */
  #open = false;
  /** Ends in a row without a hello. */
  #failures = 0;
  #retry: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param domain its name, A-labels */
  constructor(link: WorkerLink, domain: string, options: WatchOptions = {}) {
    this.#link = link;
    this.#domain = domain;
    this.#random = options.random ?? Math.random;
    this.#say = options.say ?? ((line) => console.error(line));
  }

  /** Nobody watches, and no connection is kept for the next. */
  get idle(): boolean {
    return this.#watched.size === 0 && this.#socket === null && !this.#opening;
  }

  /**
   * @param account the mailbox's number
   * @param since the state that the listener knows; null: none, then it is told the first that comes
   * @returns ends it; idempotent. After `ended` nothing comes any more either.
   */
  watch(account: number, since: number | null, listener: Listener): () => void {
    if (this.#closed) throw new Error("the watch of the domain is closed");
    const already = this.#watched.get(account);
    const watched = already ?? { known: new KnownState(since), listeners: new Set<Listener>() };
    // Each has an entry of its own, should one listen twice.
    const own: Listener = (change) => listener(change);
    watched.listeners.add(own);
    this.#watched.set(account, watched);
    clearTimeout(this.#linger);
    if (!already) this.#tell({ op: "watch", accounts: [{ account, since }] });
    else if (already.known.seq !== since) {
      // The others know more or less than this one.
      queueMicrotask(() => watched.listeners.has(own) && own({ kind: "changed", seq: already.known.seq }));
    }
    this.#connect();
    return () => this.#leave(account, watched, own);
  }

  /** For good. */
  close(): void {
    this.#closed = true;
    this.#watched.clear();
    this.#hangUp();
  }

  #leave(account: number, watched: Watched, own: Listener): void {
    watched.listeners.delete(own);
    if (watched.listeners.size > 0 || this.#watched.get(account) !== watched) return;
    this.#watched.delete(account);
    this.#tell({ op: "unwatch", accounts: [account] });
    if (this.#watched.size > 0) return;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => this.#hangUp(), WATCH_LINGER);
    this.#linger.unref();
  }

  #hangUp(): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#linger);
    this.#retry = undefined;
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    if (socket?.readyState === WebSocket.OPEN) socket.close(1000);
    else socket?.terminate();
  }

  /** Where there is a connection, or will be one, nothing happens. */
  #connect(): void {
    if (this.#closed || this.#socket || this.#opening || this.#retry) return;
    this.#opening = true;
    this.#openSocket().catch((error: unknown) => this.#lost(String(error)));
  }

  async #openSocket(): Promise<void> {
    const connect = await signedSocket(this.#link, `/gateway/watch/${this.#domain}`);
    this.#opening = false;
    if (this.#closed || this.#watched.size === 0) return;
    const socket = connect();
    this.#socket = socket;
    this.#serve(socket);
  }

  #serve(socket: WebSocket): void {
    let why = "";
    let answered = true;
    const silence = setTimeout(() => {
      why = "the object did not answer";
      socket.terminate();
    }, WATCH_SILENCE);
    const ping = setInterval(() => {
      // A ping says that what was sent before the last pong has been read.
      if (!answered || socket.readyState !== WebSocket.OPEN) return;
      answered = false;
      socket.send(PING);
    }, WATCH_PING);
    socket.on("message", (data, binary) => {
      silence.refresh();
      const text = data.toString();
      if (text === PONG && !binary) answered = true;
      else if (binary || !this.#hear(text)) {
        why = "the object said something unexpected";
        socket.terminate();
      }
    });
    socket.on("unexpected-response", (_request, response) => {
      why = `the Worker answered ${response.statusCode}`;
      socket.terminate();
    });
    socket.on("error", (error) => {
      why ||= error.message;
    });
    socket.on("close", (code, reason) => {
      clearTimeout(silence);
      clearInterval(ping);
      if (this.#socket === socket) this.#lost(why || `closed with ${code} ${reason.toString()}`.trim());
    });
  }

  #lost(why: string): void {
    this.#socket = null;
    this.#opening = false;
    this.#open = false;
    if (this.#closed || this.#watched.size === 0) return;
    const doublings = Math.min(this.#failures, 20);
    const spread = 1 + RETRY_JITTER * (2 * this.#random() - 1);
    const pause = Math.min(LAST_WATCH_RETRY, Math.round(FIRST_WATCH_RETRY * 2 ** doublings * spread));
    this.#failures++;
    this.#say(`the watch of ${this.#domain} ended (${why}) and begins again in ${pause} ms`);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#watched.size > 0) this.#connect();
    }, pause);
    this.#retry.unref();
  }

  /** @returns false where that is no frame */
  #hear(text: string): boolean {
    const read = readObjectFrame(text);
    if (!read.ok) return false;
    const frame = read.value;
    switch (frame.op) {
      case "hello":
        this.#hello();
        break;
      case "changed": {
        const watched = this.#watched.get(frame.account);
        if (watched?.known.hear(frame.seq)) this.#call(watched, { kind: "changed", seq: frame.seq });
        break;
      }
      case "archived": {
        const watched = this.#watched.get(frame.account);
        if (watched) this.#call(watched, { kind: "archived" });
        break;
      }
      case "ended": {
        const watched = this.#watched.get(frame.account);
        if (!watched) break;
        this.#watched.delete(frame.account);
        this.#call(watched, { kind: "ended", why: frame.why });
        break;
      }
      case "domain":
        break; // for administrators
    }
    return true;
  }

  /** All that is watched, with what is known of it: what was missed is told. */
  #hello(): void {
    this.#open = true;
    this.#failures = 0;
    const all = [...this.#watched];
    for (const [, { known }] of all) known.reconnected();
    for (let at = 0; at < all.length; at += WATCH_PAGE) {
      const page = all.slice(at, at + WATCH_PAGE);
      this.#tell({ op: "watch", accounts: page.map(([account, { known }]) => ({ account, since: known.seq })) });
    }
  }

  #tell(frame: WatcherFrame): void {
    if (this.#open && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(writePushFrame(frame));
  }

  /** One listener that fails must not keep the others from hearing. */
  #call(watched: Watched, change: Change): void {
    for (const listener of [...watched.listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#say(`a listener of ${this.#domain} failed: ${String(error)}`);
      }
    }
  }
}
