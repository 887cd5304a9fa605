/**
 * The stored octets of the messages of a slice. R2 is read for one connection at a time: an invocation has six connections,
 * of which four go to the origin and one is a probe's. Small messages are buffered, so that the turn is short.
 */
import { MAX_BUFFERED_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import { within } from "../store/deadline.ts";
import type { FailbackPorts } from "./ports.ts";

export interface Source {
  /** Octets. */
  readonly size: number;
  /** null at the end. @throws where R2 does not give them */
  next(): Promise<Uint8Array | null>;
  /** To be called once, however it ended. Never throws. */
  close(): void;
}

export class Octets {
  readonly #raw: FailbackPorts["raw"];
  #turn: Promise<void> = Promise.resolve();

  constructor(raw: FailbackPorts["raw"]) {
    this.#raw = raw;
  }

  /** @returns null where the object is not there any more. @throws where R2 does not answer */
  async open(key: string): Promise<Source | null> {
    const giveBack = await this.#take();
    let keep = false;
    try {
      const found = await this.#raw(key);
      if (!found) return null;
      if (found.size <= MAX_BUFFERED_BYTES) return await buffered(found.body);
      keep = true;
      return streamed(found.size, found.body, giveBack);
    } finally {
      if (!keep) giveBack();
    }
  }

  /** @returns what gives the turn to the next one */
  async #take(): Promise<() => void> {
    const before = this.#turn;
    let giveBack = (): void => undefined;
    this.#turn = new Promise((resolve) => {
      giveBack = resolve;
    });
    await before;
    return giveBack;
  }
}

async function buffered(body: ReadableStream<Uint8Array>): Promise<Source> {
  const octets = new Uint8Array(await within(new Response(body).arrayBuffer(), STORE_TIMEOUT, "R2 read"));
  let rest: Uint8Array | null = octets;
  return {
    size: octets.length,
    async next() {
      const chunk = rest;
      rest = null;
      return chunk;
    },
    close: () => undefined,
  };
}

function streamed(size: number, body: ReadableStream<Uint8Array>, giveBack: () => void): Source {
  const reader = body.getReader();
  let ended = false;
  return {
    size,
    async next() {
      const chunk = await within(reader.read(), STORE_TIMEOUT, "R2 read");
      if (!chunk.done) return chunk.value;
      // The origin may think for minutes about what it has: others read meanwhile.
      ended = true;
      giveBack();
      return null;
    },
    close() {
      // Rejects only where reading has failed before, which whoever read has seen.
      if (!ended) reader.cancel().then(giveBack, giveBack);
    },
  };
}
