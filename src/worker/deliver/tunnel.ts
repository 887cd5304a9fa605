/** The SMTP client's wire through a gateway: a WebSocket that carries octets, as core/protocol/gateway/tunnel.ts has it. */
import { EARLY_REPLY_TIMEOUT, TUNNEL_FRAME_BYTES, TUNNEL_SILENCE, TUNNEL_WINDOW } from "../../core/limits.ts";
import {
  type ConnectFrame,
  type FailedFrame,
  readTunnelReport,
  type TunnelReport,
  type TunnelRequest,
  writeTunnelFrame,
} from "../../core/protocol/gateway/tunnel.ts";
import { PathBrokenError, type Timing, type Wire, within } from "../../core/protocol/smtp/wire.ts";
import { err, ok, type Result } from "../../core/result.ts";

/** The origin failed, as the gateway saw it. */
class OriginFailedError extends Error {
  override readonly name = "OriginFailedError";
}

const CLEAR_TEXT = "octets in clear text where TLS was to begin";

export interface TunnelFailure {
  readonly where: "origin" | "path";
  readonly reason: FailedFrame["reason"];
  readonly detail: string;
}

/**
 * Has the gateway connect.
 * @param socket accepted, with `binaryType` "arraybuffer"
 * @param silence milliseconds without a word after which a gateway is given up
 */
export async function connectThrough(
  socket: WebSocket,
  connect: Omit<ConnectFrame, "op">,
  timing: Timing,
  silence: number = TUNNEL_SILENCE,
): Promise<Result<GatewayWire, TunnelFailure>> {
  const wire = new TunnelWire(socket, timing, silence);
  const report = await wire.ask({ op: "connect", ...connect }, "connected");
  if (report === null) return ok(wire);
  wire.close();
  return err(report);
}

export interface GatewayWire extends Wire {
  /** What the gateway calls itself, to a host that takes strangers' mail; else null. */
  readonly name: string | null;
}

class TunnelWire implements GatewayWire {
  name: string | null = null;
  readonly #socket: WebSocket;
  readonly #timing: Timing;
  readonly #silence: number;
  readonly #chunks: Uint8Array[] = [];
  /** Reports to a request: connected, secured, failed. */
  readonly #answers: TunnelReport[] = [];
  /** The origin has closed its side. */
  #ended = false;
  /** Between the request for TLS and `secured`, which are for the handshake alone. */
  #securing = false;
  #failure: Error | null = null;
  /** Octets that the gateway has not passed on yet. */
  #underWay = 0;
  #changed = Promise.withResolvers<void>();

  constructor(socket: WebSocket, timing: Timing, silence: number) {
    this.#socket = socket;
    this.#timing = timing;
    this.#silence = silence;
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.#report(data);
      else if (this.#securing) this.#fail(new OriginFailedError(CLEAR_TEXT));
      else this.#chunks.push(new Uint8Array(data as ArrayBuffer));
      this.#wake();
    });
    socket.addEventListener("close", ({ code }) => this.#fail(new PathBrokenError(`the gateway left (${code})`)));
    socket.addEventListener("error", () => this.#fail(new PathBrokenError("the connection to the gateway broke")));
  }

  /** @returns null once the gateway reports `expected`, else what it reports in its place, or what became of it */
  async ask(request: TunnelRequest, expected: TunnelReport["op"]): Promise<TunnelFailure | null> {
    try {
      this.#send(request);
      for (;;) {
        const answer = this.#answers.shift();
        if (answer?.op === "connected") this.name = answer.name ?? null;
        if (answer?.op === expected) return null;
        if (answer?.op === "failed") return answer;
        if (answer) throw this.#protest(`${answer.op} in place of ${expected}`);
        await this.#change();
      }
    } catch (error) {
      const where = error instanceof PathBrokenError ? "path" : "origin";
      return { where, reason: "dropped", detail: error instanceof Error ? error.message : String(error) };
    }
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk) {
        if (chunk.length > 0) this.#send({ op: "ack", octets: chunk.length });
        return chunk;
      }
      if (this.#ended) return null;
      await this.#change();
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += TUNNEL_FRAME_BYTES) {
      const piece = bytes.subarray(at, at + TUNNEL_FRAME_BYTES);
      while (this.#underWay + piece.length > TUNNEL_WINDOW) {
        if (this.#ended) throw new OriginFailedError("the server closed the connection");
        await this.#change();
      }
      if (this.#failure) throw this.#failure;
      this.#underWay += piece.length;
      this.#socket.send(piece);
    }
  }

  async startTls(): Promise<void> {
    // RFC 3207 §6: what came in clear text would be taken for answers given under TLS. A server that greets where TLS is
    // implicit does not speak it, and may wait for a line's end in our handshake until all time is over.
    if (this.#chunks.length > 0) throw new OriginFailedError(CLEAR_TEXT);
    this.#securing = true;
    const failed = await this.ask({ op: "starttls" }, "secured");
    if (failed?.where === "path") throw new PathBrokenError(failed.detail);
    if (failed) throw new OriginFailedError(failed.detail);
  }

  close(): void {
    this.#failure ??= new OriginFailedError("closed by us");
    // Given up: whether closing it works changes nothing for anybody.
    if (this.#socket.readyState < WebSocket.READY_STATE_CLOSING) this.#socket.close(1000);
    this.#wake();
  }

  #report(text: string): void {
    const read = readTunnelReport(text);
    if (!read.ok) {
      this.#protest(read.error);
      return;
    }
    const report = read.value;
    switch (report.op) {
      case "alive":
        return;
      case "ack":
        this.#underWay -= report.octets;
        if (this.#underWay < 0) this.#protest("more acknowledged than sent");
        return;
      case "end":
        this.#ended = true;
        return;
      case "secured":
        this.#securing = false;
        this.#answers.push(report);
        return;
      case "connected":
        this.#answers.push(report);
        return;
      case "failed":
        this.#answers.push(report);
        this.#fail(report.where === "path" ? new PathBrokenError(report.detail) : new OriginFailedError(report.detail));
        return;
    }
  }

  /** Until something has come. @throws where nothing can come any more, or nothing has for too long */
  async #change(): Promise<void> {
    if (this.#failure) throw this.#failure;
    const changed = this.#changed.promise;
    const waited = await within(this.#timing, this.#silence, changed);
    if (waited.kind !== "timeout") return;
    // After a long piece of work of this isolate its word may lie there, with the timer before it.
    const late = await within(this.#timing, EARLY_REPLY_TIMEOUT, changed);
    if (late.kind === "timeout") this.#fail(new PathBrokenError("the gateway fell silent"));
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #send(request: TunnelRequest): void {
    if (this.#failure) return; // whoever waits hears of it
    this.#socket.send(writeTunnelFrame(request));
  }

  #protest(why: string): Error {
    this.#fail(new PathBrokenError(`the gateway said something unexpected: ${why}`));
    return this.#failure ?? new PathBrokenError(why);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    if (this.#socket.readyState < WebSocket.READY_STATE_CLOSING) this.#socket.close(1000);
    this.#wake();
  }
}
