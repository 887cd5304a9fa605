/** Commands and replies over a wire, each with a limit on its total time; after the first failure the wire is closed. */
import { EARLY_REPLY_TIMEOUT, QUIT_TIMEOUT } from "../../limits.ts";
import type { Phase, Reply, Unavailable } from "../../outcome.ts";
import { err, ok, type Result } from "../../result.ts";
import { describeReplyError, ReplyParser } from "./reply.ts";
import { PathBrokenError, type Timing, type Wire, within } from "./wire.ts";

export interface Failure {
  readonly reason: "timeout" | "dropped" | "tls" | "protocol";
  /** The way there broke, not the server. */
  readonly path?: true;
  /** For the log and the administrator. */
  readonly detail?: string;
}

export class Channel {
  readonly #wire: Wire;
  readonly #timing: Timing;
  readonly #deadline: number;
  readonly #parser = new ReplyParser();
  /** The read that is under way. */
  #filling: Promise<void> | null = null;
  /** Nothing more can be read; what was whole before that is still in the parser. */
  #broken: Failure | null = null;
  #failure: Failure | null = null;

  /** @param deadline on the clock of `timing`; no wait goes beyond it unless it says so */
  constructor(wire: Wire, timing: Timing, deadline = Number.POSITIVE_INFINITY) {
    this.#wire = wire;
    this.#timing = timing;
    this.#deadline = deadline;
  }

  get usable(): boolean {
    return this.#failure === null;
  }

  now(): number {
    return this.#timing.now();
  }

  /** Closes the wire; every later call fails with the first reason. */
  fail(failure: Failure): Failure {
    this.#failure ??= failure;
    this.#wire.close();
    return this.#failure;
  }

  /**
   * Sends command lines, separated by CRLF. What the server said before it was asked is a protocol error: it would be taken
   * for the answer. But a server that goes away says 421 unasked (RFC 5321 §3.8); that is left there for `reply`.
   */
  async command(lines: string, limit: number): Promise<Failure | null> {
    if (this.#failure) return this.#failure;
    if (this.#parser.peek()?.code === 421) return null;
    if (this.#parser.pending) return this.fail({ reason: "protocol", detail: "a reply without a command" });
    return this.write(new TextEncoder().encode(`${lines}\r\n`), limit);
  }

  /** Sends octets as they are, within so many milliseconds. */
  async write(octets: Uint8Array, limit: number): Promise<Failure | null> {
    if (this.#failure) return this.#failure;
    const failure = await this.#write(octets, limit);
    return failure ? this.fail(failure) : null;
  }

  /**
   * Sends a piece of a message and listens meanwhile: a server may answer before the final dot, and then hang up.
   * @returns that reply, or how the connection failed; null while all is well. After a reply the caller has to `fail`
   */
  async push(octets: Uint8Array, limit: number): Promise<Result<Reply | null, Failure>> {
    if (this.#failure) return err(this.#failure);
    // Not waited for: octets that come are found in the parser at the next piece, and how it failed by the next wait.
    if (this.#broken === null) void this.#fill();
    const early = this.#parser.next();
    if (early) return ok(early);
    const failure = await this.#write(octets, limit);
    if (failure === null) return ok(null);
    const until = this.#timing.now() + EARLY_REPLY_TIMEOUT;
    while (this.#parser.peek() === null && this.#broken === null) {
      const raced = await within(this.#timing, until - this.#timing.now(), this.#fill());
      if (raced.kind !== "done") break;
    }
    const last = this.#parser.next();
    this.fail(failure);
    return last ? ok(last) : err(failure);
  }

  /**
   * The whole of the next reply within so many milliseconds from now, however many octets come one by one.
   * @param beyond the deadline does not shorten this wait
   */
  async reply(limit: number, beyond = false): Promise<Result<Reply, Failure>> {
    if (this.#failure) return err(this.#failure);
    const until = this.#timing.now() + (beyond ? limit : this.#left(limit));
    for (;;) {
      const reply = this.#parser.next();
      if (reply) {
        // RFC 5321 §3.8: after a 421 the server closes.
        if (reply.code === 421) this.fail({ reason: "dropped", detail: "the server said 421" });
        return ok(reply);
      }
      // Only now: replies that were whole before the octets that make no sense count.
      if (this.#broken) return err(this.fail(this.#broken));
      const raced = await within(this.#timing, until - this.#timing.now(), this.#fill());
      if (raced.kind !== "done") return err(this.fail({ reason: "timeout" }));
    }
  }

  /** Sends a command and waits for its reply; one limit for both. */
  async ask(line: string, limit: number): Promise<Result<Reply, Failure>> {
    const began = this.#timing.now();
    const failure = await this.command(line, limit);
    return failure ? err(failure) : this.reply(limit - (this.#timing.now() - began));
  }

  /** RFC 3207 §6: what came in clear text behind the 220 would be taken for answers given under TLS. */
  async startTls(limit: number): Promise<Failure | null> {
    if (this.#failure) return this.#failure;
    if (this.#parser.pending || this.#broken) {
      return this.fail({ reason: "protocol", detail: "octets in clear text behind the reply to STARTTLS" });
    }
    const raced = await within(this.#timing, this.#left(limit), this.#wire.startTls());
    if (raced.kind === "done") return null;
    if (raced.kind === "timeout") return this.fail({ reason: "timeout", detail: "TLS handshake" });
    return this.fail(failureOf(raced.error, "tls"));
  }

  /** QUIT without waiting for its reply, then the end. */
  quit(): void {
    if (this.#failure) return;
    this.#failure = { reason: "dropped", detail: "closed by us" };
    const goodbye = this.#wire.write(new TextEncoder().encode("QUIT\r\n"));
    void within(this.#timing, QUIT_TIMEOUT, goodbye).then(() => this.#wire.close());
  }

  async #write(octets: Uint8Array, limit: number): Promise<Failure | null> {
    const raced = await within(this.#timing, this.#left(limit), this.#wire.write(octets));
    if (raced.kind === "done") return null;
    if (raced.kind === "timeout") return { reason: "timeout", detail: "the server takes no octets" };
    return failureOf(raced.error, "dropped");
  }

  /** Reads once, into the parser; shared by all who wait for it. Never rejects: see `#broken`. */
  #fill(): Promise<void> {
    this.#filling ??= this.#read().then((failure) => {
      this.#broken ??= failure;
      this.#filling = null;
    });
    return this.#filling;
  }

  async #read(): Promise<Failure | null> {
    try {
      const octets = await this.#wire.read();
      if (octets === null) return { reason: "dropped", detail: "the server closed the connection" };
      const parsed = this.#parser.push(octets);
      return parsed.ok ? null : { reason: "protocol", detail: describeReplyError(parsed.error) };
    } catch (error) {
      return failureOf(error, "dropped");
    }
  }

  #left(limit: number): number {
    return Math.min(limit, this.#deadline - this.#timing.now());
  }
}

export function unavailable(phase: Phase, failure: Failure): Unavailable {
  const { reason, detail, path } = failure;
  const where = path ? "path" : "origin";
  return { kind: "unavailable", where, phase, reason, ...(detail === undefined ? {} : { detail }) };
}

function failureOf(error: unknown, reason: "dropped" | "tls"): Failure {
  const detail = message(error);
  return error instanceof PathBrokenError ? { reason: "dropped", path: true, detail } : { reason, detail };
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
