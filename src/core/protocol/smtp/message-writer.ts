/** The message after 354, up to the reply to the final dot. */
import { BODY_RATE, WRITE_PIECE_BYTES } from "../../limits.ts";
import type { Outcome, Refused, Reply, Unavailable } from "../../outcome.ts";
import { type Channel, unavailable } from "./channel.ts";
import type { MessageWriter, Upcoming } from "./conversation.ts";
import { MessageEncoder } from "./message-encoder.ts";
import { outcomeOf } from "./reply.ts";

/** The session that a message belongs to. */
export interface Transaction {
  /** The commands that begin the next message, to go out right behind the final dot; null where they must not. */
  announce(next: Upcoming): Uint8Array | null;
  /** The server has answered the final dot. */
  ended(): void;
}

export class SmtpMessageWriter implements MessageWriter {
  readonly #channel: Channel;
  readonly #pieceLimit: number;
  readonly #transaction: Transaction;
  readonly #encoder = new MessageEncoder();
  #octets = 0;
  /** Milliseconds spent in waiting for the server to take octets; the source's own time does not count. */
  #waited = 0;

  constructor(channel: Channel, pieceLimit: number, transaction: Transaction) {
    this.#channel = channel;
    this.#pieceLimit = pieceLimit;
    this.#transaction = transaction;
  }

  get lineEndsChanged(): boolean {
    return this.#encoder.lineEndsChanged;
  }

  async write(chunk: Uint8Array): Promise<Refused | Unavailable | null> {
    for (let at = 0; at < chunk.length; at += WRITE_PIECE_BYTES) {
      const stopped = await this.#send(this.#encoder.encode(chunk.subarray(at, at + WRITE_PIECE_BYTES)));
      if (stopped) return stopped;
    }
    return null;
  }

  async finish(timeout: number, next?: Upcoming): Promise<Outcome> {
    const behind = (next && this.#transaction.announce(next)) ?? null;
    const end = this.#encoder.end();
    const stopped = await this.#send(behind ? Uint8Array.from([...end, ...behind]) : end);
    if (stopped) return stopped.kind === "unavailable" ? { ...stopped, phase: "final" } : stopped;
    const reply = await this.#channel.reply(timeout, true);
    if (!reply.ok) return unavailable("final", reply.error);
    this.#transaction.ended();
    const outcome = outcomeOf("final", reply.value);
    if (outcome.kind === "unavailable" && outcome.reason === "protocol") this.abort();
    return outcome;
  }

  abort(): void {
    this.#channel.fail({ reason: "dropped", detail: "left in the middle of a message" });
  }

  async #send(octets: Uint8Array): Promise<Refused | Unavailable | null> {
    const began = this.#channel.now();
    const left = this.#pieceLimit + (this.#octets / BODY_RATE) * 1000 - this.#waited;
    const sent = await this.#channel.push(octets, Math.min(this.#pieceLimit, left));
    this.#waited += this.#channel.now() - began;
    this.#octets += octets.length;
    if (!sent.ok) return unavailable("data", sent.error);
    return sent.value === null ? null : this.#early(sent.value);
  }

  /** A reply before the final dot: a refusal counts, a 2xx cannot mean this message. */
  #early(reply: Reply): Refused | Unavailable {
    this.#channel.fail({ reason: "dropped", detail: "the server answered before the end of the message" });
    const outcome = outcomeOf("data", reply);
    if (outcome.kind !== "delivered") return outcome;
    const detail = "an acceptance before the end of the message";
    return { kind: "unavailable", where: "origin", phase: "data", reason: "protocol", reply, detail };
  }
}
