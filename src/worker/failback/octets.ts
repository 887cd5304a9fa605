/**
 * The stored octets of the messages of a slice. An invocation has six connections, of which four go to the origin: what is
 * left is what R2 may be read with at the same time. Small messages are buffered, so that a turn is short.
 */
import { MAX_BUFFERED_BYTES, STORE_TIMEOUT } from "../../core/limits.ts";
import { within } from "../store/deadline.ts";
import type { FailbackPorts, RawMessage } from "./ports.ts";

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
  #free: number;
  /** Whoever waits for a turn, in order. */
  readonly #waiting: (() => void)[] = [];

  /** @param width how many are read at the same time */
  constructor(raw: FailbackPorts["raw"], width: number) {
    this.#raw = raw;
    this.#free = width;
  }

  /** @returns null where the object is not there any more. @throws where R2 does not answer */
  async open(key: string): Promise<Source | null> {
    const found = await this.#open(key, true);
    return found === "large" ? null : found;
  }

  /** For a message whose turn has not come: a large one would hold its turn until then, so it is left. */
  buffer(key: string): Promise<Source | "large" | null> {
    return this.#open(key, false);
  }

  async #open(key: string, streams: boolean): Promise<Source | "large" | null> {
    const giveBack = await this.#take();
    let keep = false;
    try {
      const found = await this.#raw(key);
      if (!found) return null;
      if (found.size <= MAX_BUFFERED_BYTES) return await buffered(found);
      if (!streams) {
        await found.body.cancel();
        return "large";
      }
      keep = true;
      return streamed(found.size, found.body, giveBack);
    } finally {
      if (!keep) giveBack();
    }
  }

  /** @returns what gives the turn to the next one; to be called once */
  async #take(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return () => {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
  }
}

async function buffered({ whole }: RawMessage): Promise<Source> {
  const octets = new Uint8Array(await within(whole(), STORE_TIMEOUT, "R2 read"));
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
