/**
 * A bare CR or LF in DATA: what one server takes for the end of a message and the next does not, a smuggled message hides
 * behind (RFC 5321 §2.3.8 allows neither). Octets are looked at only.
 */
const CR = 0x0d;
const LF = 0x0a;

export class BareLines {
  #afterCr = false;
  #found = false;

  /** @returns whether there has been one so far */
  look(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length && !this.#found; at++) {
      const octet = chunk[at];
      if (this.#afterCr !== (octet === LF)) this.#found = true;
      this.#afterCr = octet === CR;
    }
    return this.#found;
  }

  /** At the end of the message: a CR at the very end is bare too. */
  end(): boolean {
    return this.#found || this.#afterCr;
  }
}
