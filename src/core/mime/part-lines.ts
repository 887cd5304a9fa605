/** Lines of a part's header, gathered over chunks. */
import { joined } from "./joined.ts";

const FIELD = /^[!-9;-~]+[ \t]*:/;
const MBOX_LINE = /^>?From /;

/** Octets in pieces, up to a limit; what comes beyond it is let go. */
export class LineGatherer {
  readonly #most: number;
  #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get empty(): boolean {
    return this.#length === 0;
  }

  /** Octets that still fit. */
  get room(): number {
    return this.#most - this.#length;
  }

  /** Copies: a piece may be a view of memory that goes on. */
  add(piece: Uint8Array): void {
    const fits = piece.slice(0, this.room);
    if (fits.length === 0) return;
    this.#pieces.push(fits);
    this.#length += fits.length;
  }

  take(): Uint8Array {
    const [only] = this.#pieces;
    if (only && this.#pieces.length === 1) return only;
    return joined(this.#pieces);
  }
}

/** Whether a line can stand in a header: a field, its continuation, or the line that an mbox has on top. */
export function isHeaderLine(line: Uint8Array, first: boolean): boolean {
  const start = String.fromCharCode(...line.subarray(0, 1_000));
  if (first) return FIELD.test(start) || MBOX_LINE.test(start);
  return /^[ \t]/.test(start) || FIELD.test(start);
}
