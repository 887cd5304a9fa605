/** The octets of a message as they go over the wire after 354 (RFC 5321 §4.5.2, §2.3.8). */

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/**
 * Doubles a dot at the start of a line and makes each line end CRLF: a bare LF, and a bare CR, become one, for a receiver that
 * took either as a line end could be made to see an end of the message where none is (SMTP smuggling). Nothing else changes,
 * neither NUL nor 8-bit octets nor the length of lines. Chunks may be cut anywhere: the result is the same.
 */
export class MessageEncoder {
  #lineStart = true;
  /** The last octet was a CR, which went out; if no LF follows, one is put behind it. */
  #afterCr = false;
  #changed = false;

  /** A bare CR or LF was among the octets. A missing last line end does not count: one has to be added by any client. */
  get lineEndsChanged(): boolean {
    return this.#changed;
  }

  /** @returns the chunk itself where nothing in it had to change */
  encode(chunk: Uint8Array): Uint8Array {
    let out: Uint8Array | null = null;
    let length = 0;
    let copied = 0;
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at];
      const insert = this.#before(octet);
      if (insert.length > 0) {
        // Each octet needs at most two before it, LF and a dot.
        out ??= new Uint8Array(chunk.length * 3);
        out.set(chunk.subarray(copied, at), length);
        length += at - copied;
        out.set(insert, length);
        length += insert.length;
        copied = at;
      }
      this.#lineStart = octet === LF;
      this.#afterCr = octet === CR;
    }
    if (out === null) return chunk;
    out.set(chunk.subarray(copied), length);
    return out.subarray(0, length + chunk.length - copied);
  }

  /** What is missing of the last line end, and the final dot. */
  end(): Uint8Array {
    const lineEnd = this.#lineStart ? [] : this.#afterCr ? [LF] : [CR, LF];
    if (this.#afterCr) this.#changed = true;
    this.#lineStart = true;
    this.#afterCr = false;
    return Uint8Array.from([...lineEnd, DOT, CR, LF]);
  }

  #before(octet: number | undefined): readonly number[] {
    if (octet === LF) {
      if (this.#afterCr) return NOTHING;
      this.#changed = true;
      return ONLY_CR;
    }
    if (this.#afterCr) {
      this.#changed = true;
      return octet === DOT ? LF_AND_DOT : ONLY_LF;
    }
    return octet === DOT && this.#lineStart ? ONLY_DOT : NOTHING;
  }
}

const NOTHING: readonly number[] = [];
const ONLY_CR: readonly number[] = [CR];
const ONLY_LF: readonly number[] = [LF];
const ONLY_DOT: readonly number[] = [DOT];
const LF_AND_DOT: readonly number[] = [LF, DOT];
